// REQ: REL-2
// Threads run what they are given, under their name, and joining one twice or never is fine.
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "support/unit.h"

static char seen_name[32];

static void note_name(void *arg)
{
    pthread_getname_np(pthread_self(), seen_name, sizeof seen_name);
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static void a_thread_runs_once_under_its_name(void **state)
{
    (void)state;
    _Atomic int runs = 0;
    struct thread t = {0};
    struct diag d;
    assert_int_equal(thread_start(&t, "a-name-longer-than-15", note_name, &runs, &d), ERR_OK);
    assert_true(t.running);
    thread_join(&t);
    assert_false(t.running);
    thread_join(&t);
    assert_int_equal(atomic_load(&runs), 1);
    assert_string_equal(seen_name, "a-name-longer-t");
}

static void one_never_started_is_joined_too(void **state)
{
    (void)state;
    struct thread t = {0};
    thread_join(&t);
    assert_false(t.running);
}

static void there_is_at_least_one_cpu(void **state)
{
    (void)state;
    assert_in_range(thread_cpu_count(), 1, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_once_under_its_name),
        cmocka_unit_test(one_never_started_is_joined_too),
        cmocka_unit_test(there_is_at_least_one_cpu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
