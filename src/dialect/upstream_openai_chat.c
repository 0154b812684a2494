// POST /chat/completions at a provider: OpenAI and whoever speaks like it.
#include "dialect/upstream_openai.h"

#include "base/banned.h"

// --- Writing

static void write_format(struct json_writer *j, const struct exchange_request *r)
{
    if (r->format == EXCHANGE_FORMAT_TEXT || exchange_format_is_own(r->format))
        return;
    bool schema = r->format == EXCHANGE_FORMAT_SCHEMA;
    jw_key(j, "response_format");
    jw_object_begin(j);
    jw_kv_z(j, "type", schema ? "json_schema" : "json_object");
    if (schema) {
        jw_key(j, "json_schema");
        jw_object_begin(j);
        jw_kv_str(j, "name", r->schema_name.len ? r->schema_name : STR("answer"));
        if (r->schema_strict)
            jw_kv_bool(j, "strict", true);
        jw_key(j, "schema");
        jw_value(j, r->schema);
        jw_object_end(j);
    }
    jw_object_end(j);
}

static void write_prediction(struct json_writer *j, const struct exchange_request *r)
{
    if (!r->prediction.len)
        return;
    jw_key(j, "prediction");
    jw_object_begin(j);
    jw_kv_z(j, "type", "content");
    jw_kv_str(j, "content", r->prediction);
    jw_object_end(j);
}

static bool write_chat(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    jw_object_begin(j);
    upstream_openai_write_common(w, j);
    bool ok = upstream_openai_write_messages(w, j) && upstream_openai_write_tools(w, j);
    write_format(j, r);
    bool goes_on = r->continues && !w->target->own_only;
    if (r->prefilled && !goes_on)
        upstream_lose_at(w, "messages[%zu].prefill", r->messages_len - 1);
    if (goes_on) { // vLLM's words for it
        jw_kv_bool(j, "continue_final_message", true);
        jw_kv_bool(j, "add_generation_prompt", false);
    }
    if (r->reasoning_effort.len)
        jw_kv_str(j, "reasoning_effort", r->reasoning_effort);
    write_prediction(j, r);
    if (r->logprobs) {
        jw_kv_bool(j, "logprobs", true);
        jw_kv_int(j, "top_logprobs", r->top_logprobs);
    }
    jw_object_end(j);
    return ok;
}

// --- Reading

static void read_call(struct upstream_reader *r, int64_t choice, yyjson_val *v, size_t position)
{
    yyjson_val *function = json_get(v, "function");
    int64_t key;
    if (!json_is_int(json_get(v, "index"), &key))
        key = (int64_t)position; // some leave it out
    upstream_call(r, choice, key, json_str(json_get(v, "id")),
                  json_str(json_get(function, "name")));
    yyjson_val *arguments = json_get(function, "arguments");
    upstream_arguments(r, choice, key, json_str(arguments));
    upstream_arguments_object(r, choice, key, arguments); // seen from servers that mean well
}

static str first_of(yyjson_val *v, const char *a, const char *b)
{
    str s = json_str(json_get(v, a));
    return s.len ? s : json_str(json_get(v, b));
}

// --- Scores

// `bytes` says what half a character is; `token` shows it as U+FFFD.
static str read_bytes(struct upstream_reader *r, yyjson_val *v)
{
    yyjson_val *list = json_get(v, "bytes"), *item;
    char *bytes = yyjson_is_arr(list) ? arena_alloc(&r->arena, yyjson_arr_size(list) + 1) : NULL;
    size_t i, max;
    if (!bytes)
        return json_str(json_get(v, "token"));
    yyjson_arr_foreach(list, i, max, item)
    {
        int64_t byte = 0;
        (void)json_is_int(item, &byte);
        bytes[i] = (char)byte;
    }
    return str_slice(bytes, yyjson_arr_size(list));
}

static float read_logprob(yyjson_val *v)
{
    double value;
    return json_is_num(json_get(v, "logprob"), &value) ? (float)value : 0;
}

static void read_top(struct upstream_reader *r, yyjson_val *list, struct exchange_token *t)
{
    struct exchange_alternative *top;
    yyjson_val *item;
    size_t i, max, len = min_size(yyjson_arr_size(list), EXCHANGE_TOP_LOGPROBS_MAX);
    if (!len || !(top = arena_zalloc(&r->arena, len, sizeof *top)))
        return;
    yyjson_arr_foreach(list, i, max, item)
    {
        if (i == len)
            break;
        top[i] = (struct exchange_alternative){read_bytes(r, item), read_logprob(item)};
    }
    t->top = top;
    t->top_len = len;
}

static const struct exchange_token *read_scores(struct upstream_reader *r, yyjson_val *list,
                                                size_t *ret_len)
{
    struct exchange_token *tokens;
    yyjson_val *item;
    size_t i, max, len = yyjson_arr_size(list);
    if (!len || !r->request->logprobs || !(tokens = arena_zalloc(&r->arena, len, sizeof *tokens)))
        return NULL;
    yyjson_arr_foreach(list, i, max, item)
    {
        tokens[i] = (struct exchange_token){
            .bytes = read_bytes(r, item), .logprob = read_logprob(item), .scored = true};
        read_top(r, json_get(item, "top_logprobs"), &tokens[i]);
    }
    *ret_len = len;
    return tokens;
}

// --- Answers

// A message of a whole answer, or a delta: they differ in nothing that matters here.
static void read_said(struct upstream_reader *r, int64_t choice, yyjson_val *said,
                      yyjson_val *logprobs)
{
    size_t i, max, tokens_len = 0;
    const struct exchange_token *tokens =
        read_scores(r, json_get(logprobs, "content"), &tokens_len);
    yyjson_val *call;
    upstream_thinking(r, choice, first_of(said, "reasoning_content", "reasoning"), STR_NONE);
    upstream_scored_text(r, choice, first_of(said, "content", "refusal"), tokens, tokens_len);
    yyjson_arr_foreach(json_get(said, "tool_calls"), i, max, call) read_call(r, choice, call, i);
}

static void read_choices(struct upstream_reader *r, yyjson_val *root, const char *said)
{
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(json_get(root, "choices"), i, max, item)
    {
        int64_t index = (int64_t)i;
        (void)json_is_int(json_get(item, "index"), &index);
        read_said(r, index, json_get(item, said), json_get(item, "logprobs"));
        str reason = json_str(json_get(item, "finish_reason"));
        if (reason.len)
            upstream_finish(r, index, upstream_finish_of(reason), STR_NONE);
    }
    upstream_openai_read_usage(r, json_get(root, "usage"));
}

static void read_whole(struct upstream_reader *r, yyjson_val *root)
{
    if (!yyjson_is_arr(json_get(root, "choices"))) {
        upstream_malformed(r, "answered without 'choices'");
        return;
    }
    read_choices(r, root, "message");
}

static void read_frame(struct upstream_reader *r, str event UNUSED, str data, yyjson_val *root)
{
    upstream_begin(r);
    read_choices(r, root, "delta");
    upstream_openai_hide_usage(r, root, data);
}

const struct upstream_dialect upstream_openai_chat = {
    .name = "openai.chat",
    .kind = EXCHANGE_CHAT,
    .framing = UPSTREAM_SSE,
    .same = &dialect_openai_chat,
    .path = "/chat/completions",
    .write = write_chat,
    .splice = upstream_openai_splice,
    .whole = read_whole,
    .frame = read_frame,
    .ends_with_done = true,
    .usage_frame = upstream_openai_usage_frame,
};
