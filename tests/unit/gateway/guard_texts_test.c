// The texts of a request in every protocol, whose they are, and the document with others in their
// places.
// REQ: GUARD-1
#include "gateway/guard_texts.h"
#include "guard/rules.h"
#include "support/unit.h"

struct bench {
    struct json_doc doc;
    struct guard_texts texts;
    struct buf out;
};

static void look(struct bench *b, const char *json)
{
    assert_int_equal(json_parse(&b->doc, str_of(json), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    guard_texts_find(b->doc.root, &b->texts);
    buf_init(&b->out, 1 << 20);
}

static void leave(struct bench *b)
{
    buf_done(&b->out);
    guard_texts_done(&b->texts);
    json_done(&b->doc);
}

// "S:one U:two …", JSON texts in braces, a bar between messages.
static void texts_are(const char *json, const char *wanted)
{
    struct bench b;
    look(&b, json);
    for (size_t i = 0; i < b.texts.len; i++) {
        const struct guard_text *t = &b.texts.items[i];
        const char *role = t->role == GUARD_ROLE_SYSTEM      ? "S"
                           : t->role == GUARD_ROLE_USER      ? "U"
                           : t->role == GUARD_ROLE_ASSISTANT ? "A"
                                                             : "T";
        if (i)
            (void)buf_append_str(&b.out, t->group != t[-1].group ? STR(" | ") : STR(" "));
        (void)buf_printf(&b.out, "%s%s:" STR_FMT, role,
                         t->is_json     ? "!"
                         : t->is_prompt ? "*"
                                        : "",
                         STR_ARG(t->text));
    }
    assert_string_equal(buf_cstr(&b.out), wanted);
    leave(&b);
}

static void every_protocol_is_read(void **state)
{
    (void)state;
    texts_are("{\"model\":\"m\",\"user\":\"u\",\"stop\":[\"x\"],\"messages\":["
              "{\"role\":\"system\",\"content\":\"s\"},"
              "{\"role\":\"user\",\"name\":\"n\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\"}},{\"type\":\"text\","
              "\"text\":\"b\"}]},"
              "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
              "\"function\","
              "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
              "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"r\"}],"
              "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
              "\"d\",\"parameters\":"
              "{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\",\"description\":"
              "\"e\"}}}}}]}",
              "S*:s | U:a U:b | A!:{} | T:r | S:d S:e");
    texts_are("{\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":"
              "\"ephemeral\"}}],\"messages\":["
              "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_"
              "result\",\"tool_use_id\":"
              "\"t\",\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},{\"type\":\"text\",\"text\":"
              "\"b\"},"
              "{\"type\":\"document\",\"title\":\"ti\",\"source\":{\"type\":\"text\",\"media_"
              "type\":\"text/plain\",\"data\":"
              "\"doc\"}},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"AAAA\"}}]},"
              "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"th\","
              "\"signature\":\"sig\"},"
              "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{\"name\":\"in\",\"x\":"
              "[\"y\"]}}]}]}",
              "S*:s | U:a | T:r | U:b U:ti U:doc | A:th A:in A:y");
    texts_are("{\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":"
              "\"input_text\",\"text\":\"a\"}]},"
              "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{1}\"},"
              "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"r\"},"
              "{\"type\":\"unheard_of\",\"whatever\":\"w\"}]}",
              "S*:s | U:a | A!:{1} | T:r | U:w");
    texts_are("{\"input\":\"one\"}", "U:one");
    texts_are("{\"input\":[\"one\",\"two\"]}", "U:one | U:two");
    texts_are("{\"prompt\":[\"one\",[1,2]],\"suffix\":\"s\"}", "U:one | U:s");
    texts_are("{\"system\":\"s\",\"prompt\":\"p\",\"images\":[\"AAAA\"],\"format\":\"json\"}",
              "S*:s | U:p");
    texts_are("{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{"
              "\"function\":{\"name\":\"f\","
              "\"arguments\":{\"type\":\"t\",\"deep\":{\"role\":\"r\"}}}}]}]}",
              "A: A:t A:r");
}

static void other_texts_take_their_places(void **state)
{
    (void)state;
    struct bench b;
    look(&b, "{\"a\":1.50,\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\","
             "\"content\":\"y\"}],"
             "\"z\":[true,null,\"x\"]}");
    assert_false(guard_texts_changed(&b.texts));
    b.texts.items[1].text = STR("\"new\"");
    b.texts.items[1].changed = true;
    assert_true(guard_texts_changed(&b.texts));
    guard_texts_write(b.doc.root, &b.texts, NULL, &b.out);
    assert_string_equal(buf_cstr(&b.out), "{\"a\":1.50,\"messages\":[{\"role\":\"user\","
                                          "\"content\":\"x\"},{\"role\":\"user\",\"content\":"
                                          "\"\\\"new\\\"\"}],\"z\":[true,null,\"x\"]}");
    leave(&b);
}

static void a_text_can_be_added(void **state)
{
    (void)state;
    struct bench b;
    look(&b, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
    struct guard_addition add = {STR("new"), true, "messages"};
    guard_texts_write(b.doc.root, &b.texts, &add, &b.out);
    assert_string_equal(buf_cstr(&b.out),
                        "{\"messages\":[{\"role\":\"system\",\"content\":\"new\"},"
                        "{\"role\":\"user\",\"content\":\"x\"}]}");
    buf_clear(&b.out);
    add = (struct guard_addition){STR("new"), false, "system"};
    guard_texts_write(b.doc.root, &b.texts, &add, &b.out);
    assert_string_equal(
        buf_cstr(&b.out),
        "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"system\":\"new\"}");
    leave(&b);
    look(&b, "{\"system\":[],\"messages\":[]}"); // a prompt without a text becomes one
    guard_texts_write(b.doc.root, &b.texts, &add, &b.out);
    assert_string_equal(buf_cstr(&b.out), "{\"messages\":[],\"system\":\"new\"}");
    leave(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_protocol_is_read),
        cmocka_unit_test(other_texts_take_their_places),
        cmocka_unit_test(a_text_can_be_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
