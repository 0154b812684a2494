// REQ: LOAD-2 OBS-2
// Quantiles are within 1/64 of the exact ones, from the smallest value to the largest; merging
// loses nothing.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/histogram.h"
#include "base/random.h"
#include "support/unit.h"

static struct histogram a, b, c;

static int by_value(const void *x, const void *y)
{
    uint64_t p = *(const uint64_t *)x, q = *(const uint64_t *)y;
    return (p > q) - (p < q);
}

static void quantiles_are_near_the_exact_ones(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t values[N];
    struct random r;
    random_seed(&r, 5);
    for (unsigned bits = 1; bits <= 40; bits += 3) {
        histogram_init(&a);
        uint64_t sum = 0;
        for (size_t i = 0; i < N; i++) {
            values[i] = random_next(&r) >> (64 - bits) >> random_below(&r, bits);
            sum += values[i];
            histogram_add(&a, values[i]);
        }
        qsort(values, N, sizeof *values, by_value);
        assert_int_equal(a.count, N);
        assert_int_equal(a.min, values[0]);
        assert_int_equal(a.max, values[N - 1]);
        assert_true(fabs(histogram_mean(&a) - (double)sum / (double)N) < 1e-6 * (double)(sum + 1));
        for (int part = 1; part <= 1000; part += 17) {
            double q = part * 0.001;
            uint64_t exact = values[(size_t)ceil(q * (double)N) - 1];
            uint64_t got = histogram_quantile(&a, q);
            assert_true(got >= exact);
            assert_true(got - exact <= exact / 64);
        }
    }
}

static void the_ends_are_exact(void **state)
{
    (void)state;
    histogram_init(&a);
    assert_int_equal(histogram_quantile(&a, 0.5), 0);
    assert_true(histogram_mean(&a) == 0);
    histogram_add(&a, 1000003);
    assert_int_equal(histogram_quantile(&a, 0), 1000003);
    assert_int_equal(histogram_quantile(&a, 0.5), 1000003);
    assert_int_equal(histogram_quantile(&a, 1), 1000003);
    assert_int_equal(histogram_quantile(&a, NAN), 1000003);
}

static void values_past_the_range_are_kept_at_its_end(void **state)
{
    (void)state;
    histogram_init(&a);
    histogram_add(&a, UINT64_MAX / 4);
    histogram_add(&a, 1);
    assert_int_equal(histogram_quantile(&a, 1), UINT64_MAX / 4);
    assert_int_equal(histogram_quantile(&a, 0.9), UINT64_MAX / 4);
    assert_int_equal(histogram_quantile(&a, 0.1), 1);
}

static void merging_is_the_same_as_adding_all_to_one(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 6);
    histogram_init(&a);
    histogram_init(&b);
    histogram_init(&c);
    histogram_merge(&a, &b); // two empty ones
    for (int i = 0; i < 10000; i++) {
        uint64_t v = random_next(&r) >> (24 + random_below(&r, 40));
        histogram_add(i % 3 ? &a : &b, v);
        histogram_add(&c, v);
    }
    histogram_merge(&a, &b);
    assert_memory_equal(&a, &c, sizeof a);
    histogram_init(&b);
    histogram_merge(&b, &c);
    assert_memory_equal(&b, &c, sizeof b);
}

static void counting_up_to_a_value_is_exact_for_small_ones(void **state)
{
    (void)state;
    histogram_init(&a);
    for (uint64_t v = 0; v < 64; v++)
        histogram_add(&a, v);
    histogram_add(&a, 1000000);
    assert_int_equal(histogram_count_to(&a, -1), 0);
    assert_int_equal(histogram_count_to(&a, NAN), 0);
    assert_int_equal(histogram_count_to(&a, 0), 1);
    assert_int_equal(histogram_count_to(&a, 9.9), 10);
    assert_int_equal(histogram_count_to(&a, 999999), 65); // its bucket's width is 1/64
    assert_int_equal(histogram_count_to(&a, 900000), 64);
    assert_int_equal(histogram_count_to(&a, 1e300), 65);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_near_the_exact_ones),
        cmocka_unit_test(the_ends_are_exact),
        cmocka_unit_test(values_past_the_range_are_kept_at_its_end),
        cmocka_unit_test(merging_is_the_same_as_adding_all_to_one),
        cmocka_unit_test(counting_up_to_a_value_is_exact_for_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
