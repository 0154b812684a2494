// POST /v1/chat/completions.
#include "dialect/openai_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

// --- Reading

static bool read_modalities(struct reader *r, yyjson_val *v)
{
    if (yyjson_is_arr(v) && yyjson_arr_size(v) == 1 &&
        yyjson_equals_str(yyjson_arr_get_first(v), "text"))
        return true;
    return field_refuse(r, API_UNSUPPORTED_PARAMETER, "modalities",
                        "other than [\"text\"] are not offered.");
}

// clang-format off
static const struct field fields[] = {
    OPENAI_SAMPLING_FIELDS,
    {"messages", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_messages, NULL},
    {"max_tokens", FIELD_INT, OPENAI_AT(tokens_max), EXCHANGE_HAS_TOKENS_MAX, 1, 1e12, NULL, NULL},
    {"max_completion_tokens", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, // newer_fields
    {"logprobs", FIELD_BOOL, OPENAI_AT(logprobs), 0, 0, 0, NULL, NULL},
    {"top_logprobs", FIELD_INT, OPENAI_AT(top_logprobs), 0, 0, EXCHANGE_TOP_LOGPROBS_MAX, NULL, NULL},
    {"tools", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_tools, NULL},
    {"tool_choice", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_tool_choice, NULL},
    {"parallel_tool_calls", FIELD_BOOL, OPENAI_AT(parallel_tool_calls), EXCHANGE_HAS_PARALLEL, 0, 0, NULL, NULL},
    {"prediction", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_prediction, NULL},
    {"reasoning_effort", FIELD_STRING, OPENAI_AT(reasoning_effort), 0, 0, 0, NULL, NULL},
    OPENAI_FORMAT_FIELDS,
    {"modalities", FIELD_CUSTOM, 0, 0, 0, 0, read_modalities, NULL},
    {"functions", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is deprecated and not offered: use 'tools'."},
    {"function_call", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is deprecated and not offered: use 'tool_choice'."},
    {"audio", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: answers are text."},
    {"web_search_options", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered."},
    {"safety_identifier", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"prompt_cache_key", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {0},
};

// Of the two names for the limit the newer one wins, whatever their order in the object.
static const struct field newer_fields[] = {
    {"max_completion_tokens", FIELD_INT, OPENAI_AT(tokens_max), EXCHANGE_HAS_TOKENS_MAX, 1, 1e12, NULL, NULL},
    {0},
};
// clang-format on

static bool check_chat(struct reader *r)
{
    struct exchange_request *q = r->request;
    if (!q->messages_len)
        return field_missing(r, "messages");
    if (q->top_logprobs && !q->logprobs)
        return field_refuse(r, API_INVALID_VALUE, "top_logprobs",
                            "is only allowed when 'logprobs' is true.");
    return tools_check_choice(r, "tool_choice", "tool_choice.function.name") &&
           openai_check_common(r);
}

static bool read_chat(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                      struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_CHAT);
    return fields_read(&r, fields, root, ret, true) &&
           fields_read(&r, newer_fields, root, ret, false) && check_chat(&r);
}

// --- Writing

static void write_logprobs(struct json_writer *w, const struct exchange_request *r,
                           const struct exchange_token *tokens, size_t len)
{
    jw_key(w, "logprobs");
    if (!r->logprobs) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    jw_key(w, "content");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        openai_write_token(w, &tokens[i]);
    jw_array_end(w);
    jw_kv_null(w, "refusal");
    jw_object_end(w);
}

static void write_calls(struct json_writer *w, const struct exchange_choice *c)
{
    if (!c->calls_len)
        return;
    jw_key(w, "tool_calls");
    jw_array_begin(w);
    for (size_t i = 0; i < c->calls_len; i++) {
        jw_object_begin(w);
        jw_kv_str(w, "id", c->calls[i].id);
        jw_kv_z(w, "type", "function");
        jw_key(w, "function");
        jw_object_begin(w);
        jw_kv_str(w, "name", c->calls[i].name);
        jw_kv_str(w, "arguments", buf_str(&c->calls[i].arguments));
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_choice(struct json_writer *w, const struct exchange_request *r, size_t index,
                         const struct exchange_choice *c)
{
    size_t tokens_len;
    const struct exchange_token *tokens = exchange_choice_tokens(c, &tokens_len);
    jw_object_begin(w);
    jw_kv_int(w, "index", (int64_t)index);
    jw_key(w, "message");
    jw_object_begin(w);
    jw_kv_z(w, "role", "assistant");
    if (c->calls_len && !c->text.len)
        jw_kv_null(w, "content");
    else
        jw_kv_str(w, "content", buf_str(&c->text));
    if (c->thinking.len)
        jw_kv_str(w, "reasoning_content", buf_str(&c->thinking));
    jw_kv_null(w, "refusal");
    jw_key(w, "annotations");
    jw_array_begin(w);
    jw_array_end(w);
    write_calls(w, c);
    jw_object_end(w);
    write_logprobs(w, r, tokens, tokens_len);
    jw_kv_z(w, "finish_reason", exchange_finish_name(c->finish));
    jw_object_end(w);
}

static void write_answer(const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    openai_write_answer("chat.completion", write_choice, r, head, a, out);
}

// --- Writing: a stream

static void chunk_begin(struct dialect_stream *s, struct json_writer *w, struct buf *out)
{
    openai_sse_begin(out);
    jw_init(w, out);
    jw_object_begin(w);
    openai_write_head(w, s->head, "chat.completion.chunk");
    jw_key(w, "choices");
    jw_array_begin(w);
}

static void chunk_end(struct dialect_stream *s, struct json_writer *w, struct buf *out)
{
    jw_array_end(w);
    if (s->request->include_usage)
        jw_kv_null(w, "usage");
    jw_object_end(w);
    openai_sse_end(out);
}

static void delta_begin(struct json_writer *w, uint32_t choice)
{
    jw_object_begin(w);
    jw_kv_int(w, "index", choice);
    jw_key(w, "delta");
    jw_object_begin(w);
}

static void delta_end(struct json_writer *w, const struct exchange_request *r,
                      const struct exchange_event *e)
{
    jw_object_end(w);
    if (e && e->tokens_len)
        write_logprobs(w, r, e->tokens, e->tokens_len);
    else
        jw_kv_null(w, "logprobs");
    if (e && e->type == EXCHANGE_EVENT_FINISH)
        jw_kv_z(w, "finish_reason", exchange_finish_name(e->finish));
    else
        jw_kv_null(w, "finish_reason");
    jw_object_end(w);
}

static void event_begin(struct dialect_stream *s, struct buf *out)
{
    struct json_writer w;
    for (uint32_t i = 0; i < s->request->n; i++) {
        chunk_begin(s, &w, out);
        delta_begin(&w, i);
        jw_kv_z(&w, "role", "assistant");
        jw_kv_z(&w, "content", "");
        jw_kv_null(&w, "refusal");
        delta_end(&w, s->request, NULL);
        chunk_end(s, &w, out);
    }
}

static void event_call(struct json_writer *w, const struct exchange_event *e)
{
    bool opens = e->type == EXCHANGE_EVENT_CALL;
    jw_key(w, "tool_calls");
    jw_array_begin(w);
    jw_object_begin(w);
    jw_kv_int(w, "index", e->call_index);
    if (opens) {
        jw_kv_str(w, "id", e->call.id);
        jw_kv_z(w, "type", "function");
    }
    jw_key(w, "function");
    jw_object_begin(w);
    if (opens)
        jw_kv_str(w, "name", e->call.name);
    jw_kv_str(w, "arguments", opens ? STR("") : e->text);
    jw_object_end(w);
    jw_object_end(w);
    jw_array_end(w);
}

static void event_delta(struct dialect_stream *s, const struct exchange_event *e, struct buf *out)
{
    struct json_writer w;
    bool said = e->type == EXCHANGE_EVENT_TEXT || e->type == EXCHANGE_EVENT_THINKING;
    if (said && !e->text.len && !e->tokens_len)
        return;
    chunk_begin(s, &w, out);
    delta_begin(&w, e->choice);
    if (e->type == EXCHANGE_EVENT_TEXT)
        jw_kv_str(&w, "content", e->text);
    else if (e->type == EXCHANGE_EVENT_THINKING)
        jw_kv_str(&w, "reasoning_content", e->text);
    else if (e->type != EXCHANGE_EVENT_FINISH)
        event_call(&w, e);
    delta_end(&w, s->request, e);
    chunk_end(s, &w, out);
}

static void event_end(struct dialect_stream *s, const struct exchange_event *e, struct buf *out)
{
    struct json_writer w;
    if (s->request->include_usage) {
        chunk_begin(s, &w, out);
        jw_array_end(&w);
        jw_key(&w, "usage");
        openai_write_usage(&w, &e->usage);
        jw_object_end(&w);
        openai_sse_end(out);
    }
    openai_sse_done(out);
}

static void write_event(struct dialect_stream *s, const struct exchange_event *e, struct buf *out)
{
    switch (e->type) {
    case EXCHANGE_EVENT_BEGIN:
        event_begin(s, out);
        return;
    case EXCHANGE_EVENT_END:
        event_end(s, e, out);
        return;
    case EXCHANGE_EVENT_TEXT:
    case EXCHANGE_EVENT_THINKING:
    case EXCHANGE_EVENT_CALL:
    case EXCHANGE_EVENT_ARGUMENTS:
    case EXCHANGE_EVENT_FINISH:
        event_delta(s, e, out);
        return;
    case EXCHANGE_EVENT_EMBEDDING:
    case EXCHANGE_EVENT_ERROR:
    case EXCHANGE_EVENT_RAW:
        return;
    }
}

const struct dialect dialect_openai_chat = {
    .name = "openai.chat",
    .kind = EXCHANGE_CHAT,
    .id_prefix = "chatcmpl-",
    .read = read_chat,
    .answer = write_answer,
    .event = write_event,
    .error = openai_error,
    .stream_error = openai_stream_error,
    .stream_type = "text/event-stream; charset=utf-8",
    .ping = ": ping\n\n",
};
