// REQ: API-10
// Slices: comparing, cutting, whole-string numbers at the edges of their range, distances, hashes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "support/unit.h"

static void slices_compare_by_bytes(void **state)
{
    (void)state;
    assert_true(str_eq(STR("ab"), str_of("ab")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq(STR_NONE, STR("")));
    assert_true(str_eq(str_of(NULL), STR_NONE));
    assert_true(str_eq_z(STR("a\0b"), "a") == false);
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("[@"), STR("{`"))); // 32 apart, but no letters
    assert_int_equal(str_cmp(STR("a"), STR("b")), -1);
    assert_int_equal(str_cmp(STR("\xff"), STR("a")), 1);
    assert_int_equal(str_cmp(STR("a"), STR("ab")), -1);
    assert_int_equal(str_cmp(STR(""), STR_NONE), 0);
}

static void slices_are_cut_within_their_bounds(void **state)
{
    (void)state;
    assert_true(str_starts(STR("weir"), STR("we")));
    assert_false(str_starts(STR("w"), STR("we")));
    assert_true(str_ends(STR("weir"), STR("ir")));
    assert_false(str_ends(STR("r"), STR("ir")));
    assert_true(str_eq(str_trim(STR(" \t x y\r\n ")), STR("x y")));
    assert_int_equal(str_trim(STR(" \n ")).len, 0);
    assert_true(str_eq(str_sub(STR("weir"), 1, 2), STR("ei")));
    assert_true(str_eq(str_sub(STR("weir"), 2, SIZE_MAX), STR("ir")));
    assert_int_equal(str_sub(STR("weir"), 9, 1).len, 0);
    assert_int_equal(str_sub(STR_NONE, 1, 1).len, 0);
}

static void what_is_sought_is_found_at_its_first_place(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("a--b--"), STR("--")), 1);
    assert_true(str_find(STR("ab"), STR("abc")) == SIZE_MAX);
    assert_int_equal(str_find(STR("ab"), STR("")), 0);
    assert_int_equal(str_find_char(STR("a\0b"), 'b'), 2);
    assert_true(str_find_char(STR_NONE, 'b') == SIZE_MAX);
}

static void splitting_gives_every_part_but_nothing_after_the_last(void **state)
{
    (void)state;
    str rest = STR("a,,b,"), head;
    const char *const want[] = {"a", "", "b"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_split(&rest, ',', &head));
        assert_true(str_eq_z(head, want[i]));
    }
    assert_false(str_split(&rest, ',', &head));
}

static void signed_numbers_reach_both_ends_and_no_further(void **state)
{
    (void)state;
    int64_t v = 5;
    assert_int_equal(str_to_i64(STR("9223372036854775807"), &v), ERR_OK);
    assert_true(v == INT64_MAX);
    assert_int_equal(str_to_i64(STR("-9223372036854775808"), &v), ERR_OK);
    assert_true(v == INT64_MIN);
    assert_int_equal(str_to_i64(STR("9223372036854775808"), &v), ERR_LIMIT);
    assert_int_equal(str_to_i64(STR("-9223372036854775809"), &v), ERR_LIMIT);
    assert_int_equal(str_to_i64(STR("99999999999999999999999"), &v), ERR_LIMIT);
    assert_true(v == INT64_MIN); // written only on success
    const char *const bad[] = {
        "", "-", "+1", " 1", "1 ", "1.0", "0x1", "--1", "99999999999999999999x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_to_i64(str_of(bad[i]), &v), ERR_PARSE);
}

static void unsigned_numbers_have_no_sign(void **state)
{
    (void)state;
    uint64_t v = 0;
    assert_int_equal(str_to_u64(STR("18446744073709551615"), &v), ERR_OK);
    assert_true(v == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), &v), ERR_LIMIT);
    assert_int_equal(str_to_u64(STR("-1"), &v), ERR_PARSE);
    assert_int_equal(str_to_u64(STR_NONE, &v), ERR_PARSE);
}

static void reals_are_json_numbers_and_finite(void **state)
{
    (void)state;
    double v = 0;
    assert_int_equal(str_to_f64(STR("-0.5e-3"), &v), ERR_OK);
    assert_true(v == -0.5e-3);
    assert_int_equal(str_to_f64(STR("1e999"), &v), ERR_LIMIT);
    assert_int_equal(str_to_f64(STR("1e-999"), &v), ERR_OK);
    assert_true(v == 0);
    assert_int_equal(str_to_f64(STR("1.7976931348623157e308"), &v), ERR_OK);
    const char *const bad[] = {"",    ".5",  "5.", "01", "+1",       "1e",  "1e+", "inf",  "nan",
                               "0x1", "1_0", "1 ", "-",  "Infinity", "1,5", "--1", "1.e1", "1e1.5"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_to_f64(str_of(bad[i]), &v), ERR_PARSE);
}

