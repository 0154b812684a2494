// Prompt files: what they may say, what is refused and where, and what they render to.
// REQ: PROMPT-1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "prompt/prompts.h"

static const char greet[] = "description: Says hello\n"
                            "model: some-model\n"
                            "variables:\n"
                            "  name: {description: whom}\n"
                            "  tries: {type: integer, default: 3}\n"
                            "  items: {type: list, default: '[{\"id\":1},{\"id\":2}]'}\n"
                            "  who: {type: object, default: '{\"city\":\"Ulm\"}'}\n"
                            "  note: {default: ''}\n"
                            "partials:\n"
                            "  line: \"- {{id}}\\n\"\n"
                            "messages:\n"
                            "  - role: system\n"
                            "    content: |\n"
                            "      Hello {{name}} of {{who.city}}, ${x} & <{{tries}}>.\n"
                            "      {{#items}}\n"
                            "      {{>line}}\n"
                            "      {{/items}}\n"
                            "      {{^note}}No note.{{/note}}\n"
                            "  - {role: user, content: 'Bye {{name}}'}\n"
                            "parameters: {temperature: 0.25, max_tokens: 9, stop: [a, b]}\n";

static struct prompt *parse(const char *text)
{
    struct prompt *p = NULL;
    struct diag d = {0};
    char why[640];
    if (prompt_parse(STR("greet"), STR("1"), str_of(text), &p, &d) != ERR_OK)
        fail_msg("%s", diag_format(&d, why, sizeof why));
    return p;
}

static enum err render(const struct prompt *p, const char *variables, struct buf *out,
                       struct diag *d)
{
    struct json_doc doc;
    struct json_writer w;
    assert_int_equal(json_parse(&doc, str_of(variables), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    jw_init(&w, out);
    jw_array_begin(&w);
    enum err e = prompt_render(p, doc.root, 1u << 20, &w, d);
    if (e == ERR_OK)
        jw_array_end(&w);
    json_done(&doc);
    return e;
}

static void a_prompt_renders_its_messages_with_defaults(void **state)
{
    (void)state;
    struct prompt *p = parse(greet);
    struct buf out;
    buf_init(&out, 1u << 20);
    assert_int_equal(render(p, "{\"name\":\"A\\\"da\",\"tries\":5}", &out, NULL), ERR_OK);
    assert_string_equal(buf_cstr(&out),
                        "[{\"role\":\"system\",\"content\":\"Hello A\\\"da of Ulm, ${x} & <5>.\\n"
                        "- 1\\n- 2\\nNo note.\\n\"},"
                        "{\"role\":\"user\",\"content\":\"Bye A\\\"da\"}]");
    buf_done(&out);
    prompt_free(p);
}

static void its_head_is_kept(void **state)
{
    (void)state;
    struct prompt *p = parse(greet);
    double temperature;
    assert_true(str_eq_z(p->model, "some-model"));
    assert_int_equal(p->variables_len, 5);
    assert_null(prompt_variable(p, STR("name"))->json.ptr);
    assert_true(str_eq_z(prompt_variable(p, STR("note"))->json, "\"\""));
    assert_true(json_is_num(json_get(p->parameters.root, "temperature"), &temperature));
    assert_true(temperature > 0.24 && temperature < 0.26);
    assert_int_equal(yyjson_obj_size(p->parameters.root), 3);
    prompt_free(p);
}

static void expect_refusal(const struct prompt *p, const char *variables, enum err code,
                           const char *where)
{
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 1u << 20);
    assert_int_equal(render(p, variables, &out, &d), code);
    assert_string_equal(d.where, where);
    buf_done(&out);
}

static void variables_that_are_missing_wrong_or_unknown_are_named(void **state)
{
    (void)state;
    struct prompt *p = parse(greet);
    expect_refusal(p, "{}", ERR_NOT_FOUND, "name");
    expect_refusal(p, "{\"name\":5}", ERR_INVALID, "name");
    expect_refusal(p, "{\"name\":\"a\",\"tries\":1.5}", ERR_INVALID, "tries");
    expect_refusal(p, "{\"name\":\"a\",\"items\":{}}", ERR_INVALID, "items");
    expect_refusal(p, "{\"name\":\"a\",\"other\":1}", ERR_INVALID, "other");
    expect_refusal(p, "[]", ERR_INVALID, "");
    prompt_free(p);
}

static void mistakes_are_found_at_load_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned line, col;
    } wrong[] = {
        {"messages:\n  - {role: user, content: 'Hi {{nobody}}'}\n", 2, 31},
        {"messages:\n  - role: user\n    content: |\n      one\n      two {{#open}}\n", 5, 11},
        {"variables: {a: {}}\nmessages:\n  - {role: user, content: \"{{a.b}}\"}\n", 3, 28},
        {"variables: {a: {}}\nmessages:\n  - {role: user, content: '{{#a}}{{b}}{{/a}}'}\n", 3, 34},
        {"messages:\n  - {role: user, content: '{{.}}'}\n", 2, 28},
        {"messages:\n  - {role: user, content: '{{>none}}'}\n", 2, 28},
        {"partials: {p: '{{who}}'}\nmessages:\n  - {role: user, content: '{{>p}}'}\n", 1, 16},
        {"messages:\n  - {role: robot, content: x}\n", 2, 12},
        {"messages:\n  - {role: user, content: x, extra: 1}\n", 2, 30},
        {"messages: []\n", 1, 11},
        {"mesages: []\n", 1, 1},
        {"variables: {a: {type: integer, default: x}}\nmessages:\n  - {role: user, content: x}\n",
         1, 41},
        {"variables: {a: {type: thing}}\nmessages:\n  - {role: user, content: x}\n", 1, 23},
        {"parameters: {temperature: 3}\nmessages:\n  - {role: user, content: x}\n", 1, 27},
        {"- a\n", 1, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct prompt *p;
        struct diag d = {0};
        if (prompt_parse(STR("n"), STR("1"), str_of(wrong[i].text), &p, &d) == ERR_OK)
            fail_msg("was taken: %s", wrong[i].text);
        if (d.line != wrong[i].line || d.col != wrong[i].col)
            fail_msg("%s: %s at %u:%u", wrong[i].text, d.text, d.line, d.col);
    }
}

