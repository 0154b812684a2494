// REQ: API-10
// UTF-8 as Unicode's table 3-7 has it: every code point, every malformed shape, any cut.
#include <string.h>

#include "base/fs.h"
#include "base/utf8.h"
#include "support/shared_data.h"
#include "support/unit.h"

static void every_code_point_goes_round(void **state)
{
    (void)state;
    for (uint32_t cp = 0; cp <= 0x110010; cp++) {
        char bytes[4];
        uint32_t back = 0;
        size_t len = utf8_encode(cp, bytes);
        bool exists = cp <= 0x10ffff && (cp < 0xd800 || cp > 0xdfff);
        assert_int_equal(len > 0, exists);
        if (!exists)
            continue;
        assert_int_equal(utf8_decode(str_slice(bytes, len), &back), len);
        assert_int_equal(back, cp);
        assert_true(utf8_valid(str_slice(bytes, len)));
        for (size_t cut = 1; cut < len; cut++) { // every prefix is incomplete, and only that
            assert_false(utf8_valid(str_slice(bytes, cut)));
            assert_int_equal(utf8_incomplete_tail(str_slice(bytes, cut)), cut);
        }
        assert_int_equal(utf8_incomplete_tail(str_slice(bytes, len)), 0);
    }
}

static void malformed_shapes_are_refused(void **state)
{
    (void)state;
    const str bad[] = {
        STR("\x80"),             // a continuation alone
        STR("\xc0\x80"),         // overlong NUL
        STR("\xc1\xbf"),         // overlong, two bytes
        STR("\xe0\x9f\xbf"),     // overlong, three bytes
        STR("\xf0\x8f\xbf\xbf"), // overlong, four bytes
        STR("\xed\xa0\x80"),     // a surrogate
        STR("\xf4\x90\x80\x80"), // above U+10FFFF
        STR("\xf5\x80\x80\x80"),
        STR("\xff"),
        STR("\xc3("),
        STR("\xe2\x82("),
        STR("\xf0\x9f\x98("),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t cp = 0;
        assert_int_equal(utf8_decode(bad[i], &cp), 0);
        assert_int_equal(cp, 0xfffd);
        assert_int_equal(utf8_valid_prefix(bad[i]), 0);
    }
    uint32_t cp = 0;
    assert_int_equal(utf8_decode(STR_NONE, &cp), 0);
    assert_int_equal(cp, 0xfffd);
}

// The byte-at-a-time check must agree with itself wherever the bad byte stands in the 8-byte words.
static void the_valid_prefix_ends_at_the_first_bad_byte(void **state)
{
    (void)state;
    char text[40];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        text[at] = '\xff';
        assert_int_equal(utf8_valid_prefix(str_slice(text, sizeof text)), at);
    }
    assert_int_equal(utf8_valid_prefix(STR("caf\xc3\xa9 \xf0\x9f\x98\x80!\xf0\x9f")), 11);
}

static void what_can_never_be_completed_is_not_held_back(void **state)
{
    (void)state;
    assert_int_equal(utf8_incomplete_tail(STR("ab")), 0);
    assert_int_equal(utf8_incomplete_tail(STR("\xe2\x82\xac")), 0);
    assert_int_equal(utf8_incomplete_tail(STR("\xff")), 0);
    assert_int_equal(utf8_incomplete_tail(STR("\x80\x80\x80")), 0);
    assert_int_equal(utf8_incomplete_tail(STR("\xe0\x80")), 0); // already overlong
    assert_int_equal(utf8_incomplete_tail(STR("\xed\xa0")), 0); // already a surrogate
    assert_int_equal(utf8_incomplete_tail(STR("\xc3(")), 0);
    assert_int_equal(utf8_incomplete_tail(STR("x\xf0\x9f\x98")), 3);
    assert_int_equal(utf8_incomplete_tail(STR_NONE), 0);
}

// flenniken/utf8tests: a line is NUMBER:valid:BYTES or NUMBER:invalid:BYTES.
static void the_published_cases_agree(void **state)
{
    (void)state;
    const char *path = shared_data_path("data/utf8tests/utf8tests.bin");
    if (!path) {
        print_message("skipped: data/utf8tests is not among the shared data\n");
        skip();
    }
    struct buf file;
    assert_int_equal(fs_read(path, 1 << 20, &file, NULL), ERR_OK);
    str rest = buf_str(&file), line, number, kind;
    size_t valid = 0, invalid = 0;
    while (str_split(&rest, '\n', &line)) {
        assert_true(str_split(&line, ':', &number) && str_split(&line, ':', &kind));
        bool should = str_eq(kind, STR("valid"));
        if (utf8_valid(line) != should)
            fail_msg("case %.*s should be %.*s", STR_ARG(number), STR_ARG(kind));
        valid += should;
        invalid += !should;
    }
    assert_true(valid > 15 && invalid > 50);
    buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_goes_round),
        cmocka_unit_test(malformed_shapes_are_refused),
        cmocka_unit_test(the_valid_prefix_ends_at_the_first_bad_byte),
        cmocka_unit_test(what_can_never_be_completed_is_not_held_back),
        cmocka_unit_test(the_published_cases_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