static void reals_are_the_nearest_doubles(void **state)
{
    (void)state;
    uint64_t x = 1;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint64_t digits = x % (i % 2 ? 1000000u : 10000000000000000u);
        int behind = (int)(x >> 60);
        snprintf(text, sizeof text, "%s%.*f", x >> 59 & 1 ? "-" : "", behind,
                 (double)digits / (double)(1 + (x >> 32 & 0xffffff)));
        double v = 1, expected = strtod(text, NULL);
        assert_int_equal(str_to_f64(str_of(text), &v), ERR_OK);
        if (memcmp(&v, &expected, sizeof v) != 0)
            fail_msg("%s", text);
    }
}

static void a_number_longer_than_any_buffer_is_still_read(void **state)
{
    (void)state;
    char text[400];
    memset(text, '0', sizeof text);
    text[1] = '.';
    text[sizeof text - 1] = '7';
    double v = 1;
    assert_int_equal(str_to_f64(str_slice(text, sizeof text), &v), ERR_OK);
    assert_true(v == 0); // 7e-398
    text[0] = '3';
    assert_int_equal(str_to_f64(str_slice(text, sizeof text), &v), ERR_OK);
    assert_true(v == 3);
}

static void distance_counts_edits_and_swaps_once(void **state)
{
    (void)state;
    assert_int_equal(str_distance(STR("listen"), STR("listen")), 0);
    assert_int_equal(str_distance(STR("listn"), STR("listen")), 1);
    assert_int_equal(str_distance(STR("lisetn"), STR("listen")), 1);
    assert_int_equal(str_distance(STR(""), STR("abc")), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
    char a[500], b[500];
    memset(a, 'a', sizeof a);
    memset(b, 'b', sizeof b);
    assert_int_equal(str_distance(str_slice(a, 500), str_slice(b, 500)), 64); // both are cut
}

static void hashes_tell_texts_apart(void **state)
{
    (void)state;
    assert_true(str_hash(STR("a")) == str_hash(STR("a")));
    assert_true(str_hash(STR("a")) != str_hash(STR("b")));
    assert_true(str_hash(STR("")) != str_hash(STR("\0")));
    char text[64] = {0};
    uint64_t seen[64];
    for (size_t len = 0; len < 64; len++) { // every tail length gives its own
        seen[len] = str_hash(str_slice(text, len));
        for (size_t j = 0; j < len; j++)
            assert_true(seen[j] != seen[len]);
    }
}

static void the_stable_hash_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(str_hash_stable(STR("")) == 0xcbf29ce484222325);
    assert_true(str_hash_stable(STR("a")) == 0xaf63dc4c8601ec8c);
    assert_true(str_hash_stable(STR("foobar")) == 0x85944171f73967e8);
}

static void a_star_stands_for_anything(void **state)
{
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool matches;
    } cases[] = {
        {"gpt-4o", "gpt-*", true},
        {"gpt-4o", "gpt-4o", true},
        {"gpt-4o", "gpt-4", false},
        {"gpt-4", "gpt-4o", false},
        {"", "*", true},
        {"", "", true},
        {"a", "", false},
        {"abcabd", "*abd", true},
        {"abcabd", "a*c*d", true},
        {"abcabd", "a*c*e", false},
        {"aaab", "*a*b", true},
        {"x/y-z", "x/*-*", true},
        {"gpt-4o-mini", "*o", false},
        {"a*b", "a*b", true},
        {"abc", "**", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(str_matches(str_of(cases[i].text), str_of(cases[i].pattern)),
                         cases[i].matches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare_by_bytes),
        cmocka_unit_test(slices_are_cut_within_their_bounds),
        cmocka_unit_test(what_is_sought_is_found_at_its_first_place),
        cmocka_unit_test(splitting_gives_every_part_but_nothing_after_the_last),
        cmocka_unit_test(signed_numbers_reach_both_ends_and_no_further),
        cmocka_unit_test(unsigned_numbers_have_no_sign),
        cmocka_unit_test(reals_are_json_numbers_and_finite),
        cmocka_unit_test(reals_are_the_nearest_doubles),
        cmocka_unit_test(a_number_longer_than_any_buffer_is_still_read),
        cmocka_unit_test(distance_counts_edits_and_swaps_once),
        cmocka_unit_test(hashes_tell_texts_apart),
        cmocka_unit_test(the_stable_hash_is_fnv_1a),
        cmocka_unit_test(a_star_stands_for_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
