// REQ: OBS-1
#include "base/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <setjmp.h>

#include <cmocka.h>

static void digits_are_those_of_printf(void **state)
{
    (void)state;
    uint64_t v = 0;
    for (int i = 0; i < 100000; i++) {
        char out[TEXT_U64_MAX], expected[32];
        size_t len = text_digits(out, v);
        snprintf(expected, sizeof expected, "%" PRIu64, v);
        assert_int_equal(len, strlen(expected));
        assert_memory_equal(out, expected, len);
        v = i % 2 ? v * 3 + (uint64_t)i : UINT64_MAX - v;
    }
}

static void a_wide_number_has_zeros_in_front(void **state)
{
    (void)state;
    char place[32];
    struct text t = text_in(place, sizeof place);
    text_u64_wide(&t, 7, 3);
    text_add(&t, STR("."));
    text_u64_wide(&t, 123456, 3);
    text_add(&t, STR("."));
    text_u64_wide(&t, 0, 1);
    assert_true(str_eq_z(text_str(&t), "007.456.0"));
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    (void)state;
    char place[8] = "........";
    struct text t = text_in(place, 7);
    text_add(&t, STR("abcd"));
    text_u64(&t, 1234);
    text_add(&t, STR("efg"));
    text_add(&t, STR("h"));
    assert_true(str_eq_z(text_str(&t), "abcdefg"));
    assert_int_equal(place[7], '.');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits_are_those_of_printf),
        cmocka_unit_test(a_wide_number_has_zeros_in_front),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
