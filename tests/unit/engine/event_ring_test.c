// Events in a ring of bytes: order, wrap, bounds, two threads.
//
// REQ: ENG-4 API-11
#include <sched.h>
#include <string.h>

#include "base/random.h"
#include "base/thread.h"
#include "engine/event_ring.h"
#include "support/unit.h"

static size_t size_of_nth(uint32_t n)
{
    return 4 + (n * 2654435761u >> 24) % 120;
}

static bool write_nth(struct event_ring *r, uint32_t n)
{
    size_t size = size_of_nth(n);
    uint8_t *p = event_ring_reserve(r, size);
    if (!p)
        return false;
    memset(p, (int)(n & 0xff), size);
    memcpy(p, &n, sizeof n);
    event_ring_publish(r);
    return true;
}

static bool read_nth(struct event_ring *r, uint32_t n)
{
    const uint8_t *p = event_ring_peek(r);
    if (!p)
        return false;
    uint32_t got;
    memcpy(&got, p, sizeof got);
    assert_int_equal(got, n);
    for (size_t i = sizeof got; i < size_of_nth(n); i++)
        assert_int_equal(p[i], n & 0xff);
    event_ring_drop(r);
    return true;
}

static void test_room_is_never_promised_in_vain(void **state)
{
    (void)state;
    static struct event_ring r; // static: aligned under every sanitizer
    struct random random;
    random_seed(&random, 1);
    event_ring_init(&r, 1024);
    uint32_t written = 0, read = 0;
    for (int round = 0; round < 20000; round++) {
        if (random_below(&random, 2)) {
            for (size_t room = event_ring_room(&r, 124); room > 0; room--)
                assert_true(write_nth(&r, written++));
        }
        for (uint64_t n = random_below(&random, 12); n > 0 && read < written; n--)
            assert_true(read_nth(&r, read++));
    }
    while (read < written)
        assert_true(read_nth(&r, read++));
    assert_null(event_ring_peek(&r));
    assert_true(read > 20000);
    event_ring_done(&r);
}

enum { PASSED = 200000 };

static void producer(void *arg)
{
    for (uint32_t n = 0; n < PASSED; n++)
        while (!write_nth(arg, n))
            sched_yield();
}

static void test_two_threads(void **state)
{
    (void)state;
    static struct event_ring r; // static: aligned under every sanitizer
    struct thread t = {0};
    event_ring_init(&r, 2048);
    assert_int_equal(thread_start(&t, "producer", producer, &r, NULL), ERR_OK);
    for (uint32_t n = 0; n < PASSED; n++)
        while (!read_nth(&r, n))
            sched_yield();
    thread_join(&t);
    event_ring_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_is_never_promised_in_vain),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
