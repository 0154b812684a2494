// REQ: ENG-4
// The probes of the roofline: figures are there and of a size that can be; what cannot be measured
// is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/peak.h"

#define SECONDS 0.01

static double read_of(uint64_t bytes, size_t threads)
{
    struct diag d = {0};
    double v = 0;
    assert_int_equal(probe_read(bytes, threads, SECONDS, &v, &d), ERR_OK);
    return v;
}

static void reading_has_a_rate_on_one_thread_and_on_two(void **state)
{
    (void)state;
    assert_true(read_of(1 << 20, 1) > 1e6);
    assert_true(read_of(1 << 20, 2) > 1e6);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct diag d = {0};
    double v = -1;
    assert_int_equal(probe_read(1000, 1, SECONDS, &v, &d), ERR_INVALID);
    assert_int_equal(probe_read((uint64_t)1 << 50, 1, SECONDS, &v, &d), ERR_LIMIT);
    assert_int_equal(probe_read(1 << 20, 0, SECONDS, &v, &d), ERR_INVALID);
    assert_true(v == -1);
}

static void each_peak_is_there_where_its_instruction_is(void **state)
{
    (void)state;
    for (enum probe_peak p = 0; p < PROBE_PEAKS; p++) {
        struct diag d = {0};
        double v = -1;
        assert_int_equal(probe_peak_measure(p, 1, SECONDS, &v, &d), ERR_OK);
        if (peak_find(p))
            assert_in_range((uint64_t)(v / 1e6), 1, 1000000000);
        else
            assert_true(v == 0);
    }
}

static void a_turn_counts_its_operations(void **state)
{
    (void)state;
    for (enum probe_peak p = 0; p < PROBE_PEAKS; p++)
        if (peak_find(p)) {
            double one = peak_find(p)(1);
            assert_true(one > 0);
            assert_true(peak_find(p)(3) == 3 * one);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_has_a_rate_on_one_thread_and_on_two),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(each_peak_is_there_where_its_instruction_is),
        cmocka_unit_test(a_turn_counts_its_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
