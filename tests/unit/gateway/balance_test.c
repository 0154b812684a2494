// REQ: ROUTE-1 ROUTE-4 ROUTE-6 PROV-6
#include "gateway/balance.h"
#include "support/unit.h"

#define NOW 1000000u

static struct target_state states[4];
static struct balance_target targets[4];

static void reset(void)
{
    memset(states, 0, sizeof states);
    for (size_t i = 0; i < 4; i++)
        targets[i] = (struct balance_target){
            .state = &states[i], .weight = 1, .name_hash = 0x9e3779b97f4a7c15u * (i + 1)};
}

static int pick(enum balance_strategy s, uint64_t key, uint64_t random)
{
    return balance_pick(s, targets, 4, key, NOW, random);
}

static void priority_is_the_order_of_those_that_may_be_asked(void **state)
{
    (void)state;
    reset();
    assert_int_equal(pick(BALANCE_PRIORITY, 0, 0), 0);
    targets[0].excluded = true;
    assert_int_equal(pick(BALANCE_PRIORITY, 0, 0), 1);
    states[1].breaker.limited_ms = NOW + 500;
    assert_int_equal(pick(BALANCE_PRIORITY, 0, 0), 2);
    targets[2].excluded = targets[3].excluded = true;
    assert_int_equal(pick(BALANCE_PRIORITY, 0, 0), -1);
    assert_int_equal(balance_wait_ms(targets, 4, NOW), 500);
    targets[1].excluded = true;
    assert_true(balance_wait_ms(targets, 4, NOW) == UINT64_MAX);
}

static void weights_are_kept_in_proportion(void **state)
{
    (void)state;
    size_t seen[4] = {0};
    reset();
    targets[0].weight = 7;
    targets[1].weight = 2;
    targets[2].weight = 1;
    targets[3].weight = 0;
    for (uint64_t i = 0; i < 20000; i++)
        seen[pick(BALANCE_WEIGHTED, 0, i * 0x2545f4914f6cdd1du)]++;
    assert_in_range(seen[0], 13600, 14400);
    assert_in_range(seen[1], 3700, 4300);
    assert_in_range(seen[2], 1750, 2250);
    assert_int_equal(seen[3], 0);
    for (size_t i = 0; i < 3; i++)
        targets[i].excluded = true;
    assert_int_equal(pick(BALANCE_WEIGHTED, 0, 1), 3); // nothing else is left
}

static void the_least_busy_is_least_busy_for_its_weight(void **state)
{
    (void)state;
    reset();
    states[0].running = 5;
    states[1].running = 3;
    states[2].running = 4;
    states[3].running = 6;
    assert_int_equal(pick(BALANCE_LEAST_BUSY, 0, 0), 1);
    targets[3].weight = 2;
    assert_int_equal(pick(BALANCE_LEAST_BUSY, 0, 0), 3);
}

static void latency_jumps_up_at_once_and_comes_down_slowly(void **state)
{
    (void)state;
    reset();
    for (size_t i = 0; i < 4; i++)
        target_first_output(&states[i], 100 + i * 50, NOW);
    assert_int_equal(pick(BALANCE_LATENCY, 0, 0), 0);
    target_first_output(&states[0], 2000, NOW);
    assert_int_equal(pick(BALANCE_LATENCY, 0, 0), 1);
    target_first_output(&states[0], 10, NOW + 1);
    assert_true(target_expected_ms(&states[0], NOW + 1) > 1900);
    assert_true(target_expected_ms(&states[0], NOW + 200000) < 10);
}

static void the_cheapest_is_taken(void **state)
{
    (void)state;
    reset();
    for (size_t i = 0; i < 4; i++)
        targets[i].price = 40 - i;
    assert_int_equal(pick(BALANCE_CHEAPEST, 0, 0), 3);
}

static void affinity_moves_few_keys_when_a_target_goes(void **state)
{
    (void)state;
    size_t seen[4] = {0}, moved = 0;
    reset();
    for (uint64_t key = 1; key <= 4000; key++) {
        targets[2].excluded = false;
        int before = pick(BALANCE_PREFIX, key * 7919, 0);
        assert_int_equal(pick(BALANCE_PREFIX, key * 7919, 99), before);
        seen[before]++;
        targets[2].excluded = true;
        int after = pick(BALANCE_PREFIX, key * 7919, 0);
        moved += before != 2 && after != before;
    }
    assert_int_equal(moved, 0);
    for (size_t i = 0; i < 4; i++)
        assert_in_range(seen[i], 850, 1150);
}

