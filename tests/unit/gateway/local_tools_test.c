// REQ: API-1 API-12
// Calls in a model's text become calls, whatever the cutting; what is none stays text.
#include <stdio.h>

#include "base/log.h"
#include "gateway/local_tools.h"
#include "support/unit.h"

// All events as one line: text as it is, calls as {index:name(arguments)}.
struct line {
    struct buf out;
    bool open; // a call's bracket
    size_t events;
};

static void close_call(struct line *l)
{
    (void)buf_append_str(&l->out, l->open ? STR(")}") : STR_NONE);
    l->open = false;
}

static void gather(struct exchange_events *q, struct line *l)
{
    struct exchange_event e;
    for (; exchange_events_pop(q, &e); l->events++) {
        if (e.type == EXCHANGE_EVENT_ARGUMENTS) {
            assert_true(l->open);
            (void)buf_append_str(&l->out, e.text);
            continue;
        }
        close_call(l);
        if (e.type == EXCHANGE_EVENT_TEXT)
            (void)buf_append_str(&l->out, e.text);
        else if (e.type == EXCHANGE_EVENT_CALL)
            (void)buf_printf(&l->out, "{%u:" STR_FMT "(", e.call_index, STR_ARG(e.call.name));
        l->open = e.type == EXCHANGE_EVENT_CALL;
    }
}

static struct exchange_tool two_tools[] = {{.name = STR("f")}, {.name = STR("add")}};

static struct exchange_request with_tools(bool parallel)
{
    return (struct exchange_request){
        .tools = two_tools, .tools_len = 2, .parallel_tool_calls = parallel};
}

// cut 0: pieces of changing sizes, by `seed`.
static void run(enum chat_tools format, const char *text, size_t cut, unsigned seed, bool parallel,
                struct line *l)
{
    struct local_tools t;
    struct exchange_events q = {0};
    struct exchange_request r = with_tools(parallel);
    size_t len = strlen(text);
    *l = (struct line){0};
    buf_init(&l->out, 1 << 20);
    local_tools_init(&t, format, &r, STR_NONE);
    for (size_t at = 0, n; at < len; at += n) {
        seed = seed * 1103515245u + 12345u;
        n = cut ? cut : 1 + (seed >> 16) % 7;
        local_tools_feed(&t, STR_NONE, str_sub(str_of(text), at, n), 0, &q);
        gather(&q, l);
    }
    local_tools_end(&t, 0, &q);
    gather(&q, l);
    close_call(l);
    local_tools_done(&t);
    exchange_events_done(&q);
}

struct example {
    enum chat_tools format;
    const char *text, *events;
    bool serial; // not parallel
};
#define H CHAT_TOOLS_HERMES
#define L CHAT_TOOLS_LLAMA3
#define M CHAT_TOOLS_MISTRAL

