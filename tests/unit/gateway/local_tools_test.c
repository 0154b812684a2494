// REQ: API-1 API-12
// Calls in a model's text become calls, whatever the cutting; what is none stays text.
#include <stdio.h>

#include "base/log.h"
#include "gateway/local_tools.h"
#include "support/unit.h"

// All events as one line: text in quotes, calls as name(arguments).
static void gather(struct exchange_events *q, struct buf *out)
{
    struct exchange_event e;
    while (exchange_events_pop(q, &e)) {
        if (e.type == EXCHANGE_EVENT_TEXT)
            (void)buf_append_str(out, e.text);
        else if (e.type == EXCHANGE_EVENT_CALL)
            (void)buf_printf(out, "{%u:" STR_FMT, e.call_index, STR_ARG(e.call.name));
        else if (e.type == EXCHANGE_EVENT_ARGUMENTS)
            (void)buf_printf(out, "(" STR_FMT ")}", STR_ARG(e.text));
    }
}

static void run(const char *text, size_t cut, bool parallel, struct buf *out)
{
    struct local_tools t;
    struct exchange_events q = {0};
    size_t len = strlen(text);
    buf_init(out, 1 << 20);
    local_tools_init(&t, true, parallel);
    for (size_t at = 0; at < len; at += cut) {
        local_tools_feed(&t, str_sub(str_of(text), at, cut), 0, &q);
        gather(&q, out);
    }
    local_tools_end(&t, 0, &q);
    gather(&q, out);
    local_tools_done(&t);
    exchange_events_done(&q);
}

struct example {
    const char *text, *events;
    bool parallel;
};

static const struct example examples[] = {
    {"plain text", "plain text", true},
    {"a < b and <tool> is no tag", "a < b and <tool> is no tag", true},
    {"<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>",
     "{0:add({\"a\":1})}", true},
    {"\n<tool_call>{\"name\":\"f\"}</tool_call>\n<tool_call>{\"name\":\"g\",\"arguments\":{}}"
     "</tool_call>\n",
     "{0:f({})}{1:g({})}", true},
    {"<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>", "{0:f({})}",
     false},
    {"Let me see. <tool_call>{\"name\":\"f\",\"arguments\":\"{}\"}</tool_call>",
     "Let me see.{0:f({})}", true},
    {"<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":\"</p>\"}}", "{0:f({\"x\":\"</p>\"})}", true},
    {"<tool_call>no json</tool_call> after", "<tool_call>no json</tool_call> after", true},
    {"<tool_call>{\"name\":", "<tool_call>{\"name\":", true},
    {"ends with <tool_", "ends with <tool_", true},
    {"blank at the end \n", "blank at the end \n", true},
    {"", "", true},
};

static void any_cutting_gives_the_same_events(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        for (size_t cut = 1; cut < 40; cut++) {
            struct buf out;
            run(examples[i].text, cut, examples[i].parallel, &out);
            if (strcmp(buf_cstr(&out), examples[i].events) != 0)
                fail_msg("%s cut by %zu: %s", examples[i].text, cut, buf_cstr(&out));
            buf_done(&out);
        }
    }
}

static void a_call_begun_in_the_prompt_is_completed(void **state)
{
    (void)state;
    struct local_tools t;
    struct exchange_events q = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    local_tools_init(&t, true, true);
    (void)buf_append_str(&t.pending, STR("<tool_call>\n{\"name\": \"add\", \"arguments\": "));
    local_tools_feed(&t, STR("{\"a\": 2}}"), 0, &q);
    gather(&q, &out);
    local_tools_end(&t, 0, &q);
    gather(&q, &out);
    assert_string_equal(buf_cstr(&out), "{0:add({\"a\":2})}");
    local_tools_done(&t);
    exchange_events_done(&q);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_cutting_gives_the_same_events),
        cmocka_unit_test(a_call_begun_in_the_prompt_is_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
