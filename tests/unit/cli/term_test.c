// REQ: SEC-2 ENG-11
// What a model or its file says, shown on a terminal.
#include "cli/term.h"
#include "support/unit.h"

static void shows(str text, bool lines, const char *want)
{
    struct buf out;
    buf_init(&out, 4096);
    term_text(&out, text, lines);
    assert_string_equal(buf_cstr(&out), want);
    buf_done(&out);
}

#define MARK "\xef\xbf\xbd"

static void text_stays_as_it_is(void **state)
{
    (void)state;
    shows(STR(""), true, "");
    shows(STR("plain äöü 漢字 🙂 \xc2\xa0"), true, "plain äöü 漢字 🙂 \xc2\xa0");
    shows(STR("two\nlines\tand a tab"), true, "two\nlines\tand a tab");
}

static void nothing_commands_the_terminal(void **state)
{
    (void)state;
    shows(STR("\x1b]0;title\a"), true, MARK "]0;title" MARK);
    shows(STR("\x1b[2Jgone\r\b\x7f"), true, MARK "[2Jgone" MARK MARK MARK);
    shows(STR("\xc2\x9b"
              "31m"),
          true, MARK "31m"); // C1 as UTF-8
    shows(str_slice("a\0b", 3), true, "a" MARK "b");
    shows(STR("cut \xc2"), true, "cut \xc2");
}

static void a_field_is_one_line(void **state)
{
    (void)state;
    shows(STR("name\nforged   line\t"), false, "name" MARK "forged   line" MARK);
}

static void sizes_are_readable(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(term_bytes(0, out), "0 B");
    assert_string_equal(term_bytes(999, out), "999 B");
    assert_string_equal(term_bytes(1234, out), "1.2 kB");
    assert_string_equal(term_bytes(98362432, out), "98 MB");
    assert_string_equal(term_bytes(UINT64_MAX, out), "18446744 TB");
}

static void counts_are_readable(void **state)
{
    (void)state;
    char out[16];
    assert_string_equal(term_count(0, out), "0");
    assert_string_equal(term_count(999, out), "999");
    assert_string_equal(term_count(12345, out), "12.3 K");
    assert_string_equal(term_count(134515008, out), "134.5 M");
    assert_string_equal(term_count(1100048384, out), "1.1 B");
    assert_string_equal(term_count(UINT64_MAX, out), "18446744.1 T");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_stays_as_it_is), cmocka_unit_test(nothing_commands_the_terminal),
        cmocka_unit_test(a_field_is_one_line), cmocka_unit_test(sizes_are_readable),
        cmocka_unit_test(counts_are_readable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
