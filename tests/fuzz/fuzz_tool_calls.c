// REQ: SEC-4 API-12
// Any bytes as a model's answer, in each of the formats of tool calls: every cutting gives the same
// calls, arguments and text; a call has a name, and its arguments follow it.
#include <stdlib.h>

#include "gateway/local_tools.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct exchange_tool tools[] = {{.name = STR("f")}, {.name = STR("add")}};

// One line: text, and calls as {name|arguments}.
static void gather(struct exchange_events *q, struct buf *out, bool *open)
{
    struct exchange_event e;
    while (exchange_events_pop(q, &e)) {
        if (e.type == EXCHANGE_EVENT_ARGUMENTS) {
            if (!*open)
                abort();
        } else {
            (void)buf_append_str(out, *open ? STR("}") : STR_NONE);
            *open = e.type == EXCHANGE_EVENT_CALL;
            if (*open && (!e.call.name.len || !e.call.id.len))
                abort();
            (void)buf_append_str(out, *open ? STR("{") : STR_NONE);
        }
        (void)buf_append_str(out, *open && e.type == EXCHANGE_EVENT_CALL ? e.call.name : e.text);
        (void)buf_append_str(out, e.type == EXCHANGE_EVENT_CALL ? STR("|") : STR_NONE);
    }
}

static void read_answer(enum chat_tools format, bool parallel, str text, uint32_t cuts,
                        struct buf *out)
{
    struct local_tools t;
    struct exchange_events q = {0};
    bool open = false;
    struct exchange_request r = {
        .tools = tools, .tools_len = ARRAY_LEN(tools), .parallel_tool_calls = parallel};
    buf_init(out, 1 << 22);
    local_tools_init(&t, format, &r, STR_NONE);
    while (text.len) {
        cuts = cuts ? cuts * 1664525u + 1013904223u : 0;
        size_t len = cuts ? 1 + (cuts >> 8) % 9 : text.len;
        local_tools_feed(&t, STR_NONE, str_sub(text, 0, len), 0, &q);
        gather(&q, out, &open);
        text = str_sub(text, len, text.len);
    }
    local_tools_end(&t, 0, &q);
    gather(&q, out, &open);
    local_tools_done(&t);
    exchange_events_done(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum chat_tools formats[] = {CHAT_TOOLS_HERMES, CHAT_TOOLS_LLAMA3,
                                              CHAT_TOOLS_MISTRAL};
    if (size == 0 || size > 1 << 16)
        return 0;
    str text = str_slice((const char *)data + 1, size - 1);
    for (uint32_t way = 1; way < 4; way++) {
        struct buf whole, cut;
        enum chat_tools format = formats[data[0] % ARRAY_LEN(formats)];
        read_answer(format, data[0] & 0x80, text, 0, &whole);
        read_answer(format, data[0] & 0x80, text, way * 7919u + data[0], &cut);
        if (!str_eq(buf_str(&whole), buf_str(&cut)))
            abort();
        buf_done(&whole);
        buf_done(&cut);
    }
    return 0;
}