static void affinity_does_not_pile_up(void **state)
{
    (void)state;
    reset();
    for (int i = 0; i < 100; i++) {
        int at = pick(BALANCE_STICKY, 12345, 0);
        states[at].running++;
    }
    for (size_t i = 0; i < 4; i++)
        assert_true(states[i].running <= 36);
}

static void without_a_key_affinity_is_least_busy(void **state)
{
    (void)state;
    reset();
    states[0].running = states[1].running = states[3].running = 1;
    assert_int_equal(pick(BALANCE_STICKY, 0, 0), 2);
}

static void quantiles_of_first_outputs_are_of_the_last_ones(void **state)
{
    (void)state;
    reset();
    for (uint64_t i = 0; i < 9; i++)
        target_first_output(&states[0], 100, NOW);
    assert_int_equal(target_first_quantile_ms(&states[0], 0.95), 0); // too few
    for (uint64_t i = 0; i < 1000; i++)
        target_first_output(&states[0], 5000, NOW);
    for (uint64_t i = 1; i <= TARGET_FIRSTS; i++)
        target_first_output(&states[0], i, NOW);
    assert_in_range(target_first_quantile_ms(&states[0], 0.95), 120, 124);
    assert_in_range(target_first_quantile_ms(&states[0], 0.5), 63, 66);
}

static void who_is_down_is_asked_only_when_no_other_may_be(void **state)
{
    (void)state;
    for (int s = 0; balance_strategy_names[s]; s++) {
        reset();
        targets[0].down = targets[1].down = true;
        targets[0].weight = targets[1].weight = 1e6; // however well it would do else
        for (uint64_t key = 0; key < 50; key++)
            assert_in_range(pick((enum balance_strategy)s, key, key * 0x2545f4914f6cdd1du), 2, 3);
        targets[2].excluded = true;
        states[3].breaker.limited_ms = NOW + 500;
        for (uint64_t key = 0; key < 50; key++)
            assert_in_range(pick((enum balance_strategy)s, key, key * 0x2545f4914f6cdd1du), 0, 1);
        targets[0].excluded = targets[1].excluded = true;
        assert_int_equal(pick((enum balance_strategy)s, 1, 1), -1);
    }
}

static void affinity_is_bounded_among_those_that_are_well(void **state)
{
    (void)state;
    reset();
    targets[0].down = targets[1].down = true;
    states[2].running = 10; // far more than its share of the two that are left
    for (uint64_t key = 1; key < 50; key++)
        assert_int_equal(pick(BALANCE_STICKY, key, 0), 3);
}

static void the_least_busy_is_so_by_its_own_account_too(void **state)
{
    (void)state;
    reset();
    states[0].running = 1;
    targets[1].load = 9; // others' requests
    targets[2].load = 2;
    targets[3].load = 3;
    assert_int_equal(pick(BALANCE_LEAST_BUSY, 0, 0), 0);
    states[0].running = 4;
    assert_int_equal(pick(BALANCE_LEAST_BUSY, 0, 0), 2);
    states[2].running = 5; // more than it knew when it was asked
    assert_int_equal(pick(BALANCE_LEAST_BUSY, 0, 0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priority_is_the_order_of_those_that_may_be_asked),
        cmocka_unit_test(weights_are_kept_in_proportion),
        cmocka_unit_test(the_least_busy_is_least_busy_for_its_weight),
        cmocka_unit_test(latency_jumps_up_at_once_and_comes_down_slowly),
        cmocka_unit_test(the_cheapest_is_taken),
        cmocka_unit_test(affinity_moves_few_keys_when_a_target_goes),
        cmocka_unit_test(affinity_does_not_pile_up),
        cmocka_unit_test(without_a_key_affinity_is_least_busy),
        cmocka_unit_test(who_is_down_is_asked_only_when_no_other_may_be),
        cmocka_unit_test(affinity_is_bounded_among_those_that_are_well),
        cmocka_unit_test(the_least_busy_is_so_by_its_own_account_too),
        cmocka_unit_test(quantiles_of_first_outputs_are_of_the_last_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