static const struct example examples[] = {
    {H, "plain text", "plain text", false},
    {H, "a < b and <tool> is no tag", "a < b and <tool> is no tag", false},
    {H, "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>",
     "{0:add({\"a\":1})}", false},
    {H,
     "\n<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{}}"
     "</tool_call>\n",
     "{0:f({})}{1:g({})}", false},
    {H, "<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>",
     "{0:f({})}", true},
    {H, "Let me see. <tool_call>{\"name\":\"f\",\"arguments\":\"{}\"}</tool_call>",
     "Let me see.{0:f({})}", false},
    {H, "<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"</p>\"}}", "{0:f({\"x\":\"</p>\"})}",
     false},
    {H, "<tool_call>no json</tool_call> after", "<tool_call>no json</tool_call> after", false},
    {H, "<tool_call>{\"name\":", "<tool_call>{\"name\":", false},
    {H, "ends with <tool_", "ends with <tool_", false},
    {H, "blank at the end \n", "blank at the end \n", false},
    {H, "", "", false},
    // a tag that stands twice, one that is not closed, text right after a call
    {H, "<tool_call><tool_call>{\"name\":\"f\"}</tool_call>", "<tool_call>{0:f({})}", false},
    {H, "<tool_call>{\"name\":\"f\"}\n<tool_call>{\"name\":\"g\"}</tool_call> Done.",
     "{0:f({})}{1:g({})} Done.", false},
    {H, "<tool_call>{\"name\":\"f\"}</tool> x", "{0:f({})}</tool> x", false},
    // other orders, blanks in strings, escapes, null
    {H, "<tool_call>{\"arguments\": {\"a\" : \" b \"}, \"name\": \"add\"}</tool_call>",
     "{0:add({\"a\":\" b \"})}", false},
    {H,
     "<tool_call>{\"name\": \"a\\u0064d\", \"arguments\": {\"a\": \"\\\"} {\\u00e9\", \"b\": [1, "
     "-2.5e3, true]}, \"id\": 7}</tool_call>",
     "{0:add({\"a\":\"\\\"} {\\u00e9\",\"b\":[1,-2.5e3,true]})}", false},
    {H, "<tool_call>{\"name\": \"f\", \"arguments\": null}</tool_call>", "{0:f({})}", false},
    {H, "<tool_call>{\"name\": 5}</tool_call>", "<tool_call>{\"name\": 5}</tool_call>", false},
    // arguments that stop being JSON: what was told stands, the rest is text
    {H, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":oops}}</tool_call>",
     "{0:f({\"a\":)}oops}}</tool_call>", false},
    {H, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1", "{0:f({\"a\":1)}", false},

    {L, "{\"name\": \"add\", \"parameters\": {\"a\": 1}}", "{0:add({\"a\":1})}", false},
    {L,
     " \n{\"name\": \"add\", \"parameters\": {}}; {\"name\": \"f\", \"parameters\": {\"b\": []}}",
     "{0:add({})}{1:f({\"b\":[]})}", false},
    {L, "{\"name\": \"add\", \"parameters\": {}}; {\"name\": \"f\"}", "{0:add({})}", true},
    {L, "<|python_tag|>{\"type\": \"function\", \"name\": \"anything\", \"parameters\": {}}",
     "{0:anything({})}", false},
    {L, "{\"name\": \"nobody\", \"parameters\": {}}", "{\"name\": \"nobody\", \"parameters\": {}}",
     false},
    {L, "{\"answer\": {\"name\": \"add\"}}", "{\"answer\": {\"name\": \"add\"}}", false},
    {L, "{\"name\": \"Ann\"}", "{\"name\": \"Ann\"}", false},
    {L, "{}", "{}", false},
    {L, "I say {\"name\": \"add\", \"parameters\": {}}",
     "I say {\"name\": \"add\", \"parameters\": {}}", false},
    {L, "{\"name\": \"add\", \"parameters\": {}} and so on", "{0:add({})} and so on", false},
    {L, "  {\"name\": \"ad", "  {\"name\": \"ad", false},
    {L, "<|python_tag|>print(1)", "<|python_tag|>print(1)", false},
    {L, "Well. <|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "Well.{0:f({})}", false},
    {L, "\n", "\n", false},

    {M, "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1}}]", "{0:add({\"a\":1})}",
     false},
    {M,
     "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}, \"id\": \"abcdefghi\"}, {\"name\": "
     "\"g\", \"arguments\": {}}]",
     "{0:add({})}{1:g({})}", false},
    {M, "[{\"name\": \"add\", \"arguments\": {}}]", "{0:add({})}", false},
    {M, " [ {\"name\": \"g\", \"arguments\": {}}]", " [ {\"name\": \"g\", \"arguments\": {}}]",
     false},
    {M, "[1, 2] is a list", "[1, 2] is a list", false},
    {M, "[TOOL] is no tag", "[TOOL] is no tag", false},
    {M, "[", "[", false},
    {M, "Sure. [TOOL_CALLS] [{\"name\": \"g\", \"arguments\": {}}] Done.", "Sure.{0:g({})} Done.",
     false},
    {M, "[TOOL_CALLS] none", "[TOOL_CALLS] none", false},
    {M, "[TOOL_CALLS] {\"name\": \"f\"}", "[TOOL_CALLS] {\"name\": \"f\"}", false},
    {M, "[TOOL_CALLS] [{\"name\": \"f\"}, oops]", "{0:f({})}, oops]", false},
};

static void check(const struct example *e, size_t cut, unsigned seed)
{
    struct line l;
    run(e->format, e->text, cut, seed, !e->serial, &l);
    if (strcmp(buf_cstr(&l.out), e->events) != 0)
        fail_msg("%s cut by %zu (%u): %s", e->text, cut, seed, buf_cstr(&l.out));
    buf_done(&l.out);
}

static void any_cutting_gives_the_same_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        for (size_t cut = 1; cut < 40; cut++)
            check(&examples[i], cut, 0);
        check(&examples[i], 100000, 0);
        for (unsigned seed = 0; seed < 50; seed++)
            check(&examples[i], 0, seed);
    }
}

// Examples with a byte left out, doubled or changed: nothing is lost or said twice by the cutting.
static void any_cutting_of_damaged_calls_gives_the_same_events(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        for (size_t at = 0, len = strlen(examples[i].text); at < len; at++) {
            static const char OTHERS[] = "{}[]\",:<; \\x";
            char text[512];
            seed = seed * 1103515245u + 12345u;
            snprintf(text, sizeof text, "%s", examples[i].text);
            if (at % 2)
                text[at] = OTHERS[(seed >> 16) % (sizeof OTHERS - 1)];
            else
                memmove(text + at, text + at + 1, len - at);
            struct line whole, cut;
            run(examples[i].format, text, 100000, 0, true, &whole);
            for (unsigned way = 0; way < 6; way++) {
                run(examples[i].format, text, way % 3, seed + way, true, &cut);
                if (strcmp(buf_cstr(&whole.out), buf_cstr(&cut.out)) != 0)
                    fail_msg("%s: %s and %s", text, buf_cstr(&whole.out), buf_cstr(&cut.out));
                buf_done(&cut.out);
            }
            buf_done(&whole.out);
        }
    }
}

static void a_name_is_told_before_its_arguments_and_these_as_they_come(void **state)
{
    (void)state;
    static const char TEXT[] = "<tool_call>{\"name\": \"f\", \"arguments\": {\"text\": \"";
    struct local_tools t;
    struct exchange_events q = {0};
    struct exchange_event e;
    local_tools_init(&t, CHAT_TOOLS_HERMES, NULL, STR_NONE);
    local_tools_feed(&t, STR_NONE, str_of(TEXT), 0, &q);
    assert_true(exchange_events_pop(&q, &e));
    assert_int_equal(e.type, EXCHANGE_EVENT_CALL);
    assert_true(str_eq_z(e.call.name, "f") && e.call.id.len == strlen("call_") + 24);
    assert_true(exchange_events_pop(&q, &e));
    assert_true(e.type == EXCHANGE_EVENT_ARGUMENTS && str_eq_z(e.text, "{\"text\":\""));
    for (size_t i = 0; i < 100; i++) {
        local_tools_feed(&t, STR_NONE, STR("more "), 0, &q);
        assert_true(exchange_events_pop(&q, &e));
        assert_true(e.type == EXCHANGE_EVENT_ARGUMENTS && str_eq_z(e.text, "more "));
        assert_false(exchange_events_pop(&q, &e));
    }
    assert_int_equal(t.pending.len, 0);
    local_tools_done(&t);
    exchange_events_done(&q);
}

// The last text and the end come in one, and are read after both.
static void the_end_leaves_the_last_events_as_they_are(void **state)
{
    (void)state;
    struct local_tools t;
    struct exchange_events q = {0};
    struct line l = {0};
    buf_init(&l.out, 1 << 20);
    local_tools_init(&t, CHAT_TOOLS_HERMES, NULL, STR_NONE);
    local_tools_feed(&t, STR_NONE,
                     STR("Hm. <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>a <tool"), 0,
                     &q);
    local_tools_end(&t, 0, &q);
    gather(&q, &l);
    close_call(&l);
    assert_string_equal(buf_cstr(&l.out), "Hm.{0:f({})}a <tool");
    local_tools_done(&t);
    exchange_events_done(&q);
    buf_done(&l.out);
}

static void control_tokens_open_calls(void **state)
{
    (void)state;
    struct local_tools t;
    struct exchange_events q = {0};
    struct line l = {0};
    buf_init(&l.out, 1 << 20);
    local_tools_init(&t, CHAT_TOOLS_MISTRAL, NULL, STR_NONE);
    assert_true(local_tools_is_tag(&t, STR("[TOOL_CALLS]")));
    assert_false(local_tools_is_tag(&t, STR("[INST]")));
    local_tools_feed(&t, STR_NONE, STR("Sure."), 0, &q);
    local_tools_feed(&t, STR("[TOOL_CALLS]"), STR_NONE, 0, &q);
    local_tools_feed(&t, STR_NONE, STR("[{\"name\": \"g\", \"arguments\": {\"a\": 1}}]"), 0, &q);
    struct exchange_event e;
    assert_true(exchange_events_pop(&q, &e) && e.type == EXCHANGE_EVENT_TEXT);
    assert_true(exchange_events_pop(&q, &e) && e.type == EXCHANGE_EVENT_CALL);
    assert_int_equal(e.call.id.len, 9);
    local_tools_done(&t);
    exchange_events_done(&q);
    buf_done(&l.out);
}

static void a_call_begun_in_the_prompt_is_completed(void **state)
{
    (void)state;
    static const enum chat_tools FORMATS[] = {H, L, M};
    for (size_t i = 0; i < ARRAY_LEN(FORMATS); i++) {
        struct local_tools t;
        struct exchange_events q = {0};
        struct exchange_request r = with_tools(true);
        struct arena arena;
        struct line l = {0};
        arena_init(&arena, 1 << 16);
        buf_init(&l.out, 1 << 20);
        local_tools_init(&t, FORMATS[i], &r, local_tools_opening(FORMATS[i], STR("add"), &arena));
        local_tools_feed(&t, STR_NONE, STR("{\"a\": 2}}"), 0, &q);
        gather(&q, &l);
        local_tools_end(&t, 0, &q);
        gather(&q, &l);
        close_call(&l);
        assert_string_equal(buf_cstr(&l.out), "{0:add({\"a\":2})}");
        local_tools_done(&t);
        exchange_events_done(&q);
        buf_done(&l.out);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cutting_gives_the_same_events),
        cmocka_unit_test(any_cutting_of_damaged_calls_gives_the_same_events),
        cmocka_unit_test(a_name_is_told_before_its_arguments_and_these_as_they_come),
        cmocka_unit_test(the_end_leaves_the_last_events_as_they_are),
        cmocka_unit_test(control_tokens_open_calls),
        cmocka_unit_test(a_call_begun_in_the_prompt_is_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
