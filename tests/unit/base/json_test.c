// REQ: API-10 SEC-3
// The JSON reader takes what RFC 8259 allows and nothing else; duplicate members are seen through
// their escapes; depth, size and count have bounds; numbers keep every digit; errors have a place.
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "support/shared_data.h"
#include "support/unit.h"

static enum err parse(const char *text, struct diag *d)
{
    struct json_doc doc;
    enum err e = json_parse(&doc, str_of(text), JSON_LIMITS_DEFAULT, d);
    if (e == ERR_OK)
        json_done(&doc);
    return e;
}

static struct json_doc must_parse(str text)
{
    struct json_doc doc = {0};
    struct diag d = {0};
    if (json_parse(&doc, text, JSON_LIMITS_DEFAULT, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return doc;
}

// nst/JSONTestSuite: y_ must be taken, n_ refused, i_ may go either way. Two y_ cases repeat a
// member, which RFC 8259 leaves open and weir refuses: two readers of one body must not disagree.
static void the_published_suite_agrees(void **state)
{
    (void)state;
    const char *folder = shared_data_path("data/jsontestsuite/test_parsing");
    if (!folder) {
        print_message("skipped: data/jsontestsuite is not among the shared data\n");
        skip();
    }
    DIR *d = opendir(folder);
    assert_non_null(d);
    const struct dirent *e;
    int taken = 0, refused = 0, free_choice = 0;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        char path[1400];
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        struct buf file;
        struct json_doc doc;
        assert_int_equal(fs_read(path, 1 << 20, &file, NULL), ERR_OK);
        enum err result = json_parse(&doc, buf_str(&file), JSON_LIMITS_DEFAULT, NULL);
        if (result == ERR_OK)
            json_done(&doc);
        buf_done(&file);
        bool duplicates = strncmp(e->d_name, "y_object_duplicated_key", 23) == 0;
        if (duplicates ? result != ERR_INVALID
                       : (e->d_name[0] == 'y' && result != ERR_OK) ||
                             (e->d_name[0] == 'n' && result == ERR_OK))
            fail_msg("%s: %s", e->d_name, err_name(result));
        taken += e->d_name[0] == 'y';
        refused += e->d_name[0] == 'n';
        free_choice += e->d_name[0] == 'i';
    }
    closedir(d);
    assert_true(taken > 90 && refused > 180 && free_choice > 30);
}

static void texts_outside_the_grammar_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t line, col;
    } bad[] = {
        {"{\"a\":1,}", 1, 7}, {"[1,\n 2,\n x]", 3, 2},
        {"{\"a\" 1}", 1, 6},  {"[\"\xc3\xa9\xc3\xa9\", ?]", 1, 8}, // columns are characters
        {"[1] 2", 1, 5},      {"[01]", 1, 2},
        {"nul", 1, 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct diag d = {0};
        assert_int_equal(parse(bad[i].text, &d), ERR_PARSE);
        assert_int_equal(d.line, bad[i].line);
        assert_int_equal(d.col, bad[i].col);
        assert_non_null(strstr(d.text, "not valid JSON"));
    }
    const char *const more[] = {
        "",         " ",     "[1,2", "{\"a\":", "\"\\u12\"", "\"\\ud800\"",    "'a'",
        "[NaN]",    "[+1]",  "[.5]", "[1.]",    "/*c*/1",    "\xef\xbb\xbf{}", "\"\xff\"",
        "\"a\nb\"", "tru e", "[1]]", "{1:2}"};
    for (size_t i = 0; i < ARRAY_LEN(more); i++)
        assert_int_equal(parse(more[i], NULL), ERR_PARSE);
}

static void a_repeated_member_is_refused_even_when_escaped_otherwise(void **state)
{
    (void)state;
    struct diag d = {0};
    assert_int_equal(parse("{\"model\":\"a\",\n  \"m\\u006fdel\":\"b\"}", &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "\"model\""));
    assert_int_equal(d.line, 2);
    assert_int_equal(d.col, 3);
    assert_int_equal(parse("[{\"x\":{\"\":1,\"\":2}}]", NULL), ERR_INVALID);
    assert_int_equal(parse("{\"a\\u0000b\":1,\"a\\u0000b\":1}", NULL), ERR_INVALID);
    assert_int_equal(parse("{\"a\\u0000b\":1,\"a\\u0000c\":1}", NULL), ERR_OK);
    assert_int_equal(parse("{\"a\":{\"a\":1},\"b\":{\"a\":1}}", NULL), ERR_OK);
}

