// JSON Schemas as automata: what they say and what they do not, what is refused and by which name.
//
// REQ: ENG-8
#include <time.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/random.h"
#include "engine/grammar/grammar.h"
#include "support/grammar_words.h"
#include "support/unit.h"

static struct token_trie trie;

static int set_up(void **state UNUSED)
{
    grammar_words_trie(&trie);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    token_trie_done(&trie);
    return 0;
}

static struct automaton *of_schema(const char *text, struct diag *d)
{
    const struct grammar_part part = {.kind = GRAMMAR_SCHEMA, .text = str_of(text)};
    struct automaton *a;
    *d = (struct diag){0};
    return grammar_compile(&part, 1, &trie, &a, d) == ERR_OK ? a : NULL;
}

struct row {
    const char *schema;
    const char *fits[6], *not[6];
};

static void check_row(const struct row *r)
{
    struct diag d;
    struct automaton *a = of_schema(r->schema, &d);
    if (!a)
        fail_msg("%s: %s", r->schema, d.text);
    for (size_t i = 0; i < ARRAY_LEN(r->fits) && r->fits[i]; i++)
        if (!grammar_fits(a, str_of(r->fits[i])))
            fail_msg("%s does not take %s", r->schema, r->fits[i]);
    for (size_t i = 0; i < ARRAY_LEN(r->not) && r->not[i]; i++)
        if (grammar_fits(a, str_of(r->not[i])))
            fail_msg("%s takes %s", r->schema, r->not[i]);
    automaton_free(a);
}

