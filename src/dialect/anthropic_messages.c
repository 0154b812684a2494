// POST /v1/messages and /v1/messages/count_tokens.
#include "dialect/anthropic_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

void anthropic_write_head(struct json_writer *w, const struct exchange_head *h)
{
    jw_kv_str(w, "id", h->id);
    jw_kv_z(w, "type", "message");
    jw_kv_z(w, "role", "assistant");
    jw_kv_str(w, "model", h->model);
}

void anthropic_write_stop(struct json_writer *w, enum exchange_finish finish, str stop_matched)
{
    jw_kv_z(w, "stop_reason", anthropic_stop_reason(finish, stop_matched));
    if (finish == EXCHANGE_FINISH_STOP && stop_matched.len)
        jw_kv_str(w, "stop_sequence", stop_matched);
    else
        jw_kv_null(w, "stop_sequence");
}

void anthropic_write_text(struct json_writer *w, str text)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "text");
    jw_kv_null(w, "citations");
    jw_kv_str(w, "text", text);
    jw_object_end(w);
}

void anthropic_write_thinking(struct json_writer *w, str text, str signature, bool redacted)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", redacted ? "redacted_thinking" : "thinking");
    if (!redacted)
        jw_kv_str(w, "thinking", text);
    jw_kv_str(w, redacted ? "data" : "signature", signature);
    jw_object_end(w);
}

void anthropic_write_tool_use(struct json_writer *w, str id, str name, str arguments)
{
    jw_object_begin(w);
    jw_kv_z(w, "type", "tool_use");
    jw_kv_str(w, "id", id);
    jw_kv_str(w, "name", name);
    jw_key(w, "input");
    tools_write_arguments(w, arguments);
    jw_object_end(w);
}

static void write_content(struct json_writer *w, const struct exchange_choice *c)
{
    jw_array_begin(w);
    if (c->thinking.len || c->signature.len)
        anthropic_write_thinking(w, buf_str(&c->thinking), c->signature, !c->thinking.len);
    if (c->text.len)
        anthropic_write_text(w, buf_str(&c->text));
    for (size_t i = 0; i < c->calls_len; i++)
        anthropic_write_tool_use(w, c->calls[i].id, c->calls[i].name,
                                 buf_str(&c->calls[i].arguments));
    jw_array_end(w);
}

static void write_answer(const struct exchange_request *r UNUSED, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    const struct exchange_choice *c = &a->choices[0];
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    anthropic_write_head(&w, head);
    jw_key(&w, "content");
    write_content(&w, c);
    anthropic_write_stop(&w, c->finish, c->stop_matched);
    jw_key(&w, "usage");
    jw_object_begin(&w);
    anthropic_write_usage(&w, &a->usage);
    jw_object_end(&w);
    jw_object_end(&w);
}

const struct dialect dialect_anthropic_messages = {
    .name = "anthropic.messages",
    .kind = EXCHANGE_CHAT,
    .id_prefix = "msg_",
    .read = anthropic_read_request,
    .answer = write_answer,
    .event = anthropic_event,
    .done = anthropic_stream_done,
    .error = anthropic_error,
    .stream_error = anthropic_stream_error,
    .status = anthropic_status,
    .stream_type = "text/event-stream; charset=utf-8",
    .ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    .request_id_header = "request-id",
};

static void write_count(const struct exchange_request *r UNUSED,
                        const struct exchange_head *head UNUSED, const struct exchange_answer *a,
                        struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_int(&w, "input_tokens", (int64_t)a->usage.prompt_tokens);
    if (a->usage.estimated)
        jw_kv_bool(&w, "usage_estimated", true);
    jw_object_end(&w);
}

const struct dialect dialect_anthropic_count = {
    .name = "anthropic.count_tokens",
    .kind = EXCHANGE_COUNT,
    .id_prefix = "",
    .read = anthropic_read_count,
    .answer = write_count,
    .error = anthropic_error,
    .stream_error = anthropic_stream_error,
    .status = anthropic_status,
    .request_id_header = "request-id",
};
