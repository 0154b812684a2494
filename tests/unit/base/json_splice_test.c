// REQ: PROV-3 SEC-4
// Members changed in an object's text: what was asked for changes, and nothing else. Held against a
// parser: the spliced text reads back as the object with the edits made.
#include "base/json.h"
#include "base/json_splice.h"
#include "support/unit.h"

struct row {
    const char *object;
    struct json_edit edits[3];
    const char *expected; // NULL: refused
};

#define SET(n, v) {STR(n), STR(v), false}
#define KEEP      {STR_NONE, STR_NONE, false}
#define CUT(n)    {STR(n), STR_NONE, true}

static const struct row rows[] = {
    {"{}", {KEEP}, "{}"},
    {" { } ", {SET("a", "1")}, " {\"a\":1 } "},
    {"{\"a\":1}", {KEEP}, "{\"a\":1}"},
    {"{\"a\" : 1 , \"b\":[1,{\"a\":2}]}\n", {SET("a", "9")}, "{\"a\" : 9 , \"b\":[1,{\"a\":2}]}\n"},
    {"{\"a\":1,\"b\":2,\"c\":3}", {CUT("a")}, "{\"b\":2,\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", {CUT("b")}, "{\"a\":1,\"c\":3}"},
    {"{\"a\":1,\"b\":2,\"c\":3}", {CUT("c")}, "{\"a\":1,\"b\":2}"},
    {"{\"a\":1}", {CUT("a")}, "{}"},
    {"{\"a\":1}", {CUT("a"), SET("b", "true")}, "{\"b\":true}"},
    {"{\"a\":1}", {CUT("zebra")}, "{\"a\":1}"},
    {"{\"a\":1,\"b\":\"}\"}", {SET("c", "null")}, "{\"a\":1,\"b\":\"}\",\"c\":null}"},
    {"{\"a\":\"\\\"\",\"b\":{\"x\":[{}]}}", {SET("b", "0")}, "{\"a\":\"\\\"\",\"b\":0}"},
    {"{\"mo\\u0064el\":\"x\"}", {SET("model", "\"y\"")}, "{\"mo\\u0064el\":\"y\"}"},
    {"{\"a\":-1.5e3,\"b\":true}", {SET("b", "false")}, "{\"a\":-1.5e3,\"b\":false}"},
    {"{\n  \"a\": 1\n}\n", {SET("b", "2")}, "{\n  \"a\": 1\n,\"b\":2}\n"},
    {"[1]", {SET("a", "1")}, NULL},
    {"{\"a\":1", {SET("a", "1")}, NULL},
    {"{\"a\"", {KEEP}, NULL},
    {"{\"a\":", {KEEP}, NULL},
    {"{\"a\":\"", {KEEP}, NULL},
    {"{\"a\":[", {KEEP}, NULL},
    {"{a:1}", {KEEP}, NULL},
    {"", {KEEP}, NULL},
};

static size_t edits_of(const struct row *r)
{
    size_t n = 0;
    while (n < ARRAY_LEN(r->edits) && r->edits[n].name.ptr)
        n++;
    return n;
}

static void members_change_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out;
        buf_init(&out, 1 << 16);
        enum err e = json_splice(str_of(rows[i].object), rows[i].edits, edits_of(&rows[i]), &out);
        if (!rows[i].expected)
            assert_int_equal(e, ERR_PARSE);
        else
            assert_string_equal(buf_cstr(&out), rows[i].expected);
        buf_done(&out);
    }
}

// --- Against a parser, over made-up objects

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void write_blanks(struct buf *out, uint32_t *seed)
{
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
    (void)buf_append_str(out, str_of(blanks[next_random(seed) % ARRAY_LEN(blanks)]));
}

static void write_value(struct buf *out, uint32_t *seed, int depth)
{
    static const char *const scalars[] = {"0",     "-1.25e-7", "true",          "null",
                                          "\"\"",  "\"a,}]\"", "\"\\\\\\\"}\"", "\"\\u00e9\"",
                                          "false", "12"};
    uint32_t kind = next_random(seed) % (depth ? 12 : 10);
    if (kind < 10) {
        (void)buf_append_str(out, str_of(scalars[kind]));
        return;
    }
    bool array = kind == 10;
    (void)buf_append_char(out, array ? '[' : '{');
    for (uint32_t i = 0, n = next_random(seed) % 3; i < n; i++) {
        if (i)
            (void)buf_append_char(out, ',');
        write_blanks(out, seed);
        if (!array)
            (void)buf_printf(out, "\"m%u\":", i);
        write_value(out, seed, depth - 1);
        write_blanks(out, seed);
    }
    (void)buf_append_char(out, array ? ']' : '}');
}

static void write_object(struct buf *out, uint32_t *seed, uint32_t members)
{
    write_blanks(out, seed);
    (void)buf_append_char(out, '{');
    for (uint32_t i = 0; i < members; i++) {
        if (i)
            (void)buf_append_char(out, ',');
        write_blanks(out, seed);
        (void)buf_printf(out, "\"m%u\"", i);
        write_blanks(out, seed);
        (void)buf_append_char(out, ':');
        write_blanks(out, seed);
        write_value(out, seed, 3);
        write_blanks(out, seed);
    }
    (void)buf_append_char(out, '}');
    write_blanks(out, seed);
}

static yyjson_doc *read_doc(const struct buf *b)
{
    yyjson_doc *doc = yyjson_read(buf_ptr(b), b->len, 0);
    if (!doc)
        fail_msg("not JSON: " STR_FMT, STR_ARG(buf_str(b)));
    return doc;
}