static void test_scalars(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"type\":\"boolean\"}", {"true", "false"}, {"null", "tru", "\"true\""}},
        {"{\"type\":\"null\"}", {"null"}, {"0"}},
        {"{\"type\":\"integer\"}",
         {"0", "-5", "123456789012345"},
         {"01", "-0", "1.0", "1e3", "+1", "1234567890123456"}},
        {"{\"type\":\"number\"}",
         {"0", "-0.5", "1.5e-3", "12E+4"},
         {"1.", ".5", "00", "1e", "- 1"}},
        {"{\"type\":\"string\"}",
         {"\"\"", "\"a\\n\\u00e9\xC3\xA9\"", "\"\\uD83D\\uDE00\""},
         {"\"a", "\"\n\"", "\"\\x\"", "\"\\uD83D\"", "\"\\uDE00\"", "\"\xC3\""}},
        {"{\"type\":[\"string\",\"null\"]}", {"\"a\"", "null"}, {"1", "true"}},
        {"{\"type\":\"string\",\"nullable\":true}", {"null", "\"\""}, {"0"}},
        {"{\"const\":{\"a\":[1,\"x\"]}}", {"{\"a\":[1,\"x\"]}"}, {"{}"}},
        {"{\"enum\":[\"red\",\"green\",7,null,1.50]}",
         {"\"red\"", "7", "null", "1.50"},
         {"\"re\"", "8", "red"}},
        {"{\"type\":\"string\",\"enum\":[\"a\",1]}", {"\"a\""}, {"1"}},
        {"{\"minLength\":2,\"maxLength\":3,\"type\":\"string\"}",
         {"\"ab\"", "\"a\\nb\"", "\"\xC3\xA9\xC3\xA9\""},
         {"\"a\"", "\"abcd\""}},
        {"{\"pattern\":\"^[a-c]+$\",\"maxLength\":3}", {"\"abc\""}, {"\"\"", "\"abca\"", "\"d\""}},
        {"{\"pattern\":\"b\"}", {"\"abc\"", "\"b\""}, {"\"ac\""}},
        {"{\"allOf\":[{\"pattern\":\"^a\"},{\"pattern\":\"b$\"}],\"type\":\"string\"}",
         {"\"ab\"", "\"axxb\""},
         {"\"a\"", "\"b\"", "\"ba\""}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_ranges(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":120}",
         {"5", "9", "10", "99", "100", "120"},
         {"4", "121", "1200", "-5", "05", "0"}},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":-3,\"exclusiveMaximum\":3}",
         {"-2", "-1", "0", "2"},
         {"-3", "3", "-0", "-10", "1.0"}},
        {"{\"type\":\"integer\",\"maximum\":-10}", {"-10", "-11", "-99999"}, {"-9", "10", "0"}},
        {"{\"type\":\"integer\",\"minimum\":1.5}", {"2", "100"}, {"1", "0", "-2"}},
        {"{\"type\":\"integer\",\"minimum\":0,\"multipleOf\":7}",
         {"0", "7", "49", "700"},
         {"1", "8", "71", "-7"}},
        {"{\"type\":\"integer\",\"minimum\":10,\"maximum\":10}", {"10"}, {"1", "11", "100"}},
        {"{\"type\":\"number\",\"minimum\":0.25,\"exclusiveMaximum\":1}",
         {"0.25", "0.3", "0.999999", "0.250"},
         {"0.2", "0.24", "1", "1.0", "0", "-0.5"}},
        {"{\"type\":\"number\",\"minimum\":-1.5,\"maximum\":1.5}",
         {"-1.5", "-0.5", "0", "1.5", "1.49"},
         {"-1.51", "1.6", "2", "-0", "-2"}},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0}", {"0.1", "1", "17.5"}, {"0", "0.0", "-1"}},
        {"{\"type\":\"number\",\"minimum\":1e2,\"maximum\":12.5e1}",
         {"100", "125", "125.0", "110.7"},
         {"99", "125.1", "126"}},
        {"{\"type\":\"integer\",\"minimum\":0,\"exclusiveMinimum\":true}", {"1", "12"}, {"0"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_formats(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"format\":\"date\"}",
         {"\"2024-02-28\"", "\"1999-12-31\""},
         {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-01-01\"", "\"2024-04-31\""}},
        {"{\"format\":\"time\"}",
         {"\"23:59:59Z\"", "\"01:02:03.5+02:00\""},
         {"\"24:00:00Z\"", "\"12:00\""}},
        {"{\"format\":\"date-time\"}", {"\"2024-11-22T12:00:00Z\""}, {"\"2024-11-22 12:00:00Z\""}},
        {"{\"format\":\"uuid\"}", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\""}},
        {"{\"format\":\"ipv4\"}",
         {"\"127.0.0.1\"", "\"255.255.255.255\""},
         {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""}},
        {"{\"format\":\"email\"}",
         {"\"a.b@example.com\""},
         {"\"@example.com\"", "\"a@b\"", "\"a..b@example.com\""}},
        {"{\"format\":\"uri\"}",
         {"\"https://example.com/a?b=c#d\"", "\"http://a-b.example.org\""},
         {"\"example.com\"", "\"https://\""}},
        {"{\"format\":\"duration\"}", {"\"P3D\"", "\"P1DT2H\"", "\"PT5M\""}, {"\"P\"", "\"3D\""}},
        {"{\"type\":\"integer\",\"format\":\"int32\"}", {"5"}, {"\"5\""}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_objects(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":"
         "\"null\"},\"c\":{\"type\":\"boolean\"}},"
         "\"required\":[\"b\"]}",
         {"{\"b\":null}", "{\"a\":1,\"b\":null}", "{\"b\":null, \"c\":true}",
          "{ \"a\": 1,\n  \"b\": null\n}"},
         {"{}", "{\"a\":1}", "{\"b\":null,\"a\":1}", "{\"b\":null,}", "{,\"b\":null}",
          "{\"b\":null,\"x\":1}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}},"
         "\"additionalProperties\":false}",
         {"{}", "{\"a\":null}", "{\"b\":null}", "{\"a\":null,\"b\":null}"},
         {"{\"a\":null,\"a\":null}", "{\"b\":null,\"a\":null}"}},
        {"{\"properties\":{\"ab\":{\"type\":\"null\"}},\"additionalProperties\":{\"type\":"
         "\"integer\"}}",
         {"{\"ab\":null,\"x\":1}", "{\"a\":1}", "{\"abc\":1,\"b\":2}", "{\"\":5}"},
         {"{\"ab\":1}", "{\"x\":null}", "{\"x\":1,\"ab\":null}"}},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"},\"maxProperties\":2,"
         "\"minProperties\":1}",
         {"{\"a\":true}", "{\"a\":true,\"b\":false}"},
         {"{}", "{\"a\":true,\"b\":false,\"c\":true}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":"
         "\"null\"}},\"minProperties\":2}",
         {"{\"a\":null,\"c\":null}", "{\"a\":null,\"b\":null,\"c\":null}"},
         {"{}", "{\"b\":null}"}},
        {"{\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"},\"c\":{\"type\":"
         "\"null\"}},\"maxProperties\":1}",
         {"{}", "{\"b\":null}"},
         {"{\"a\":null,\"b\":null}"}},
        {"{\"type\":\"object\",\"required\":[\"n\"]}", {"{\"n\":[1,{}]}"}, {"{}", "{\"m\":1}"}},
        {"{\"type\":\"object\",\"patternProperties\":{\"^x-\":{\"type\":\"integer\"}}}",
         {"{}", "{\"x-a\":1, \"x-\":2}"},
         {"{\"a\":1}", "{\"x-a\":\"\"}"}},
        {"{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"object\",\"patternProperties\":{\"^[a-c]{1,2}"
         "$\":{"
         "\"type\":\"boolean\"}},\"additionalProperties\":false}]}",
         {"null", "{}", "{\"ab\":true,\"c\":false}"},
         {"{\"abc\":true}", "{\"a\":1}", "1"}},
        {"{\"type\":\"object\",\"maxProperties\":1,\"allOf\":[{\"patternProperties\":{\"^x\":{"
         "\"type\":"
         "\"null\"}}}]}",
         {"{}", "{\"x\":null}"},
         {"{\"y\":null}", "{\"x\":null,\"xx\":null}"}},
        {"{\"required\":null,\"properties\":{\"a\":{\"type\":\"null\",\"required\":false}}}",
         {"{}", "{\"a\":null}"},
         {"{\"a\":1}"}},
        {"{\"properties\":{\"a\\\"b\":{\"type\":\"null\"},\"\xC3\xA9\":{\"type\":\"null\"}}}",
         {"{\"a\\\"b\":null,\"\xC3\xA9\":null}"},
         {"{\"a\"b\":null}"}},
        {"{\"type\":\"object\"}", {"{}", "{\"a\":{\"b\":[1,\"x\",null]}}"}, {"[]", "{\"a\"}"}},
        {"{\"properties\":{\"a\":true,\"b\":false}}", {"{}", "{\"a\":[]}"}, {"{\"b\":1}"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_arrays(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}",
         {"[]", "[1]", "[1, 2,3]", "[ 1 ]"},
         {"[,]", "[1,]", "[\"a\"]", "[1 2]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":2,\"maxItems\":3}",
         {"[null,null]", "[null,null,null]"},
         {"[]", "[null]", "[null,null,null,null]"}},
        {"{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"maxItems\":0}", {"[]"}, {"[null]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}",
         {"[]", "[1]", "[1,\"a\"]"},
         {"[\"a\"]", "[1,\"a\",2]"}},
        {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],"
         "\"minItems\":2,\"items\":{\"type\":\"null\"}}",
         {"[1,\"a\"]", "[1,\"a\",null,null]"},
         {"[1]", "[1,\"a\",2]"}},
        {"{\"items\":[{\"type\":\"integer\"},{\"type\":\"null\"}],\"additionalItems\":false,"
         "\"minItems\":2}",
         {"[1,null]"},
         {"[1]", "[1,null,1]"}},
        {"{\"items\":{\"items\":{\"type\":\"boolean\"}},\"minItems\":1}",
         {"[[]]", "[[true],[]]"},
         {"[]", "[true]"}},
        {"{\"type\":\"array\"}", {"[]", "[1,{\"a\":[]}]"}, {"{}"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_unions_and_references(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"array\",\"items\":{\"type\":\"null\"}}]}",
         {"1", "[null]"},
         {"null", "[1]"}},
        {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"},\"x\":{\"type\":"
         "\"null\"}},\"required\":[\"k\"]},"
         "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
         {"{\"k\":\"a\",\"x\":null}", "{\"k\":\"b\"}"},
         {"{\"k\":\"b\",\"x\":null}", "{\"k\":\"c\"}"}},
        {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}},\"required\":"
         "[\"a\"]},"
         "{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}]}",
         {"{\"a\":null}", "{\"b\":null}"},
         {"{}", "{\"a\":null,\"b\":null}"}},
        {"{\"type\":\"object\",\"properties\":{\"v\":{\"$ref\":\"#/$defs/"
         "n\"}},\"required\":[\"v\"],\"$defs\":{\"n\":{\"type\":\"object\","
         "\"properties\":{\"next\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
         "n\"},{\"type\":\"null\"}]}},\"required\":[\"next\"],\"additionalProperties\":false}}}",
         {"{\"v\":{\"next\":null}}", "{\"v\":{\"next\":{\"next\":{\"next\":null}}}}"},
         {"{\"v\":{}}", "{\"v\":{\"next\":{}}}"}},
        {"{\"items\":{\"$ref\":\"#\"}}", {"[]", "[[],[[]]]"}, {"[1]"}},
        {"{\"allOf\":[{\"$ref\":\"#/definitions/a\"}],\"definitions\":{\"a\":{\"enum\":[\"x\"]}}}",
         {"\"x\""},
         {"\"y\""}},
        {"{\"allOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},"
         "\"required\":[\"a\"]},"
         "{\"properties\":{\"a\":{\"minimum\":5},\"b\":{\"type\":\"null\"}}}]}",
         {"{\"a\":5}", "{\"a\":7,\"b\":null}"},
         {"{\"a\":4}", "{}"}},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"},\"b\":{\"type\":\"null\"}}"
         ",\"anyOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}",
         {"{\"a\":null}", "{\"b\":null}", "{\"a\":null,\"b\":null}"},
         {"{}"}},
        {"{\"$ref\":\"#/$defs/a~1b/0\",\"$defs\":{\"a/b\":[{\"type\":\"null\"}]}}",
         {"null"},
         {"1"}},
        {"{\"$ref\":\"#/$defs/a~1b%20c%\",\"$defs\":{\"a/b c%\":{\"type\":\"null\"}}}",
         {"null"},
         {"1"}},
        {"{\"allOf\":[{\"$ref\":\"#/$defs/a\"},{\"$ref\":\"#/$defs/"
         "a\"}],\"$defs\":{\"a\":{\"type\":"
         "\"null\"}}}",
         {"null"},
         {"1"}},
        {"{}", {"1", "{\"a\":[null]}", "\"x\""}, {"x"}},
        {"{\"anyOf\":[{\"type\":\"integer\",\"minimum\":5,\"maximum\":1},{\"type\":\"null\"}]}",
         {"null"},
         {"3"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_row(&rows[i]);
}

static void test_what_cannot_be_held_is_named(void **state UNUSED)
{
    static const struct {
        const char *schema, *where;
    } rows[] = {
        {"{\"properties\":{\"a\":{\"not\":{}}}}", "#/properties/a/not"},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "#/uniqueItems"},
        {"{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"(?=a)\"}]}", "#/anyOf/0/pattern"},
        {"{\"type\":\"string\",\"format\":\"iban\"}", "#/format"},
        {"{\"$ref\":\"https://example.com/x\"}", "#/$ref"},
        {"{\"$ref\":\"#/$defs/x\"}", "#/$ref"},
        {"{\"type\":\"number\",\"multipleOf\":0.1}", "#/multipleOf"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "#/oneOf"},
        {"{\"oneOf\":[{\"type\":\"string\"},{\"properties\":{\"a\":{}}}]}", "#/oneOf"},
        {"{\"type\":\"objekt\"}", "#/type"},
        {"{\"enum\":[]}", "#/enum"},
        {"{\"type\":\"string\",\"minLength\":-1}", "#/minLength"},
        {"{\"properties\":{\"a\":{}},\"additionalProperties\":false,\"required\":[\"b\"]}",
         "#/required"},
        {"{\"additionalProperties\":{},\"maxProperties\":90000}", "#/maxProperties"},
        {"{\"properties\":{\"a\":{}},\"additionalProperties\":false,\"minProperties\":90000}",
         "#/minProperties"},
        {"{\"if\":{},\"then\":{}}", "#/if"},
        {"{\"properties\":{\"a\":{}},\"patternProperties\":{\"x\":{}}}", "#/patternProperties"},
        {"{\"patternProperties\":{\"^x\":{\"type\":\"null\"}},\"required\":[\"x\"]}",
         "#/patternProperties"},
        {"{\"additionalProperties\":false,\"anyOf\":[{\"patternProperties\":{\"^x\":{}}}]}",
         "#/anyOf/0/patternProperties"},
        {"{\"patternProperties\":{\"^x\":{}},\"allOf\":[{\"patternProperties\":{\"y$\":{}}}]}",
         "#/patternProperties"},
        {"{\"items\":{\"contains\":{}}}", "#/items/contains"},
        {"{\"required\":\"a\"}", "#/required"},
        {"{\"properties\":{\"a\":{\"type\":\"string\",\"required\":true}}}",
         "#/properties/a/required"},
        {"{\"$ref\":\"#a\",\"$defs\":{\"a\":{\"$anchor\":\"a\"}}}", "#/$ref"},
        {"{\"$ref\":5}", "#/$ref"},
        {"{\"$ref\":\"#\"}", "#"},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"allOf\":[{"
         "\"$ref\":\"#/$defs/a\"}]}}}",
         "#/$defs/a"},
        {"{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}", "#"},
        {"{\"properties\":{\"a\":{\"items\":{\"type\":\"integer\",\"minimum\":5,\"maximum\":3},"
         "\"minItems\":1}},\"required\":[\"a\"]}",
         "#/properties/a/items"},
        {"{\"properties\":{\"a\":{\"type\":\"string\",\"minLength\":5,\"maxLength\":3}},"
         "\"required\":["
         "\"a\"]}",
         "#/properties/a"},
        {"{\"const\":\"a\",\"pattern\":\"b\"}", "#/pattern"},
        {"{\"$defs\":{\"a\":{\"$ref\":\"#/$defs/a\"}},\"$ref\":\"#/$defs/"
         "a\",\"dependentRequired\":{}}",
         "#/dependentRequired"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag d;
        struct automaton *a = of_schema(rows[i].schema, &d);
        if (a || !str_eq_z(str_of(d.where), rows[i].where))
            fail_msg("%s: '%s' at %s", rows[i].schema, d.text, d.where);
    }
}

static void test_what_nothing_fits_is_refused(void **state UNUSED)
{
    static const char *const schemas[] = {
        "false",
        "{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}",
        "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        "3",
        "{\"type\":\"string\",\"maxLength\":900000,\"minLength\":800000}",
    };
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        struct diag d;
        assert_null(of_schema(schemas[i], &d));
        assert_true(strlen(d.text) > 10);
    }
}

static void add_objects(struct buf *b, int n, bool upwards)
{
    enum { MEMBERS = 20 };
    (void)buf_append_str(b, STR("{\"enum\":["));
    for (int i = 0; i < n; i++) {
        (void)buf_append_str(b, i ? STR(",{") : STR("{"));
        for (int k = 0; k < MEMBERS; k++)
            (void)buf_printf(b, "\"m%d\":7,", upwards ? k : MEMBERS - 1 - k);
        (void)buf_printf(b, "\"last\":%d}", i);
    }
    (void)buf_append_str(b, STR("]}"));
}

// A comparison takes what the values are, not one step: objects whose members stand in the opposite
// order are the dearest.
static void test_comparing_large_values_has_a_bound(void **state UNUSED)
{
    struct diag d = {0};
    struct buf b;
    for (int n = 3; n <= 1500; n += 1497) {
        buf_init(&b, 1 << 20);
        (void)buf_append_str(&b, STR("{\"allOf\":["));
        add_objects(&b, n, true);
        (void)buf_append_char(&b, ',');
        add_objects(&b, n, false);
        (void)buf_append(&b, "]}", sizeof "]}");
        struct automaton *a = of_schema(buf_ptr(&b), &d);
        assert_true(n == 3 ? a != NULL : !a && d.code == ERR_LIMIT);
        automaton_free(a);
        buf_done(&b);
    }
}

// Two lists of arrays that are apart: each pair is looked at once, without a walk to it.
static void test_lists_of_alternatives_are_compared_in_one_go(void **state UNUSED)
{
    enum { VALUES = 1500 };
    struct diag d = {0};
    struct buf b;
    buf_init(&b, 1 << 20);
    (void)buf_append_str(&b, STR("{\"oneOf\":["));
    for (int i = 0; i < 2 * VALUES; i++)
        (void)buf_printf(&b, "%s[%d]",
                         i == 0        ? "{\"enum\":["
                         : i == VALUES ? "]},{\"enum\":["
                                       : ",",
                         i);
    (void)buf_append(&b, "]}]}", sizeof "]}]}");
    struct timespec from, to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    struct automaton *a = of_schema(buf_ptr(&b), &d);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    assert_non_null(a);
    assert_true(to.tv_sec - from.tv_sec < 3); // a walk to each took six
    automaton_free(a);
    buf_done(&b);
}

// Short schemas that ask for long comparisons: refused in a moment, and a long list is none of
// them.
static void test_work_has_a_bound(void **state UNUSED)
{
    enum { NAMES = 60, DEPTH = 4, VALUES = 20000 };
    struct diag d = {0};
    struct buf b;
    buf_init(&b, 1 << 20);
    (void)buf_append_str(&b, STR("{\"$defs\":{"));
    for (int i = 0; i < DEPTH; i++) {
        (void)buf_printf(&b, "%s\"D%d\":{\"type\":\"object\",\"required\":[", i ? "," : "", i);
        for (int k = 0; k < NAMES; k++)
            (void)buf_printf(&b, "%s\"p%d\"", k ? "," : "", k);
        (void)buf_append_str(&b, STR("],\"properties\":{"));
        for (int k = 0; k < NAMES; k++)
            (void)buf_printf(&b, "%s\"p%d\":{\"$ref\":\"#/$defs/D%d\"}", k ? "," : "", k,
                             i + 1 < DEPTH ? i + 1 : i);
        (void)buf_append_str(&b, STR("}}"));
    }
    (void)buf_append_str(&b, STR("},\"oneOf\":[{\"$ref\":\"#/$defs/D0\"},"
                                 "{\"allOf\":[{\"$ref\":\"#/$defs/D0\"}]}]}"));
    (void)buf_append_char(&b, '\0');
    assert_null(of_schema(buf_ptr(&b), &d));
    assert_int_equal(d.code, ERR_LIMIT);
    buf_clear(&b);
    (void)buf_append_str(&b, STR("{\"enum\":["));
    for (int i = 0; i < VALUES; i++)
        (void)buf_printf(&b, "%s%d", i ? "," : "", 10000 + i);
    (void)buf_append_str(&b, STR("]}"));
    (void)buf_append_char(&b, '\0');
    struct automaton *a = of_schema(buf_ptr(&b), &d);
    assert_true(grammar_fits(a, STR("29999")));
    assert_false(grammar_fits(a, STR("30000")));
    automaton_free(a);
    buf_done(&b);
}

// What is said by rambling is JSON, whole characters, and ends.
static void test_ramblings_are_json(void **state UNUSED)
{
    static const char *const schemas[] = {
        "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":-50,"
        "\"maximum\":7000},\"s\":{\"type\":\"string\",\"maxLength\":12},"
        "\"l\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"number\"},{\"$ref\":\"#\"}]},"
        "\"maxItems\":3}},\"required\":[\"n\",\"s\"]}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"date-time\"},\"minItems\":"
        "1,\"maxItems\":4}",
        "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"boolean\"},\"properties\":{"
        "\"name\":{\"const\":\"the\"}},\"maxProperties\":4}",
    };
    struct random r;
    random_seed(&r, 11);
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        struct diag d;
        struct automaton *a = of_schema(schemas[i], &d);
        assert_non_null(a);
        size_t ended = 0;
        for (int round = 0; round < 50; round++) {
            struct buf out;
            struct json_doc doc;
            buf_init(&out, 1 << 20);
            if (grammar_ramble(a, &r, 400, &out)) {
                ended++;
                enum err e = json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, &d);
                if (e != ERR_OK && e != ERR_INVALID) // a free name may come twice
                    fail_msg("%s: %.*s", d.text, (int)out.len, buf_ptr(&out));
                if (e == ERR_OK)
                    json_done(&doc);
            }
            buf_done(&out);
        }
        assert_true(ended > 10);
        automaton_free(a);
    }
}

