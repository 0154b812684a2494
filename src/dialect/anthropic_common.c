#include "dialect/anthropic_common.h"

#include "dialect/frame.h"

#include "base/banned.h"

// --- Stop reasons

const char *anthropic_stop_reason(enum exchange_finish f, str stop_matched)
{
    switch (f) {
    case EXCHANGE_FINISH_STOP:
        return stop_matched.len ? "stop_sequence" : "end_turn";
    case EXCHANGE_FINISH_LENGTH:
        return "max_tokens";
    case EXCHANGE_FINISH_TOOL_CALLS:
        return "tool_use";
    case EXCHANGE_FINISH_FILTER:
        return "refusal";
    }
    return "end_turn";
}

bool anthropic_finish(str stop_reason, enum exchange_finish *ret)
{
    static const struct {
        const char *reason;
        enum exchange_finish finish;
    } table[] = {
        {"end_turn", EXCHANGE_FINISH_STOP},
        {"stop_sequence", EXCHANGE_FINISH_STOP},
        {"pause_turn", EXCHANGE_FINISH_STOP},
        {"max_tokens", EXCHANGE_FINISH_LENGTH},
        {"model_context_window_exceeded", EXCHANGE_FINISH_LENGTH},
        {"tool_use", EXCHANGE_FINISH_TOOL_CALLS},
        {"refusal", EXCHANGE_FINISH_FILTER},
    };
    *ret = EXCHANGE_FINISH_STOP;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (!str_eq_z(stop_reason, table[i].reason))
            continue;
        *ret = table[i].finish;
        return true;
    }
    return false;
}

// --- Usage

void anthropic_write_usage(struct json_writer *w, const struct exchange_usage *u)
{
    uint64_t cached = u->cached_tokens + u->cache_write_tokens;
    uint64_t fresh = u->prompt_tokens > cached ? u->prompt_tokens - cached : 0;
    jw_kv_int(w, "input_tokens", (int64_t)fresh);
    jw_kv_int(w, "cache_creation_input_tokens", (int64_t)u->cache_write_tokens);
    jw_kv_int(w, "cache_read_input_tokens", (int64_t)u->cached_tokens);
    jw_kv_int(w, "output_tokens", (int64_t)u->completion_tokens);
    if (!u->reasoning_tokens)
        return;
    jw_key(w, "output_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "thinking_tokens", (int64_t)u->reasoning_tokens);
    jw_object_end(w);
}

static bool read_count(yyjson_val *usage, const char *name, uint64_t *ret)
{
    int64_t v;
    if (!json_is_int(json_get(usage, name), &v) || v < 0)
        return false;
    *ret = (uint64_t)v;
    return true;
}

void anthropic_read_usage(yyjson_val *usage, struct exchange_usage *u)
{
    uint64_t cached = u->cached_tokens, written = u->cache_write_tokens;
    uint64_t fresh = u->prompt_tokens - min_size(u->prompt_tokens, cached + written);
    read_count(usage, "input_tokens", &fresh);
    read_count(usage, "cache_read_input_tokens", &cached);
    read_count(usage, "cache_creation_input_tokens", &written);
    u->prompt_tokens = fresh + cached + written;
    u->cached_tokens = cached;
    u->cache_write_tokens = written;
    read_count(usage, "output_tokens", &u->completion_tokens);
    read_count(json_get(usage, "output_tokens_details"), "thinking_tokens", &u->reasoning_tokens);
}

// --- Errors

// Anthropic's own word for "not now".
#define STATUS_OVERLOADED 529

int anthropic_status(const struct api_error *e)
{
    int status = api_error_row(e->code)->status;
    return status == 503 ? STATUS_OVERLOADED : status;
}

static const char *error_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 504:
        return "timeout_error";
    case STATUS_OVERLOADED:
        return "overloaded_error";
    default:
        return status < 500 ? "invalid_request_error" : "api_error";
    }
}

void anthropic_error(const struct api_error *e, str request_id, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "type", "error");
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_kv_z(&w, "type", error_type(anthropic_status(e)));
    jw_kv_z(&w, "message", e->message);
    jw_key(&w, "details");
    jw_object_begin(&w);
    jw_kv_z(&w, "error_code", api_error_row(e->code)->name);
    if (e->param[0])
        jw_kv_z(&w, "param", e->param);
    jw_object_end(&w);
    jw_object_end(&w);
    jw_kv_str(&w, "request_id", request_id);
    jw_object_end(&w);
}

void anthropic_stream_error(struct dialect_stream *s UNUSED, const struct api_error *e,
                            str request_id, struct buf *out)
{
    frame_begin(out, "error");
    anthropic_error(e, request_id, out);
    frame_end(out);
}