static void check_against_parser(uint32_t seed)
{
    struct buf text, out;
    buf_init(&text, 1 << 16);
    buf_init(&out, 1 << 16);
    uint32_t members = next_random(&seed) % 6;
    write_object(&text, &seed, members);
    struct json_edit edits[] = {{STR("m1"), STR("[\"new\"]"), false},
                                {STR("m3"), STR_NONE, true},
                                {STR("z"), STR("7"), false}};
    assert_int_equal(json_splice(buf_str(&text), edits, ARRAY_LEN(edits), &out), ERR_OK);
    yyjson_doc *before = read_doc(&text), *after = read_doc(&out);
    yyjson_mut_doc *wanted = yyjson_doc_mut_copy(before, NULL);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(wanted);
    yyjson_mut_val *fresh = yyjson_mut_arr(wanted);
    yyjson_mut_arr_add_str(wanted, fresh, "new");
    if (yyjson_mut_obj_get(root, "m1"))
        yyjson_mut_obj_replace(root, yyjson_mut_str(wanted, "m1"), fresh);
    else
        yyjson_mut_obj_add_val(wanted, root, "m1", fresh);
    yyjson_mut_obj_remove_key(root, "m3");
    yyjson_mut_obj_add_int(wanted, root, "z", 7);
    yyjson_mut_doc *got = yyjson_doc_mut_copy(after, NULL);
    if (!yyjson_mut_equals(root, yyjson_mut_doc_get_root(got)))
        fail_msg(STR_FMT " became " STR_FMT, STR_ARG(buf_str(&text)), STR_ARG(buf_str(&out)));
    yyjson_mut_doc_free(got);
    yyjson_mut_doc_free(wanted);
    yyjson_doc_free(after);
    yyjson_doc_free(before);
    buf_done(&out);
    buf_done(&text);
}

static void a_spliced_text_reads_back_as_the_edited_object(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 3000; seed++)
        check_against_parser(seed);
}

static void without_edits_every_byte_stays(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 500; seed++) {
        struct buf text, out;
        uint32_t s = seed;
        buf_init(&text, 1 << 16);
        buf_init(&out, 1 << 16);
        write_object(&text, &s, next_random(&s) % 6);
        assert_int_equal(json_splice(buf_str(&text), NULL, 0, &out), ERR_OK);
        assert_true(str_eq(buf_str(&text), buf_str(&out)));
        buf_done(&out);
        buf_done(&text);
    }
}

static void a_cut_text_is_refused_at_every_length(void **state)
{
    (void)state;
    str text = STR("{\"a\":[1,{\"b\":\"\\\"\"}],\"c\":true}");
    struct json_edit edit = SET("c", "1");
    for (size_t len = 0; len < text.len; len++) {
        char copy[64]; // exactly its size, so that a sanitizer sees a step too far
        struct buf out;
        memcpy(copy, text.ptr, len);
        buf_init(&out, 1 << 12);
        assert_int_equal(json_splice(str_slice(copy, len), &edit, 1, &out), ERR_PARSE);
        buf_done(&out);
    }
}

// Cut out by its document, a member is gone as it is when it is removed.
static void check_cut(uint32_t seed)
{
    struct buf text, removed, cut;
    struct json_doc doc;
    struct diag d = {0};
    str before, after;
    buf_init(&text, 1 << 16);
    buf_init(&removed, 1 << 16);
    buf_init(&cut, 1 << 16);
    write_object(&text, &seed, 4);
    assert_int_equal(json_parse(&doc, buf_str(&text), JSON_LIMITS_DEFAULT, &d), ERR_OK);
    for (int i = 0; i < 4; i++) {
        char name[] = {'m', (char)('0' + i), 0};
        struct json_edit edit = {str_of(name), STR_NONE, true};
        buf_clear(&removed);
        buf_clear(&cut);
        assert_int_equal(json_splice(buf_str(&text), &edit, 1, &removed), ERR_OK);
        assert_true(json_cut(&doc, buf_str(&text), name, &before, &after));
        (void)buf_append_str(&cut, before);
        (void)buf_append_str(&cut, after);
        yyjson_doc *a = read_doc(&removed), *b = read_doc(&cut);
        assert_true(yyjson_equals(yyjson_doc_get_root(a), yyjson_doc_get_root(b)));
        yyjson_doc_free(a);
        yyjson_doc_free(b);
    }
    assert_false(json_cut(&doc, buf_str(&text), "m4", &before, &after));
    json_done(&doc);
    buf_done(&text);
    buf_done(&removed);
    buf_done(&cut);
}

static void a_member_is_cut_out_wherever_it_stands(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 500; seed++)
        check_cut(seed);
    struct json_doc doc;
    str text = STR("{\"a\":\"\\u00e9\\n\",\"us\\u0061ge\":null,\"b\":\"\\\"\"}"), before, after;
    assert_int_equal(json_parse(&doc, text, JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    assert_true(json_cut(&doc, text, "usage", &before, &after));
    assert_true(str_eq_z(before, "{\"a\":\"\\u00e9\\n\","));
    assert_true(str_eq_z(after, "\"b\":\"\\\"\"}"));
    json_done(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_change_and_nothing_else),
        cmocka_unit_test(a_spliced_text_reads_back_as_the_edited_object),
        cmocka_unit_test(without_edits_every_byte_stays),
        cmocka_unit_test(a_cut_text_is_refused_at_every_length),
        cmocka_unit_test(a_member_is_cut_out_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