// Objects of any size: the small and the large path agree, wherever the repeated one stands.
static void repeats_are_found_among_few_and_among_many(void **state)
{
    (void)state;
    for (int members = 2; members <= 600; members = members * 3 / 2 + 1) {
        for (int twice = -1; twice < members - 1; twice += members / 3 + 1) {
            struct buf text;
            struct json_doc doc;
            buf_init(&text, 1 << 20);
            for (int i = 0; i < members; i++)
                buf_printf(&text, "%s\"k%d\":[%d]", i ? "," : "{",
                           i == members - 1 && twice >= 0 ? twice : i, i);
            buf_append_char(&text, '}');
            enum err e = json_parse(&doc, buf_str(&text), JSON_LIMITS_DEFAULT, NULL);
            assert_int_equal(e, twice >= 0 ? ERR_INVALID : ERR_OK);
            if (e == ERR_OK)
                json_done(&doc);
            buf_done(&text);
        }
    }
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    struct json_limits limits = {1 << 20, 3, 1000};
    struct json_doc doc;
    struct diag d = {0};
    assert_int_equal(json_parse(&doc, STR("[[{\"a\":1}]]"), limits, &d), ERR_OK);
    json_done(&doc);
    assert_int_equal(json_parse(&doc, STR("[[{\"a\":[]}]]"), limits, &d), ERR_LIMIT);
    assert_int_equal(d.col, 8);
    assert_int_equal(json_parse(&doc, STR("[\"[[[[[[[\\\"[[[\"]"), limits, &d), ERR_OK);
    json_done(&doc);
    char deep[100000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(json_parse(&doc, str_slice(deep, sizeof deep), JSON_LIMITS_DEFAULT, &d),
                     ERR_LIMIT);
}

static void values_are_counted_exactly(void **state)
{
    (void)state;
    struct json_limits limits = {1 << 20, 10, 4};
    struct json_doc doc;
    const char *const fit[] = {"[1,2,3]", "{\"a\":[ ],\"b\":{}, \"c\" : \"x,y,[\"}", "[[[[]]]]",
                               "1"};
    for (size_t i = 0; i < ARRAY_LEN(fit); i++) {
        assert_int_equal(json_parse(&doc, str_of(fit[i]), limits, NULL), ERR_OK);
        json_done(&doc);
    }
    const char *const over[] = {"[1,2,3,4]", "{\"a\":[1],\"b\":[2]}", "[[[[[]]]]]"};
    for (size_t i = 0; i < ARRAY_LEN(over); i++)
        assert_int_equal(json_parse(&doc, str_of(over[i]), limits, NULL), ERR_LIMIT);
}

static void size_is_bounded_exactly(void **state)
{
    (void)state;
    struct json_doc doc;
    assert_int_equal(json_parse(&doc, STR("[1,2]"), (struct json_limits){5, 9, 9}, NULL), ERR_OK);
    json_done(&doc);
    assert_int_equal(json_parse(&doc, STR("[1,2]"), (struct json_limits){4, 9, 9}, NULL),
                     ERR_LIMIT);
}

static void every_refused_allocation_is_an_error(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 1 << 20);
    for (int i = 0; i < 100; i++)
        buf_printf(&text, "%s\"k%d\":%d", i ? "," : "{", i, i);
    buf_append_char(&text, '}');
    bool ended = false;
    for (uint32_t n = 1; n < 100 && !ended; n++) {
        struct json_doc doc;
        mem_fail_after(n);
        enum err e = json_parse(&doc, buf_str(&text), JSON_LIMITS_DEFAULT, NULL);
        mem_fail_after(0);
        ended = e == ERR_OK;
        if (ended)
            json_done(&doc);
        else
            assert_int_equal(e, ERR_NOMEM);
    }
    assert_true(ended);
    buf_done(&text);
}

