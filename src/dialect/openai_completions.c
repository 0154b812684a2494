// POST /v1/completions, the older shape: text in, text out. Loglikelihood harnesses live on its
// `echo` and `logprobs`, so their order and offsets are exact here.
#include "dialect/openai_common.h"

#include <stdio.h>

#include "base/utf8.h"

#include "base/banned.h"

static bool read_prompt(struct reader *r, yyjson_val *v)
{
    return openai_read_prompts(r, "prompt", v);
}

// An integer of 0 to 20, or a boolean as some clients send it.
static bool read_logprobs(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    int64_t top;
    if (yyjson_is_bool(v)) {
        q->logprobs = yyjson_get_bool(v);
        return true;
    }
    if (!json_is_int(v, &top))
        return field_wrong_type(r, "logprobs", "an integer", v);
    if (top < 0 || top > EXCHANGE_TOP_LOGPROBS_MAX)
        return field_refuse(r, top < 0 ? API_BELOW_MIN : API_ABOVE_MAX, "logprobs",
                            "must be between 0 and %d.", EXCHANGE_TOP_LOGPROBS_MAX);
    q->logprobs = true;
    q->top_logprobs = top;
    return true;
}

// clang-format off
static const struct field fields[] = {
    OPENAI_SAMPLING_FIELDS,
    {"prompt", FIELD_CUSTOM, 0, 0, 0, 0, read_prompt, NULL},
    {"max_tokens", FIELD_INT, OPENAI_AT(tokens_max), EXCHANGE_HAS_TOKENS_MAX, 0, 1e12, NULL, NULL},
    OPENAI_FORMAT_FIELDS,
    {"echo", FIELD_BOOL, OPENAI_AT(echo), 0, 0, 0, NULL, NULL},
    {"logprobs", FIELD_CUSTOM, 0, 0, 0, 0, read_logprobs, NULL},
    {"best_of", FIELD_INT, OPENAI_AT(best_of), 0, 1, EXCHANGE_CHOICES_MAX, NULL, NULL},
    {"suffix", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: no model here fills in the middle."},
    {0},
};
// clang-format on

static bool check_completion(struct reader *r)
{
    struct exchange_request *q = r->request;
    if (!q->prompts_len)
        return field_missing(r, "prompt");
    bool scores_only = (q->given & EXCHANGE_HAS_TOKENS_MAX) && q->tokens_max == 0;
    if (scores_only && !q->echo)
        return field_refuse(r, API_BELOW_MIN, "max_tokens",
                            "may be 0 only with 'echo', to score the prompt.");
    if (exchange_choices(q) > EXCHANGE_PROMPTS_MAX)
        return field_refuse(r, API_ABOVE_MAX, "n", "times the prompts may be %d at most.",
                            EXCHANGE_PROMPTS_MAX);
    return openai_check_common(r);
}

static bool read_completion(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                            struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_COMPLETION);
    return fields_read(&r, fields, root, ret, true) && check_completion(&r);
}

// --- Writing

// Two tokens may have the same bytes; a key stands once, with the likelier value (they come in
// descending order).
static bool seen_before(const struct exchange_token *t, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (str_eq(t->top[i].bytes, t->top[index].bytes))
            return true;
    return false;
}

static void write_top(struct json_writer *w, const struct exchange_token *t)
{
    bool chosen_listed = false;
    if (!t->scored) {
        jw_null(w);
        return;
    }
    jw_object_begin(w);
    for (size_t i = 0; i < t->top_len; i++) {
        if (seen_before(t, i))
            continue;
        chosen_listed = chosen_listed || str_eq(t->top[i].bytes, t->bytes);
        openai_write_token_key(w, t->top[i].bytes, true);
        openai_write_f32(w, t->top[i].logprob);
    }
    if (!chosen_listed) {
        openai_write_token_key(w, t->bytes, true);
        openai_write_f32(w, t->logprob);
    }
    jw_object_end(w);
}

