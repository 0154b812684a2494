// REQ: API-10
// Errors have stable names; what a person reads says the place first and never overruns.
#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "support/unit.h"

static void every_error_has_its_own_stable_name(void **state)
{
    (void)state;
    for (int a = 0; a < ERR_COUNT; a++) {
        assert_non_null(err_name((enum err)a));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(err_name((enum err)a), err_name((enum err)b));
    }
    assert_string_equal(err_name(ERR_OK), "ok");
    assert_string_equal(err_name(ERR_NOT_FOUND), "not_found");
    assert_string_equal(err_name((enum err)ERR_COUNT), "unknown");
    assert_string_equal(err_name((enum err) - 1), "unknown");
}

static void a_diag_is_said_with_as_much_of_its_place_as_is_known(void **state)
{
    (void)state;
    char out[640];
    struct diag d;
    assert_int_equal(diag_set(&d, ERR_PARSE, "no %s here", "comma"), ERR_PARSE);
    assert_int_equal(d.code, ERR_PARSE);
    assert_string_equal(diag_format(&d, out, sizeof out), "no comma here");
    diag_place(&d, 3, 7);
    assert_string_equal(diag_format(&d, out, sizeof out), "3:7: no comma here");
    diag_where(&d, "%s.yaml", "weir");
    assert_string_equal(diag_format(&d, out, sizeof out), "weir.yaml:3:7: no comma here");
    diag_place(&d, 3, 0);
    assert_string_equal(diag_format(&d, out, sizeof out), "weir.yaml:3: no comma here");
    diag_place(&d, 0, 0);
    assert_string_equal(diag_format(&d, out, sizeof out), "weir.yaml: no comma here");
}

static void a_sentence_cannot_command_a_terminal(void **state)
{
    (void)state;
    struct diag d;
    char out[64];
    diag_set(&d, ERR_PARSE,
             "arch \x1b]0;x\a \x7f\r\n\t \xc2\x9b"
             "31m \xc3\xa9 \xc2\xa0");
    diag_format(&d, out, sizeof out);
    assert_string_equal(out, "arch ?]0;x? ???? ??31m \xc3\xa9 \xc2\xa0");
    diag_set(&d, ERR_PARSE, "cut \xc2");
    assert_string_equal(diag_format(&d, out, sizeof out), "cut \xc2");
}

static void a_system_error_adds_the_system_s_reason(void **state)
{
    (void)state;
    struct diag d;
    assert_int_equal(diag_sys(&d, ERR_IO, ENOENT, "cannot open %s", "x"), ERR_IO);
    assert_int_equal(d.sys, ENOENT);
    assert_string_equal(d.text, "cannot open x: No such file or directory");
}

static void a_new_error_forgets_the_old_place(void **state)
{
    (void)state;
    struct diag d;
    diag_sys(&d, ERR_IO, EIO, "one");
    diag_place(&d, 1, 2);
    diag_where(&d, "there");
    diag_set(&d, ERR_LIMIT, "two");
    assert_int_equal(d.sys, 0);
    assert_int_equal(d.line, 0);
    assert_string_equal(d.where, "");
}

static void an_error_may_be_wrapped_in_its_own_words(void **state)
{
    (void)state;
    struct diag d;
    diag_set(&d, ERR_PARSE, "inner");
    diag_set(&d, ERR_INVALID, "outer (%s)", d.text);
    assert_string_equal(d.text, "outer (inner)");
    diag_where(&d, "a");
    diag_where(&d, "b/%s", d.where);
    assert_string_equal(d.where, "b/a");
}

static void long_words_are_cut_and_terminated(void **state)
{
    (void)state;
    char big[2000], out[16];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    struct diag d;
    diag_sys(&d, ERR_IO, ENOENT, "%s", big);
    assert_int_equal(strlen(d.text), sizeof d.text - 1);
    diag_where(&d, "%s", big);
    assert_int_equal(strlen(d.where), sizeof d.where - 1);
    assert_int_equal(strlen(diag_format(&d, out, sizeof out)), sizeof out - 1);
}

static void nobody_need_listen(void **state)
{
    (void)state;
    assert_int_equal(diag_set(NULL, ERR_BUSY, "x"), ERR_BUSY);
    assert_int_equal(diag_sys(NULL, ERR_IO, EIO, "x"), ERR_IO);
    diag_where(NULL, "x");
    diag_place(NULL, 1, 1);
}

static enum err forward(enum err e, int *reached)
{
    ERR_TRY(e);
    *reached = 1;
    return ERR_OK;
}

static void err_try_forwards_errors_only(void **state)
{
    (void)state;
    int reached = 0;
    assert_int_equal(forward(ERR_TIMEOUT, &reached), ERR_TIMEOUT);
    assert_int_equal(reached, 0);
    assert_int_equal(forward(ERR_OK, &reached), ERR_OK);
    assert_int_equal(reached, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_own_stable_name),
        cmocka_unit_test(a_diag_is_said_with_as_much_of_its_place_as_is_known),
        cmocka_unit_test(a_sentence_cannot_command_a_terminal),
        cmocka_unit_test(a_system_error_adds_the_system_s_reason),
        cmocka_unit_test(a_new_error_forgets_the_old_place),
        cmocka_unit_test(an_error_may_be_wrapped_in_its_own_words),
        cmocka_unit_test(long_words_are_cut_and_terminated),
        cmocka_unit_test(nobody_need_listen),
        cmocka_unit_test(err_try_forwards_errors_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
