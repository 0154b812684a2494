// Normalisation form C, and what is left alone.
// REQ: ENG-2
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/random.h"
#include "base/utf8.h"
#include "engine/text/nfc.h"
#include "support/unit.h"

static void check(str text, str want)
{
    struct buf scratch;
    str got;
    buf_init(&scratch, 1 << 20);
    assert_int_equal(nfc_normalize(text, &scratch, &got), ERR_OK);
    assert_true(str_eq(got, want));
    buf_done(&scratch);
}

// Pairs of the Unicode standard, annex 15.
static void known_pairs_compose(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"e\xcc\x81", "é"},
        {"x e\xcc\x81 y", "x é y"},
        {"s\xcc\x87\xcc\xa3", "ṩ"},                     // marks are put in order
        {"\xe2\x84\xab", "Å"},                          // Ångström sign
        {"\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한"}, // Hangul
        {"q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87"},
        {"\xef\xac\x81", "ﬁ"}, // compatibility forms stay
        {"caf\xc3\xa9", "café"},
        {"\xff"
         "e\xcc\x81\xfe",
         "\xff"
         "é\xfe"}, // bad bytes stay
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        check(str_of(pairs[i][0]), str_of(pairs[i][1]));
}

// Cut into segments or whole: the same as the library's own NFC.
static void segments_make_no_difference(void **state)
{
    (void)state;
    static const uint32_t points[] = {'a',    'e',    ' ',    0xe9,   0x301,  0x323,
                                      0x307,  0x1100, 0x1161, 0x11a8, 0xac00, 0x2126,
                                      0x4e2d, 0x915,  0x93c,  0x1f600};
    struct random r;
    random_seed(&r, 9);
    for (size_t turn = 0; turn < 5000; turn++) {
        char text[200];
        size_t len = 0, n = (size_t)random_below(&r, 40);
        for (size_t i = 0; i < n; i++)
            len += utf8_encode(points[random_below(&r, ARRAY_LEN(points))], text + len);
        text[len] = '\0';
        utf8proc_uint8_t *want = utf8proc_NFC((const utf8proc_uint8_t *)text);
        assert_non_null(want);
        check(str_slice(text, len), str_of((const char *)want));
        free(want);
    }
}

static void endless_marks_stay_as_they_are(void **state)
{
    (void)state;
    static char text[2 * 1000];
    for (size_t i = 0; i < sizeof text; i += 2)
        for (size_t k = 0; k < 2; k++)
            text[i + k] = (i % 4 ? "\xcc\xa3" : "\xcc\x81")[k];
    check(str_slice(text, sizeof text), str_slice(text, sizeof text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_pairs_compose),
        cmocka_unit_test(segments_make_no_difference),
        cmocka_unit_test(endless_marks_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
