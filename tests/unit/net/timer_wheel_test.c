// The wheel against a plain list: what fires, when, in which order.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "net/timer_wheel.h"

struct probe {
    struct loop_timer timer;
    uint64_t due_ms;
    bool armed;
};

enum { PROBES = 400 };
static struct probe probes[PROBES];
static struct timer_wheel wheel;
static uint64_t now, last_due;

static void fired(void *ctx, struct loop_timer *t)
{
    (void)ctx;
    struct probe *p = CONTAINER_OF(t, struct probe, timer);
    assert_true(p->armed);
    assert_true(p->due_ms <= now);
    assert_true(p->due_ms >= last_due);
    last_due = p->due_ms;
    p->armed = false;
}

static void arm(struct probe *p, uint64_t delay)
{
    if (p->armed)
        timer_wheel_remove(&p->timer);
    timer_wheel_add(&wheel, &p->timer, now + delay);
    p->due_ms = p->timer.due_ms;
    p->armed = true;
}

static uint64_t earliest_due(void)
{
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < PROBES; i++)
        if (probes[i].armed && probes[i].due_ms < least)
            least = probes[i].due_ms;
    return least;
}

static void step(struct random *r, uint64_t spread)
{
    for (int i = 0; i < 8; i++) {
        struct probe *p = &probes[random_below(r, PROBES)];
        if (p->armed && random_below(r, 4) == 0) {
            timer_wheel_remove(&p->timer);
            p->armed = false;
        } else {
            arm(p, random_below(r, spread));
        }
    }
    assert_true(timer_wheel_next_ms(&wheel) <= earliest_due());
    now += random_below(r, spread / 4 + 2);
    last_due = 0;
    timer_wheel_advance(&wheel, now, fired, NULL);
    for (size_t i = 0; i < PROBES; i++)
        assert_false(probes[i].armed && probes[i].due_ms <= now);
}

static void fires_what_is_due_and_nothing_else(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 7);
    const uint64_t spreads[] = {3, 70, 5000, 300000, 20000000, UINT64_C(2000000000)};
    for (size_t i = 0; i < ARRAY_LEN(spreads); i++) {
        now = UINT64_C(1) << (12 * (i % 4 + 1)); // also across the wheel's own round of 2^36 ms
        now -= 3;
        memset(probes, 0, sizeof probes);
        timer_wheel_init(&wheel, now);
        for (int n = 0; n < 3000; n++)
            step(&r, spreads[i]);
    }
}

static void an_empty_wheel_has_no_next(void **state)
{
    (void)state;
    timer_wheel_init(&wheel, 5);
    assert_true(timer_wheel_next_ms(&wheel) == UINT64_MAX);
    struct probe p = {0};
    now = 5;
    arm(&p, 1000);
    timer_wheel_remove(&p.timer);
    now = 2000; // an early look, after which it is known
    timer_wheel_advance(&wheel, now, fired, NULL);
    assert_true(timer_wheel_next_ms(&wheel) == UINT64_MAX);
}

static void a_delay_beyond_the_wheel_is_cut_and_still_fires(void **state)
{
    (void)state;
    for (uint64_t start = 1; start < UINT64_C(1) << 40; start = start * 5 + 3) {
        timer_wheel_init(&wheel, start);
        now = start;
        struct probe p = {0};
        arm(&p, UINT64_MAX / 2);
        now = start + (UINT64_C(1) << 35);
        last_due = 0;
        timer_wheel_advance(&wheel, now, fired, NULL);
        assert_true(p.armed);
        now = start + (UINT64_C(1) << 36);
        timer_wheel_advance(&wheel, now, fired, NULL);
        assert_false(p.armed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_what_is_due_and_nothing_else),
        cmocka_unit_test(an_empty_wheel_has_no_next),
        cmocka_unit_test(a_delay_beyond_the_wheel_is_cut_and_still_fires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
