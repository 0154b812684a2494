// Spreads of time: what can be said, and that draws have the shape they name.
// REQ: PROV-7
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fault/spread.h"

enum { DRAWS = 20001 };

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void draw_sorted(const char *text, uint64_t out[static DRAWS])
{
    struct spread s;
    assert_int_equal(spread_parse(str_of(text), &s, NULL), ERR_OK);
    for (uint64_t i = 0; i < DRAWS; i++)
        out[i] = spread_draw(&s, 42, 1, i);
    qsort(out, DRAWS, sizeof *out, by_size);
}

static void a_constant_is_one(void **state)
{
    (void)state;
    static uint64_t draws[DRAWS];
    draw_sorted("20ms", draws);
    assert_int_equal(draws[0], 20000);
    assert_int_equal(draws[DRAWS - 1], 20000);
    draw_sorted("constant:1.5s", draws);
    assert_int_equal(draws[0], 1500000);
}

static void a_uniform_fills_its_range_evenly(void **state)
{
    (void)state;
    static uint64_t draws[DRAWS];
    draw_sorted("uniform:10ms:30ms", draws);
    assert_in_range(draws[0], 10000, 10100);
    assert_in_range(draws[DRAWS / 2], 19600, 20400);
    assert_in_range(draws[DRAWS - 1], 29900, 30000);
}

static void a_lognormal_has_its_median_and_its_quantiles(void **state)
{
    (void)state;
    static uint64_t draws[DRAWS];
    draw_sorted("lognormal:100ms:0.5", draws);
    assert_in_range(draws[DRAWS / 2], 98000, 102000);
    double p84 = 100000 * exp(0.5), p16 = 100000 * exp(-0.5); // one sigma to each side
    assert_in_range(draws[(size_t)(DRAWS * 0.8413)], (uint64_t)(p84 * 0.97),
                    (uint64_t)(p84 * 1.03));
    assert_in_range(draws[(size_t)(DRAWS * 0.1587)], (uint64_t)(p16 * 0.97),
                    (uint64_t)(p16 * 1.03));
}

static void no_draw_is_longer_than_an_hour(void **state)
{
    (void)state;
    static uint64_t draws[DRAWS];
    draw_sorted("lognormal:3000s:9", draws);
    assert_true(draws[DRAWS - 1] <= 3600000000u);
}

static void the_same_keys_draw_the_same(void **state)
{
    (void)state;
    struct spread s;
    assert_int_equal(spread_parse(STR("uniform:0ms:1s"), &s, NULL), ERR_OK);
    assert_int_equal(spread_draw(&s, 1, 2, 3), spread_draw(&s, 1, 2, 3));
    assert_int_not_equal(spread_draw(&s, 1, 2, 3), spread_draw(&s, 2, 2, 3));
    assert_int_not_equal(spread_draw(&s, 1, 2, 3), spread_draw(&s, 1, 2, 4));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "20",
                                        "fast",
                                        "-1ms",
                                        "2h",
                                        ":",
                                        "uniform:1ms",
                                        "uniform:2s:1s",
                                        "normal:1ms:1",
                                        "1ms:2ms",
                                        "lognormal:1ms:-1",
                                        "constant:1ms:1"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct spread s;
        struct diag d = {0};
        assert_int_equal(spread_parse(str_of(wrong[i]), &s, &d), ERR_PARSE);
        assert_true(d.text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_is_one),
        cmocka_unit_test(a_uniform_fills_its_range_evenly),
        cmocka_unit_test(a_lognormal_has_its_median_and_its_quantiles),
        cmocka_unit_test(no_draw_is_longer_than_an_hour),
        cmocka_unit_test(the_same_keys_draw_the_same),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
