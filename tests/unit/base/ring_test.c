// REQ: API-11 ENG-4
// Rings between threads: nothing is lost, doubled or reordered (a producer's items), the bound
// holds, and what a producer wrote is visible to the consumer. Run under the tsan preset too.
#include <sched.h>

#include "base/mem.h"
#include "base/ring.h"
#include "base/thread.h"
#include "support/unit.h"

enum { ITEMS = 100000, PRODUCERS = 4 };

struct item {
    uintptr_t producer, number;
};

static void bounds_and_order_hold_on_one_thread(void **state)
{
    (void)state;
    int things[9];
    struct ring_spsc s;
    struct ring_mpsc m;
    ring_spsc_init(&s, 8);
    ring_mpsc_init(&m, 8);
    for (int round = 0; round < 100; round++) {
        assert_null(ring_spsc_pop(&s));
        assert_null(ring_mpsc_pop(&m));
        for (int i = 0; i < 8; i++) {
            assert_true(ring_spsc_push(&s, &things[i]));
            assert_true(ring_mpsc_push(&m, &things[i]));
        }
        assert_false(ring_spsc_push(&s, &things[8]));
        assert_false(ring_mpsc_push(&m, &things[8]));
        for (int i = 0; i < 8; i++) {
            assert_ptr_equal(ring_spsc_pop(&s), &things[i]);
            assert_ptr_equal(ring_mpsc_pop(&m), &things[i]);
        }
        // Start the next round at another place.
        assert_true(ring_spsc_push(&s, &things[0]) && ring_spsc_pop(&s) == &things[0]);
        assert_true(ring_mpsc_push(&m, &things[0]) && ring_mpsc_pop(&m) == &things[0]);
    }
    ring_spsc_done(&s);
    ring_mpsc_done(&m);
}

static void the_smallest_rings_work(void **state)
{
    (void)state;
    int things[2];
    struct ring_spsc s;
    struct ring_mpsc m;
    ring_spsc_init(&s, 1);
    ring_mpsc_init(&m, 2);
    for (int i = 0; i < 5; i++) {
        assert_true(ring_spsc_push(&s, &things[0]));
        assert_false(ring_spsc_push(&s, &things[1]));
        assert_ptr_equal(ring_spsc_pop(&s), &things[0]);
        assert_true(ring_mpsc_push(&m, &things[0]) && ring_mpsc_push(&m, &things[1]));
        assert_false(ring_mpsc_push(&m, &things[1]));
        assert_ptr_equal(ring_mpsc_pop(&m), &things[0]);
        assert_ptr_equal(ring_mpsc_pop(&m), &things[1]);
        assert_null(ring_mpsc_pop(&m));
    }
    ring_spsc_done(&s);
    ring_mpsc_done(&m);
}

static void produce_spsc(void *arg)
{
    struct ring_spsc *r = arg;
    for (uintptr_t i = 0; i < ITEMS; i++) {
        struct item *item = mem_new(struct item);
        item->number = i;
        while (!ring_spsc_push(r, item))
            sched_yield();
    }
}

static void one_producer_s_items_arrive_in_order_and_whole(void **state)
{
    (void)state;
    struct ring_spsc r;
    struct thread t;
    ring_spsc_init(&r, 64);
    assert_int_equal(thread_start(&t, "producer", produce_spsc, &r, NULL), ERR_OK);
    for (uintptr_t want = 0; want < ITEMS;) {
        struct item *item = ring_spsc_pop(&r);
        if (!item) {
            sched_yield();
            continue;
        }
        if (item->number != want)
            fail_msg("%zu instead of %zu", (size_t)item->number, (size_t)want);
        mem_free(item);
        want++;
    }
    thread_join(&t);
    assert_null(ring_spsc_pop(&r));
    ring_spsc_done(&r);
}

struct producer {
    struct ring_mpsc *ring;
    uintptr_t id;
};

static void produce_mpsc(void *arg)
{
    const struct producer *p = arg;
    for (uintptr_t i = 0; i < ITEMS / PRODUCERS; i++) {
        struct item *item = mem_new(struct item);
        *item = (struct item){p->id, i};
        while (!ring_mpsc_push(p->ring, item))
            sched_yield();
    }
}

static void many_producers_items_all_arrive_each_in_its_order(void **state)
{
    (void)state;
    struct ring_mpsc r;
    struct thread threads[PRODUCERS];
    struct producer producers[PRODUCERS];
    uintptr_t next[PRODUCERS] = {0};
    ring_mpsc_init(&r, 64);
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){&r, i};
        assert_int_equal(thread_start(&threads[i], "producer", produce_mpsc, &producers[i], NULL),
                         ERR_OK);
    }
    for (int left = ITEMS; left > 0;) {
        struct item *item = ring_mpsc_pop(&r);
        if (!item) {
            sched_yield();
            continue;
        }
        assert_true(item->producer < PRODUCERS);
        if (item->number != next[item->producer]++)
            fail_msg("producer %zu out of order", (size_t)item->producer);
        mem_free(item);
        left--;
    }
    for (int i = 0; i < PRODUCERS; i++)
        thread_join(&threads[i]);
    assert_null(ring_mpsc_pop(&r));
    ring_mpsc_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_and_order_hold_on_one_thread),
        cmocka_unit_test(the_smallest_rings_work),
        cmocka_unit_test(one_producer_s_items_arrive_in_order_and_whole),
        cmocka_unit_test(many_producers_items_all_arrive_each_in_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