static void test_parts_are_alternatives(void **state UNUSED)
{
    const struct grammar_part parts[] = {
        {GRAMMAR_SCHEMA, STR("{\"type\":\"integer\"}"), STR("<a>"), STR("</a>")},
        {GRAMMAR_REGEX, STR("x+"), STR("<b>"), STR("")},
        {GRAMMAR_CHOICE, STR("[\"yes\",\"no\",\"yesterday\"]"), STR(""), STR(".")},
        {GRAMMAR_JSON, STR(""), STR("!"), STR("")},
    };
    struct automaton *a;
    struct diag d;
    assert_int_equal(grammar_compile(parts, ARRAY_LEN(parts), &trie, &a, &d), ERR_OK);
    assert_true(grammar_fits(a, STR("<a>12</a>")));
    assert_true(grammar_fits(a, STR("<b>xxx")));
    assert_true(grammar_fits(a, STR("yesterday.")));
    assert_true(grammar_fits(a, STR("!{\"a\":1}")));
    assert_false(grammar_begins(a, STR("![")));
    assert_false(grammar_fits(a, STR("<a>12</b>")));
    automaton_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_unions_and_references),
        cmocka_unit_test(test_what_cannot_be_held_is_named),
        cmocka_unit_test(test_what_nothing_fits_is_refused),
        cmocka_unit_test(test_work_has_a_bound),
        cmocka_unit_test(test_comparing_large_values_has_a_bound),
        cmocka_unit_test(test_lists_of_alternatives_are_compared_in_one_go),
        cmocka_unit_test(test_ramblings_are_json),
        cmocka_unit_test(test_parts_are_alternatives),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
