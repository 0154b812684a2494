// REQ: SEC-3
// Long work leaves the loop, comes back on it, and is bounded.
#include <pthread.h>
#include <stdatomic.h>

#include "gateway/worker.h"
#include "support/unit.h"

struct item {
    struct offload o;
    struct loop *loop;
    _Atomic int ran;
    int done;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void run(void *ctx)
{
    struct item *it = ctx;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    assert_false(loop_is_current(it->loop));
    atomic_fetch_add(&it->ran, 1);
}

static void done(void *ctx)
{
    struct item *it = ctx;
    assert_int_equal(atomic_load(&it->ran), 1);
    it->done++;
}

static void item_init(struct item *it, struct loop *l)
{
    *it = (struct item){.o = {.run = run, .done = done, .ctx = it}, .loop = l};
}

static void work_runs_elsewhere_and_is_completed_on_the_loop(void **state)
{
    (void)state;
    struct loop *l;
    struct worker *w;
    struct item items[100];
    assert_int_equal(loop_new(LOOP_BACKEND_DEFAULT, &l, NULL), ERR_OK);
    assert_int_equal(worker_new(l, 2, 100, &w, NULL), ERR_OK);
    for (int i = 0; i < 100; i++) {
        item_init(&items[i], l);
        assert_int_equal(worker_submit(w, &items[i].o), ERR_OK);
    }
    for (int turns = 0; turns < 1000; turns++) {
        int complete = 0;
        for (int i = 0; i < 100; i++)
            complete += items[i].done;
        if (complete == 100)
            break;
        loop_run_once(l, 10);
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(items[i].done, 1);
    worker_free(w);
    loop_free(l);
}

static void a_full_pool_says_so_and_a_closing_one_completes_all(void **state)
{
    (void)state;
    struct loop *l;
    struct worker *w;
    struct item items[8];
    int taken = 0;
    assert_int_equal(loop_new(LOOP_BACKEND_DEFAULT, &l, NULL), ERR_OK);
    assert_int_equal(worker_new(l, 1, 2, &w, NULL), ERR_OK);
    pthread_mutex_lock(&gate);
    for (int i = 0; i < 8; i++) {
        item_init(&items[i], l);
        taken += worker_submit(w, &items[i].o) == ERR_OK;
    }
    assert_in_range(taken, 2, 3); // two wait; a third one may have begun
    pthread_mutex_unlock(&gate);
    worker_free(w);
    int complete = 0;
    for (int i = 0; i < 8; i++)
        complete += items[i].done;
    assert_int_equal(complete, taken);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_elsewhere_and_is_completed_on_the_loop),
        cmocka_unit_test(a_full_pool_says_so_and_a_closing_one_completes_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