static void write_logprobs(struct json_writer *w, const struct exchange_token *tokens, size_t len)
{
    jw_key(w, "logprobs");
    jw_object_begin(w);
    jw_key(w, "text_offset");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        jw_int(w, tokens[i].text_offset);
    jw_array_end(w);
    jw_key(w, "token_logprobs");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++) {
        if (tokens[i].scored)
            openai_write_f32(w, tokens[i].logprob);
        else
            jw_null(w);
    }
    jw_array_end(w);
    jw_key(w, "tokens");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        openai_write_token_key(w, tokens[i].bytes, false);
    jw_array_end(w);
    jw_key(w, "top_logprobs");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        write_top(w, &tokens[i]);
    jw_array_end(w);
    jw_object_end(w);
}

static void write_choice(struct json_writer *w, const struct exchange_request *r, size_t index,
                         const struct exchange_choice *c)
{
    size_t len;
    const struct exchange_token *tokens = exchange_choice_tokens(c, &len);
    jw_object_begin(w);
    jw_kv_int(w, "index", (int64_t)index);
    jw_kv_str(w, "text", buf_str(&c->text));
    if (r->logprobs)
        write_logprobs(w, tokens, len);
    else
        jw_kv_null(w, "logprobs");
    jw_kv_z(w, "finish_reason", exchange_finish_name(c->finish));
    jw_object_end(w);
}

static void write_answer(const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    openai_write_answer("text_completion", write_choice, r, head, a, out);
}

static void write_chunk(struct dialect_stream *s, const struct exchange_event *e, struct buf *out)
{
    struct json_writer w;
    openai_sse_begin(out);
    jw_init(&w, out);
    jw_object_begin(&w);
    openai_write_head(&w, s->head, "text_completion");
    jw_key(&w, "choices");
    jw_array_begin(&w);
    if (e->type != EXCHANGE_EVENT_END) {
        jw_object_begin(&w);
        jw_kv_int(&w, "index", e->choice);
        jw_kv_str(&w, "text", e->text);
        if (s->request->logprobs && e->tokens_len)
            write_logprobs(&w, e->tokens, e->tokens_len);
        else
            jw_kv_null(&w, "logprobs");
        if (e->type == EXCHANGE_EVENT_FINISH)
            jw_kv_z(&w, "finish_reason", exchange_finish_name(e->finish));
        else
            jw_kv_null(&w, "finish_reason");
        jw_object_end(&w);
    }
    jw_array_end(&w);
    if (s->request->include_usage) {
        jw_key(&w, "usage");
        if (e->type == EXCHANGE_EVENT_END)
            openai_write_usage(&w, &e->usage);
        else
            jw_null(&w);
    }
    jw_object_end(&w);
    openai_sse_end(out);
}

static void write_event(struct dialect_stream *s, const struct exchange_event *e, struct buf *out)
{
    switch (e->type) {
    case EXCHANGE_EVENT_TEXT:
        if (e->text.len || e->tokens_len)
            write_chunk(s, e, out);
        return;
    case EXCHANGE_EVENT_FINISH:
        write_chunk(s, e, out);
        return;
    case EXCHANGE_EVENT_END:
        if (s->request->include_usage)
            write_chunk(s, e, out);
        openai_sse_done(out);
        return;
    case EXCHANGE_EVENT_BEGIN:
    case EXCHANGE_EVENT_THINKING:
    case EXCHANGE_EVENT_RAW:
    case EXCHANGE_EVENT_CALL:
    case EXCHANGE_EVENT_ARGUMENTS:
    case EXCHANGE_EVENT_EMBEDDING:
    case EXCHANGE_EVENT_ERROR:
        return;
    }
}

const struct dialect dialect_openai_completions = {
    .name = "openai.completions",
    .kind = EXCHANGE_COMPLETION,
    .id_prefix = "cmpl-",
    .read = read_completion,
    .answer = write_answer,
    .event = write_event,
    .error = openai_error,
    .stream_error = openai_stream_error,
    .stream_type = "text/event-stream; charset=utf-8",
    .ping = ": ping\n\n",
};
