// REQ: ROUTE-4
#include "gateway/breaker.h"
#include "support/unit.h"

static const struct breaker_options o = {
    .window_ms = 30000,
    .results_min = 5,
    .failures_rate = 0.5,
    .open_ms = 15000,
    .open_max_ms = 120000,
    .hard_down_ms = 600000,
    .rate_limited_ms = 1000,
};

static bool break_it(struct breaker *b, uint64_t now)
{
    breaker_enter(b, now);
    return breaker_leave(b, &o, FAILURE_TRANSIENT, 0, now, 0);
}

static void succeed(struct breaker *b, uint64_t now)
{
    breaker_enter(b, now);
    assert_false(breaker_leave(b, &o, FAILURE_NONE, 0, now, 0));
}

static void it_opens_at_the_rate_and_not_before_enough_is_known(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (uint64_t i = 0; i < 4; i++)
        assert_false(break_it(&b, 100000 + i));
    assert_true(breaker_allows(&b, 100004));
    assert_true(break_it(&b, 100005));
    assert_false(breaker_allows(&b, 100006));
    assert_int_equal(breaker_state(&b, 100006), BREAKER_OPEN);
}

static void successes_keep_it_closed(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (uint64_t i = 0; i < 100; i++) {
        succeed(&b, 100000 + i * 10);
        succeed(&b, 100001 + i * 10);
        assert_false(break_it(&b, 100002 + i * 10));
    }
    assert_true(breaker_allows(&b, 102000));
}

static void what_is_old_is_forgotten(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (uint64_t i = 0; i < 50; i++)
        assert_false(break_it(&b, 100000 + i * 10000)); // never 5 within 30 s
    assert_true(breaker_allows(&b, 700000));
}

static void one_probe_passes_when_its_time_is_up(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (uint64_t i = 0; i < 5; i++)
        break_it(&b, 100000);
    uint64_t wait = breaker_wait_ms(&b, 100000), then = 100000 + wait;
    assert_in_range(wait, 13500, 16500);
    assert_false(breaker_allows(&b, then - 1));
    assert_true(breaker_allows(&b, then));
    breaker_enter(&b, then);
    assert_false(breaker_allows(&b, then)); // a second one does not
    breaker_leave(&b, &o, FAILURE_NONE, 0, then + 5, 0);
    assert_int_equal(breaker_state(&b, then + 5), BREAKER_CLOSED);
}

static void each_failed_probe_doubles_the_time_up_to_a_bound(void **state)
{
    (void)state;
    struct breaker b = {0};
    uint64_t now = 100000, last = 0;
    for (uint64_t i = 0; i < 5; i++)
        break_it(&b, now);
    for (int i = 0; i < 8; i++) {
        uint64_t wait = breaker_wait_ms(&b, now);
        assert_true(wait >= last);
        assert_true(wait <= 132000);
        last = wait;
        now += wait;
        break_it(&b, now);
    }
    assert_true(last >= 108000);
}

static void a_cancelled_probe_makes_room_for_another(void **state)
{
    (void)state;
    struct breaker b = {0};
    for (uint64_t i = 0; i < 5; i++)
        break_it(&b, 100000);
    uint64_t then = 100000 + breaker_wait_ms(&b, 100000);
    breaker_enter(&b, then);
    breaker_forget(&b);
    assert_true(breaker_allows(&b, then));
}

static void what_the_client_did_wrong_counts_for_nothing(void **state)
{
    (void)state;
    static const enum failure harmless[] = {FAILURE_CLIENT, FAILURE_CONTEXT,
                                            FAILURE_CONTENT_POLICY};
    struct breaker b = {0};
    for (size_t i = 0; i < 60; i++) {
        breaker_enter(&b, 100000);
        assert_false(breaker_leave(&b, &o, harmless[i % 3], 0, 100000, 0));
    }
    assert_true(breaker_allows(&b, 100000));
}

static void a_rate_limit_holds_it_back_for_as_long_as_it_said(void **state)
{
    (void)state;
    struct breaker b = {0};
    breaker_enter(&b, 100000);
    breaker_leave(&b, &o, FAILURE_RATE_LIMITED, 7000, 100000, 0);
    assert_int_equal(breaker_wait_ms(&b, 100000), 7000);
    assert_false(breaker_allows(&b, 106999));
    assert_true(breaker_allows(&b, 107000));
    assert_int_equal(breaker_state(&b, 100000), BREAKER_CLOSED);
    breaker_leave(&b, &o, FAILURE_RATE_LIMITED, 0, 200000, 0);
    assert_int_equal(breaker_wait_ms(&b, 200000), 1000);
}

static void bad_credentials_open_it_at_once_and_for_long(void **state)
{
    (void)state;
    struct breaker b = {0};
    breaker_enter(&b, 100000);
    assert_true(breaker_leave(&b, &o, FAILURE_HARD_DOWN, 0, 100000, 0));
    assert_false(breaker_allows(&b, 100000 + 500000));
    assert_true(breaker_allows(&b, 100000 + 700000));
}

static void reopening_is_spread(void **state)
{
    (void)state;
    struct breaker a = {0}, b = {0};
    for (uint64_t i = 0; i < 5; i++) {
        breaker_leave(&a, &o, FAILURE_TRANSIENT, 0, 100000, 1);
        breaker_leave(&b, &o, FAILURE_TRANSIENT, 0, 100000, 2999);
    }
    assert_true(breaker_wait_ms(&b, 100000) > breaker_wait_ms(&a, 100000) + 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_at_the_rate_and_not_before_enough_is_known),
        cmocka_unit_test(successes_keep_it_closed),
        cmocka_unit_test(what_is_old_is_forgotten),
        cmocka_unit_test(one_probe_passes_when_its_time_is_up),
        cmocka_unit_test(each_failed_probe_doubles_the_time_up_to_a_bound),
        cmocka_unit_test(a_cancelled_probe_makes_room_for_another),
        cmocka_unit_test(what_the_client_did_wrong_counts_for_nothing),
        cmocka_unit_test(a_rate_limit_holds_it_back_for_as_long_as_it_said),
        cmocka_unit_test(bad_credentials_open_it_at_once_and_for_long),
        cmocka_unit_test(reopening_is_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
