// JSON byte by byte is taken exactly where the parser takes it whole.
// REQ: API-12
#include <string.h>

#include "base/json.h"
#include "base/json_steps.h"
#include "support/unit.h"

// Whether the text, blanks after it left out, is one object or array.
static bool stepped(const char *text, size_t len)
{
    struct json_steps s = {0};
    while (len && strchr(" \n\t\r", text[len - 1]))
        len--;
    for (size_t i = 0; i < len; i++) {
        enum json_step step = json_steps_feed(&s, text[i]);
        if (step != JSON_STEP_MORE)
            return step == JSON_STEP_DONE && i + 1 == len;
    }
    return false;
}

static bool parsed(const char *text, size_t len)
{
    struct json_doc doc;
    if (json_parse(&doc, str_slice(text, len), JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    bool bracket = yyjson_is_obj(doc.root) || yyjson_is_arr(doc.root);
    json_done(&doc);
    return bracket;
}

static const char *const TEXTS[] = {
    "{}",
    "[]",
    " { } ",
    "{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}",
    "[0,-0,1.5,1e5,1E-5,-12.50e+3,10]",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"]",
    "[[[[]]],{}, {\"x\" : [ ] }]",
    "{\"k\" : \"v\" , \"l\":[1 , 2 ]}",
    "[\"a b\", \"\"]",
};

static void whole_texts_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        assert_true(stepped(TEXTS[i], strlen(TEXTS[i])));
}

// Each byte of each text, changed to each of these, left out or doubled.
static void damaged_texts_are_taken_where_the_parser_takes_them(void **state)
{
    (void)state;
    static const char OTHERS[] = "{}[]\",:0-.eE+ \\ut\n";
    size_t agreed = 0;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++)
        for (size_t at = 0, len = strlen(TEXTS[i]); at < len; at++)
            for (size_t o = 0; o < sizeof OTHERS + 1; o++) {
                char text[128];
                size_t n = len;
                memcpy(text, TEXTS[i], len);
                if (o < sizeof OTHERS - 1) {
                    text[at] = OTHERS[o];
                } else if (o == sizeof OTHERS - 1) {
                    memmove(text + at, text + at + 1, --n - at);
                } else {
                    memmove(text + at + 1, text + at, n++ - at);
                }
                if (stepped(text, n) != parsed(text, n))
                    fail_msg("%.*s: taken %d", (int)n, text, stepped(text, n));
                agreed += stepped(text, n);
            }
    assert_true(agreed > 100);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct json_steps s = {0};
    for (size_t i = 0; i < JSON_STEPS_DEPTH_MAX; i++)
        assert_int_equal(json_steps_feed(&s, '['), JSON_STEP_MORE);
    assert_int_equal(json_steps_feed(&s, '['), JSON_STEP_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_texts_are_taken),
        cmocka_unit_test(damaged_texts_are_taken_where_the_parser_takes_them),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
