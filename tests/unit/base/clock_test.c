// REQ: OBS-1
// Monotonic time does not go back; wall time is written as RFC 3339 has it, at any date.
#include "base/clock.h"
#include "support/unit.h"

static void monotonic_time_never_goes_back(void **state)
{
    (void)state;
    uint64_t last = clock_mono_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_mono_ns();
        assert_true(now >= last);
        last = now;
    }
    assert_true(clock_mono_ms() <= clock_mono_us() / 1000 + 1);
}

static void wall_time_is_of_this_century(void **state)
{
    (void)state;
    assert_true(clock_wall_ms() > 1700000000000);
    assert_true(clock_wall_ms() < 4102444800000);
}

static void known_instants_are_written_exactly(void **state)
{
    (void)state;
    char out[25];
    const struct {
        uint64_t ms;
        const char *text;
    } known[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1795321986123, "2026-11-22T04:33:06.123Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542399999, "2100-02-28T23:59:59.999Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        clock_iso8601(known[i].ms, out);
        assert_string_equal(out, known[i].text);
    }
}

static void dates_of_http_are_read_and_nothing_else(void **state)
{
    (void)state;
    uint64_t ms;
    static const char *const wrong[] = {
        "",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, 06 Nox 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:3x GMT",
        "Sun, 06 Nov 1894 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
    };
    assert_int_equal(clock_parse_http_date(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &ms), ERR_OK);
    assert_int_equal(ms, 784111777000);
    assert_int_equal(clock_parse_http_date(STR("Tue, 29 Feb 2000 23:59:59 GMT"), &ms), ERR_OK);
    assert_int_equal(ms, 951868799000);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(clock_parse_http_date(str_of(wrong[i]), &ms), ERR_PARSE);
}

static void dates_are_read_exactly(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2026-11",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "1969-12-31",
                                      "2026-1-1",
                                      "tomorrow",
                                      "2026-11-22 04:33:06",
                                      "2026-11-22T04:33:06",
                                      "2026-11-22T24:00:00Z"};
    uint64_t ms;
    assert_int_equal(clock_parse_iso8601(STR("2026-11-22"), &ms), ERR_OK);
    assert_int_equal(ms, 1795305600000);
    assert_int_equal(clock_parse_iso8601(STR("2026-11-22T04:33:06Z"), &ms), ERR_OK);
    assert_int_equal(ms, 1795321986000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(clock_parse_iso8601(str_of(bad[i]), &ms), ERR_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monotonic_time_never_goes_back),
        cmocka_unit_test(wall_time_is_of_this_century),
        cmocka_unit_test(known_instants_are_written_exactly),
        cmocka_unit_test(dates_of_http_are_read_and_nothing_else),
        cmocka_unit_test(dates_are_read_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