static void members_of_lists_and_objects_need_no_declaration(void **state)
{
    (void)state;
    prompt_free(
        parse("variables: {l: {type: list}, o: {type: object}, b: {type: boolean}}\nmessages:\n"
              "  - {role: user, content: '{{#l}}{{x}}{{#y}}{{z}}{{/y}}{{/l}}{{#o}}{{m}}{{/o}}"
              "{{#b}}{{o.m}}{{/b}}{{^l}}none{{/l}}'}\n"));
}

static void versions_are_compared_by_their_numbers(void **state)
{
    (void)state;
    static const char *const rising[] = {"0.9", "1", "1a", "1.2", "1.9", "1.10", "2", "10"};
    for (size_t i = 0; i + 1 < ARRAY_LEN(rising); i++) {
        str a = str_of(rising[i]), b = str_of(rising[i + 1]);
        if (i == 2) // letters and dots stand beside each other in no useful order
            continue;
        assert_true(prompts_compare_versions(a, b) < 0);
        assert_true(prompts_compare_versions(b, a) > 0);
        assert_int_equal(prompts_compare_versions(a, a), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_renders_its_messages_with_defaults),
        cmocka_unit_test(its_head_is_kept),
        cmocka_unit_test(variables_that_are_missing_wrong_or_unknown_are_named),
        cmocka_unit_test(mistakes_are_found_at_load_with_their_place),
        cmocka_unit_test(members_of_lists_and_objects_need_no_declaration),
        cmocka_unit_test(versions_are_compared_by_their_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