static void integers_lose_nothing(void **state)
{
    (void)state;
    struct json_doc doc = must_parse(
        STR("{\"max\":9223372036854775807,\"min\":-9223372036854775808,\"odd\":9007199254740993,"
            "\"over\":9223372036854775808,\"e\":1e3,\"frac\":1.5,\"zero\":-0,\"big\":1e20,"
            "\"edge\":9007199254740992.0,\"text\":\"1\",\"huge\":1e999}"));
    int64_t v = 0;
    assert_true(json_is_int(json_get(doc.root, "max"), &v) && v == INT64_MAX);
    assert_true(json_is_int(json_get(doc.root, "min"), &v) && v == INT64_MIN);
    assert_true(json_is_int(json_get(doc.root, "odd"), &v) && v == 9007199254740993);
    assert_true(json_is_int(json_get(doc.root, "e"), &v) && v == 1000);
    assert_true(json_is_int(json_get(doc.root, "zero"), &v) && v == 0);
    assert_true(json_is_int(json_get(doc.root, "edge"), &v) && v == 9007199254740992);
    const char *const not_int[] = {"over", "frac", "big", "text", "huge", "absent"};
    for (size_t i = 0; i < ARRAY_LEN(not_int); i++)
        assert_false(json_is_int(json_get(doc.root, not_int[i]), &v));
    double f = 0;
    assert_true(json_is_num(json_get(doc.root, "frac"), &f) && f == 1.5);
    assert_true(json_is_num(json_get(doc.root, "over"), &f) && f == 0x1p63);
    assert_false(json_is_num(json_get(doc.root, "huge"), &f));
    assert_false(json_is_num(json_get(doc.root, "text"), &f));
    assert_true(str_eq(json_num_text(json_get(doc.root, "edge")), STR("9007199254740992.0")));
    assert_null(json_num_text(json_get(doc.root, "text")).ptr);
    json_done(&doc);
}

static void types_have_names_people_know(void **state)
{
    (void)state;
    struct json_doc doc = must_parse(STR("[{},[],\"\",1,-1,1.0,1e1,true,null]"));
    const char *const want[] = {"object", "array",  "string",  "integer", "integer",
                                "number", "number", "boolean", "null"};
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_string_equal(json_type_name(yyjson_arr_get(doc.root, i)), want[i]);
    assert_string_equal(json_type_name(NULL), "nothing");
    assert_null(json_get(doc.root, "x"));
    assert_null(json_get(NULL, "x"));
    assert_null(json_str(doc.root).ptr);
    assert_non_null(json_str(yyjson_arr_get(doc.root, 2)).ptr); // empty, and still a string
    json_done(&doc);
    json_done(&doc);
}

static void strings_keep_nul_and_unicode(void **state)
{
    (void)state;
    struct json_doc doc = must_parse(STR("[\"a\\u0000b\",\"\\ud83d\\ude00\",\"\\/\"]"));
    assert_true(str_eq(json_str(yyjson_arr_get(doc.root, 0)), STR("a\0b")));
    assert_true(str_eq(json_str(yyjson_arr_get(doc.root, 1)), STR("\xf0\x9f\x98\x80")));
    assert_true(str_eq(json_str(yyjson_arr_get(doc.root, 2)), STR("/")));
    json_done(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite_agrees),
        cmocka_unit_test(texts_outside_the_grammar_are_refused_with_their_place),
        cmocka_unit_test(a_repeated_member_is_refused_even_when_escaped_otherwise),
        cmocka_unit_test(repeats_are_found_among_few_and_among_many),
        cmocka_unit_test(depth_is_bounded_exactly),
        cmocka_unit_test(values_are_counted_exactly),
        cmocka_unit_test(size_is_bounded_exactly),
        cmocka_unit_test(every_refused_allocation_is_an_error),
        cmocka_unit_test(integers_lose_nothing),
        cmocka_unit_test(types_have_names_people_know),
        cmocka_unit_test(strings_keep_nul_and_unicode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
