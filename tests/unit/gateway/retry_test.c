// REQ: ROUTE-2 ROUTE-3
#include "gateway/retry.h"
#include "support/unit.h"

#define NOW 50000u

static struct retry_policy policy(void)
{
    static const str all[] = {STR("error"), STR("timeout"), STR("rate_limit"), STR("context"),
                              STR("content_policy")};
    struct retry_policy p = {
        .attempts_max = 3, .time_max_ms = 10000, .backoff_ms = 200, .backoff_max_ms = 1000};
    str bad;
    assert_true(failure_set_of(all, ARRAY_LEN(all), &p.fallback_on, &bad));
    return p;
}

static struct retry_decision decide(const struct retry_policy *p, const struct retry_state *s,
                                    enum failure f, uint32_t retry_after_ms, uint64_t random)
{
    struct api_error e = {.failure = f, .retry_after_ms = retry_after_ms};
    return retry_decide(p, s, &e, NOW, random);
}

static void every_failure_of_a_target_goes_to_another(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW, .others = true};
    for (int f = FAILURE_RATE_LIMITED; f < FAILURE_COUNT; f++)
        assert_int_equal(decide(&p, &s, (enum failure)f, 0, 0).verb, RETRY_OTHER);
    assert_int_equal(decide(&p, &s, FAILURE_CLIENT, 0, 0).verb, RETRY_GIVE_UP);
    assert_int_equal(decide(&p, &s, FAILURE_NONE, 0, 0).verb, RETRY_GIVE_UP);
}

static void each_kind_can_be_switched_off(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW, .others = true};
    str only = STR("timeout"), bad;
    assert_true(failure_set_of(&only, 1, &p.fallback_on, &bad));
    assert_int_equal(decide(&p, &s, FAILURE_FIRST_TIMEOUT, 0, 0).verb, RETRY_OTHER);
    assert_int_equal(decide(&p, &s, FAILURE_CONTEXT, 0, 0).verb, RETRY_GIVE_UP);
    assert_int_equal(decide(&p, &s, FAILURE_TRANSIENT, 0, 0).verb, RETRY_WAIT);
    str wrong = STR("errors");
    assert_false(failure_set_of(&wrong, 1, &p.fallback_on, &bad));
    assert_true(str_eq_z(bad, "errors"));
}

static void nothing_is_retried_once_a_byte_was_shown(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW, .others = true, .shown = true};
    for (int f = 0; f < FAILURE_COUNT; f++)
        assert_int_equal(decide(&p, &s, (enum failure)f, 0, 0).verb, RETRY_GIVE_UP);
}

static void money_is_a_bound_too(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW, .others = true, .cost_nano = 70};
    assert_int_equal(decide(&p, &s, FAILURE_TRUNCATED, 0, 0).verb, RETRY_OTHER);
    p.cost_max_nano = 71;
    assert_int_equal(decide(&p, &s, FAILURE_TRUNCATED, 0, 0).verb, RETRY_OTHER);
    p.cost_max_nano = 70;
    assert_int_equal(decide(&p, &s, FAILURE_TRUNCATED, 0, 0).verb, RETRY_GIVE_UP);
    s.others = false;
    assert_int_equal(decide(&p, &s, FAILURE_TRUNCATED, 0, 0).verb, RETRY_GIVE_UP);
}

static void attempts_and_time_are_one_budget(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 3, .began_ms = NOW, .others = true};
    assert_int_equal(decide(&p, &s, FAILURE_TRANSIENT, 0, 0).verb, RETRY_GIVE_UP);
    s = (struct retry_state){.attempts = 1, .began_ms = NOW - 10000, .others = true};
    assert_int_equal(decide(&p, &s, FAILURE_TRANSIENT, 0, 0).verb, RETRY_GIVE_UP);
}

static void waits_have_full_jitter_and_grow_to_a_bound(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    p.attempts_max = 20;
    for (uint32_t attempts = 1; attempts < 10; attempts++) {
        struct retry_state s = {.attempts = attempts, .began_ms = NOW};
        uint64_t bound = attempts == 1 ? 200 : attempts == 2 ? 400 : attempts == 3 ? 800 : 1000;
        uint64_t least = UINT64_MAX, most = 0;
        for (uint64_t random = 0; random < 4000; random++) {
            struct retry_decision d = decide(&p, &s, FAILURE_TRANSIENT, 0, random);
            assert_int_equal(d.verb, RETRY_WAIT);
            least = d.wait_ms < least ? d.wait_ms : least;
            most = d.wait_ms > most ? d.wait_ms : most;
        }
        assert_int_equal(least, 0);
        assert_int_equal(most, bound);
    }
}

static void retry_after_is_a_floor(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW};
    for (uint64_t random = 0; random < 500; random++)
        assert_true(decide(&p, &s, FAILURE_RATE_LIMITED, 3000, random).wait_ms >= 3000);
    assert_int_equal(decide(&p, &s, FAILURE_RATE_LIMITED, 60000, 0).verb, RETRY_GIVE_UP);
}

static void what_does_not_pass_by_itself_is_not_repeated(void **state)
{
    (void)state;
    struct retry_policy p = policy();
    struct retry_state s = {.attempts = 1, .began_ms = NOW};
    assert_int_equal(decide(&p, &s, FAILURE_HARD_DOWN, 0, 0).verb, RETRY_GIVE_UP);
    assert_int_equal(decide(&p, &s, FAILURE_CONTEXT, 0, 0).verb, RETRY_GIVE_UP);
    assert_int_equal(decide(&p, &s, FAILURE_CONTENT_POLICY, 0, 0).verb, RETRY_GIVE_UP);
}

static void retries_are_a_share_of_requests(void **state)
{
    (void)state;
    struct retry_purse purse = {0};
    size_t retries = 0;
    for (int i = 0; i < 10000; i++) {
        retry_purse_request(&purse, 0.2);
        for (int k = 0; k < 3; k++) // everything fails, everything would be tried again
            retries += retry_purse_take(&purse);
    }
    assert_in_range(retries, 1990, 2020);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failure_of_a_target_goes_to_another),
        cmocka_unit_test(each_kind_can_be_switched_off),
        cmocka_unit_test(nothing_is_retried_once_a_byte_was_shown),
        cmocka_unit_test(money_is_a_bound_too),
        cmocka_unit_test(attempts_and_time_are_one_budget),
        cmocka_unit_test(waits_have_full_jitter_and_grow_to_a_bound),
        cmocka_unit_test(retry_after_is_a_floor),
        cmocka_unit_test(what_does_not_pass_by_itself_is_not_repeated),
        cmocka_unit_test(retries_are_a_share_of_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
