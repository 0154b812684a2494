// REQ: SEC-3
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/head.h"

static void headers_are_found_by_name_without_case(void **state)
{
    (void)state;
    struct http_headers h = {.len = 0};
    assert_int_equal(http_headers_add(&h, STR("Content-Type"), STR("a")), ERR_OK);
    assert_int_equal(http_headers_add(&h, STR("X"), STR("1")), ERR_OK);
    assert_int_equal(http_headers_add(&h, STR("x"), STR("2")), ERR_OK);
    assert_true(str_eq(http_headers_get(&h, STR("content-type")), STR("a")));
    assert_true(str_eq(http_headers_get(&h, STR("x")), STR("1")));
    assert_null(http_headers_get(&h, STR("content-typ")).ptr);
    assert_int_equal(http_header_count(h.items, h.len, STR("X")), 2);
}

static void a_full_list_says_so(void **state)
{
    (void)state;
    struct http_headers h = {.len = 0};
    for (int i = 0; i < HTTP_HEADERS_MAX; i++)
        assert_int_equal(http_headers_add(&h, STR("a"), STR("b")), ERR_OK);
    assert_int_equal(http_headers_add(&h, STR("a"), STR("b")), ERR_LIMIT);
    assert_int_equal(h.len, HTTP_HEADERS_MAX);
}

static void lists_are_searched_by_item(void **state)
{
    (void)state;
    assert_true(http_list_has(STR("keep-alive, Close"), STR("close")));
    assert_true(http_list_has(STR(" upgrade ,x"), STR("upgrade")));
    assert_false(http_list_has(STR("closed, disclose"), STR("close")));
    assert_false(http_list_has(STR(""), STR("close")));
}

// Against the definitions, every byte at every place of a word and its rest.
static void bytes_that_may_stand_in_heads_are_those_of_the_standard(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool token = alnum || (c > 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        bool value = (c >= 0x20 && c != 0x7f) || c == '\t';
        assert_int_equal(http_token_ok(str_slice(&one, 1)), token);
        for (size_t len = 1; len < 27; len++) {
            for (size_t at = 0; at < len; at++) {
                char text[27];
                memset(text, at % 2 ? 'a' : '\x80', sizeof text);
                text[at] = one;
                assert_int_equal(http_value_ok(str_slice(text, len)), value);
            }
        }
    }
    assert_false(http_token_ok(STR("")));
    assert_true(http_value_ok(STR("")));
}

static void statuses_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(431), "Request Header Fields Too Large");
    assert_string_equal(http_status_text(299), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_by_name_without_case),
        cmocka_unit_test(a_full_list_says_so),
        cmocka_unit_test(lists_are_searched_by_item),
        cmocka_unit_test(bytes_that_may_stand_in_heads_are_those_of_the_standard),
        cmocka_unit_test(statuses_have_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
