// REQ: SEC-3 TEST-1
// YAML to a tree with places; what could surprise a reader of a configuration (aliases, anchors,
// tags, documents, duplicates, depth) is refused with its place.
#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"
#include "support/unit.h"

static struct yaml_doc must_parse(const char *text)
{
    struct yaml_doc doc = {0};
    struct diag d = {0};
    if (yaml_parse(&doc, str_of(text), &d) != ERR_OK)
        fail_msg("%s", d.text);
    return doc;
}

static void a_tree_keeps_order_text_and_place(void **state)
{
    (void)state;
    struct yaml_doc doc = must_parse("# a comment\n"
                                     "server:\n"
                                     "  port: 8080\n"
                                     "  host: \"127.0.0.1\"\n"
                                     "stop: [a, 'b', \"\\u00e9\"]\n"
                                     "text: |\n"
                                     "  two\n"
                                     "  lines\n"
                                     "nothing:\n");
    assert_int_equal(doc.root->kind, YAML_MAP);
    const struct yaml_node *port = yaml_get(yaml_get(doc.root, "server"), "port");
    assert_true(str_eq(port->text, STR("8080")));
    assert_false(port->quoted);
    assert_int_equal(port->line, 3);
    assert_int_equal(port->col, 9);
    assert_int_equal(port->key_line, 3);
    assert_int_equal(port->key_col, 3);
    assert_true(str_eq(port->key, STR("port")));
    assert_true(port->next->quoted);
    const struct yaml_node *item = yaml_get(doc.root, "stop")->first;
    assert_true(str_eq(item->text, STR("a")));
    assert_null(item->key.ptr);
    assert_true(item->next->quoted);
    assert_true(str_eq(item->next->next->text, STR("\xc3\xa9")));
    assert_null(item->next->next->next);
    assert_true(str_eq(yaml_get(doc.root, "text")->text, STR("two\nlines\n")));
    assert_int_equal(yaml_get(doc.root, "nothing")->text.len, 0);
    assert_null(yaml_get(doc.root, "absent"));
    assert_null(yaml_get(item, "x"));
    assert_null(yaml_get(NULL, "x"));
    yaml_done(&doc);
    yaml_done(&doc);
}

static void nothing_at_all_is_an_empty_document(void **state)
{
    (void)state;
    const char *const texts[] = {"", "\n\n", "# only a comment\n"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct yaml_doc doc = must_parse(texts[i]);
        assert_null(doc.root);
        yaml_done(&doc);
    }
}

static void a_nul_inside_a_text_is_kept(void **state)
{
    (void)state;
    struct yaml_doc doc = must_parse("a: \"x\\0y\"");
    assert_true(str_eq(yaml_get(doc.root, "a")->text, STR("x\0y")));
    yaml_done(&doc);
}

static void what_surprises_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
        enum err err;
        uint32_t line, col;
    } bad[] = {
        {"a: 1\nb: *a\n", "alias", ERR_PARSE, 2, 4},
        {"a: &x 1\n", "anchor", ERR_PARSE, 1, 4},
        {"a: &x [1]\n", "anchor", ERR_PARSE, 1, 4},
        {"a: &x {b: 1}\n", "anchor", ERR_PARSE, 1, 4},
        {"a: !!str 1\n", "tag", ERR_PARSE, 1, 4},
        {"a: !x [1]\n", "tag", ERR_PARSE, 1, 4},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", "TAG", ERR_PARSE, 1, 1},
        {"a: 1\n---\nb: 2\n", "second document", ERR_PARSE, 2, 1},
        {"a: 1\n'a': 2\n", "twice", ERR_INVALID, 2, 1},
        {"x:\n  - {a: 1, a: 2}\n", "'a'", ERR_INVALID, 2, 12},
        {"[a]: 1\n", "key", ERR_PARSE, 1, 1},
        {"{a: 1}: 1\n", "key", ERR_PARSE, 1, 1},
        {"a: [1, 2\n", "not valid YAML", ERR_PARSE, 2, 1},
        {"a: b: c\n", "not valid YAML", ERR_PARSE, 1, 5},
        {"a:\n\t- b\n", "not valid YAML", ERR_PARSE, 2, 1},
        {"a: \xff\n", "not valid YAML", ERR_PARSE, 0, 0},
        {"a: \x01\n", "not valid YAML", ERR_PARSE, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct yaml_doc doc;
        struct diag d = {0};
        enum err e = yaml_parse(&doc, str_of(bad[i].text), &d);
        if (e != bad[i].err || d.line != bad[i].line || d.col != bad[i].col ||
            !strstr(d.text, bad[i].word))
            fail_msg("%s -> %s %u:%u %s", bad[i].text, err_name(e), d.line, d.col, d.text);
    }
}

static void depth_is_bounded_exactly(void **state)
{
    (void)state;
    char text[80];
    struct yaml_doc doc;
    memset(text, '[', 40);
    memset(text + 40, ']', 40);
    assert_int_equal(yaml_parse(&doc, str_slice(text + 8, 64), NULL), ERR_OK); // 32 deep
    yaml_done(&doc);
    assert_int_equal(yaml_parse(&doc, str_slice(text + 7, 66), NULL), ERR_LIMIT);
}

static void size_and_memory_are_bounded(void **state)
{
    (void)state;
    struct yaml_doc doc;
    size_t size = YAML_BYTES_MAX + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    assert_int_equal(yaml_parse(&doc, str_slice(text, size), NULL), ERR_LIMIT);
    assert_int_equal(yaml_parse(&doc, str_slice(text, size - 1), NULL), ERR_OK);
    yaml_done(&doc);
    for (size_t i = 0; i < size; i++) // two bytes a value: the most memory a byte
        text[i] = i % 2 ? ',' : 'a';
    text[0] = '[';
    text[1] = ' ';
    assert_int_equal(yaml_parse(&doc, str_slice(text, size - 1), NULL), ERR_LIMIT);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_keeps_order_text_and_place),
        cmocka_unit_test(nothing_at_all_is_an_empty_document),
        cmocka_unit_test(a_nul_inside_a_text_is_kept),
        cmocka_unit_test(what_surprises_is_refused_with_its_place),
        cmocka_unit_test(depth_is_bounded_exactly),
        cmocka_unit_test(size_and_memory_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
