// REQ: REL-2
// Threads run what they are given, under their name, and joining one twice or never is fine.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
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

static void put(const char *root, const char *name, const char *text)
{
    char path[128];
    if (!text)
        return;
    snprintf(path, sizeof path, "%s/a/b", root);
    assert_int_equal(fs_mkdirs(path, NULL), ERR_OK);
    snprintf(path, sizeof path, "%s/%s", root, name);
    assert_int_equal(fs_write_atomic(path, str_of(text), NULL), ERR_OK);
}

static void there_is_at_least_one_cpu(void **state)
{
    (void)state;
    assert_in_range(thread_cpu_count(), 1, 4096);
}

// A made tree of control groups: the least quota on the way up binds, rounded up to whole CPUs.
static void the_least_quota_on_the_way_up_binds(void **state)
{
    (void)state;
    static const struct {
        const char *membership, *leaf, *middle, *top;
        size_t cpus;
    } cases[] = {
        {"0::/a/b\n", "max 100000\n", "max 100000\n", NULL, 0},
        {"0::/a/b\n", "150000 100000\n", "max 100000\n", NULL, 2},
        {"0::/a/b\n", "800000 100000\n", "300000 100000\n", NULL, 3},
        {"0::/a/b\n", NULL, "50000 100000\n", NULL, 1},
        {"0::/\n", "100 100\n", NULL, "400000 100000\n", 4},
        {"4:cpu:/x\n0::/a/b\n", "200000 100000\n", NULL, NULL, 2}, // both trees mounted
        {"4:cpu:/a/b\n", "200000 100000\n", NULL, NULL, 0},        // no v2 group
        {"0::/a/b\n", "nonsense", "0 0\n", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char root[] = "/tmp/weir-cgroup-XXXXXX", path[128];
        assert_non_null(mkdtemp(root));
        put(root, "membership", cases[i].membership);
        put(root, "a/b/cpu.max", cases[i].leaf);
        put(root, "a/cpu.max", cases[i].middle);
        put(root, "cpu.max", cases[i].top);
        snprintf(path, sizeof path, "%s/membership", root);
        assert_int_equal(thread_quota_cpus(path, root), cases[i].cpus);
        snprintf(path, sizeof path, "rm -r '%s'", root);
        assert_int_equal(system(path), 0);
    }
    assert_int_equal(thread_quota_cpus("/nowhere/cgroup", "/nowhere"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_runs_once_under_its_name),
        cmocka_unit_test(one_never_started_is_joined_too),
        cmocka_unit_test(there_is_at_least_one_cpu),
        cmocka_unit_test(the_least_quota_on_the_way_up_binds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
