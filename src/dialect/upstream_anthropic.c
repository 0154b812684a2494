// POST /v1/messages at Anthropic.
#include "dialect/upstream_anthropic.h"

#include "dialect/anthropic_common.h"

#include "base/banned.h"

// The least budget for reasoning that the API takes.
#define THINKING_TOKENS_MIN 1024

// --- Writing

// The budget that stands for a word about effort; 0: no reasoning.
static int64_t thinking_budget(const struct exchange_request *r)
{
    static const struct {
        const char *effort;
        int64_t tokens;
    } table[] = {{"minimal", THINKING_TOKENS_MIN},
                 {"low", THINKING_TOKENS_MIN},
                 {"medium", 4096},
                 {"high", 16384},
                 {"xhigh", 32768}};
    if (r->thinking_tokens_max)
        return r->thinking_tokens_max < THINKING_TOKENS_MIN ? THINKING_TOKENS_MIN
                                                            : r->thinking_tokens_max;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq_z(r->reasoning_effort, table[i].effort))
            return table[i].tokens;
    return 0;
}

// Reasoning counts within the limit, and there must be room for an answer behind it.
static int64_t limit(const struct upstream_writing *w, int64_t *budget)
{
    const struct exchange_request *r = w->request;
    bool given = r->given & EXCHANGE_HAS_TOKENS_MAX;
    int64_t tokens = given ? r->tokens_max : w->target->tokens_max_default + *budget;
    if (*budget >= tokens)
        *budget = tokens > THINKING_TOKENS_MIN ? tokens - 1 : 0;
    return tokens;
}

static void write_temperature(struct upstream_writing *w, struct json_writer *j, bool thinks)
{
    const struct exchange_request *r = w->request;
    if (!(r->given & EXCHANGE_HAS_TEMPERATURE))
        return;
    if (r->temperature > 1 || (thinks && r->temperature < 1))
        upstream_lose(w,
                      "temperature"); // brought to 1, the highest, and the only one to think with
    else if (!thinks)
        jw_kv_f64(j, "temperature", r->temperature);
    if (r->temperature > 1 && !thinks)
        jw_kv_f64(j, "temperature", 1);
}

static void write_stops(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (!r->stops_len)
        return;
    jw_key(j, "stop_sequences");
    jw_array_begin(j);
    for (size_t i = 0; i < r->stops_len; i++)
        if (str_trim(r->stops[i]).len)
            jw_str(j, r->stops[i]);
        else
            upstream_lose_at(w, "stop[%zu]", i); // nothing but blanks is refused
    jw_array_end(j);
}

static void write_thinking(struct json_writer *j, int64_t budget)
{
    if (!budget)
        return;
    jw_key(j, "thinking");
    jw_object_begin(j);
    jw_kv_z(j, "type", "enabled");
    jw_kv_int(j, "budget_tokens", budget);
    jw_object_end(j);
}

static void write_format(const struct exchange_request *r, struct json_writer *j)
{
    if (r->format == EXCHANGE_FORMAT_TEXT || exchange_format_is_own(r->format))
        return;
    jw_key(j, "output_config");
    jw_object_begin(j);
    jw_key(j, "format");
    jw_object_begin(j);
    jw_kv_z(j, "type", "json_schema");
    jw_key(j, "schema");
    if (r->format == EXCHANGE_FORMAT_SCHEMA)
        jw_value(j, r->schema);
    else
        jw_raw(j, STR("{\"type\":\"object\",\"additionalProperties\":true}"));
    jw_object_end(j);
    jw_object_end(j);
}

static void write_user(const struct exchange_request *r, struct json_writer *j)
{
    if (!r->user.len)
        return;
    jw_key(j, "metadata");
    jw_object_begin(j);
    jw_kv_str(j, "user_id", r->user);
    jw_object_end(j);
}

static bool write_messages(struct upstream_writing *w, struct json_writer *j)
{
    static const char *const carried[] = {
        "temperature",      "top_p",    "top_k", "user", "parallel_tool_calls",
        "reasoning_effort", "thinking", NULL};
    const struct exchange_request *r = w->request;
    int64_t budget = thinking_budget(r), tokens = limit(w, &budget);
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    jw_kv_int(j, "max_tokens", tokens);
    bool ok = upstream_anthropic_write_conversation(w, j);
    if (!ok)
        return false;
    upstream_anthropic_write_tools(w, j);
    write_temperature(w, j, budget > 0);
    if (r->given & EXCHANGE_HAS_TOP_P)
        jw_kv_f64(j, "top_p", r->top_p);
    if ((r->given & EXCHANGE_HAS_TOP_K) && r->top_k > 0)
        jw_kv_int(j, "top_k", r->top_k);
    write_stops(w, j);
    write_thinking(j, budget);
    write_format(r, j);
    write_user(r, j);
    if (r->stream)
        jw_kv_bool(j, "stream", true);
    jw_object_end(j);
    upstream_lose_others(w, carried);
    return upstream_one_choice(w);
}

static void write_limit(struct json_writer *j, const void *ctx)
{
    jw_int(j, *(const int64_t *)ctx);
}

// A limit that the gateway lowered.
static bool splice(struct upstream_writing *w, struct upstream_edits *edits)
{
    const struct exchange_request *r = w->request;
    int64_t told = -1;
    if ((r->given & EXCHANGE_HAS_TOKENS_MAX) &&
        !(json_is_int(json_get(r->root, "max_tokens"), &told) && told == r->tokens_max))
        upstream_edit(edits, STR("max_tokens"), upstream_json(w, write_limit, &r->tokens_max));
    return true;
}

// --- Reading

static void read_usage(struct upstream_reader *r, yyjson_val *usage)
{
    if (!yyjson_is_obj(usage))
        return;
    anthropic_read_usage(usage, &r->usage);
    r->usage_known = true;
}

static void read_stop(struct upstream_reader *r, yyjson_val *from)
{
    enum exchange_finish finish;
    str reason = json_str(json_get(from, "stop_reason"));
    if (!reason.len)
        return;
    (void)anthropic_finish(reason, &finish);
    upstream_finish(r, 0, finish, json_str(json_get(from, "stop_sequence")));
}

// A block as it begins, or whole: then its text and input are all there is of it.
static void read_block(struct upstream_reader *r, int64_t index, yyjson_val *block)
{
    str type = json_str(json_get(block, "type"));
    if (str_eq_z(type, "text")) {
        upstream_text(r, 0, json_str(json_get(block, "text")));
    } else if (str_eq_z(type, "thinking")) {
        upstream_thinking(r, 0, json_str(json_get(block, "thinking")),
                          json_str(json_get(block, "signature")));
    } else if (str_eq_z(type, "redacted_thinking")) {
        upstream_thinking(r, 0, STR_NONE, json_str(json_get(block, "data")));
    } else if (str_eq_z(type, "tool_use")) {
        yyjson_val *input = json_get(block, "input");
        upstream_call(r, 0, index, json_str(json_get(block, "id")),
                      json_str(json_get(block, "name")));
        if (yyjson_obj_size(input))
            upstream_arguments_object(r, 0, index, input);
    }
}

// Blocks of the provider's own tools have input, too; they are nobody's calls.
static void read_input(struct upstream_reader *r, int64_t index, str text)
{
    if (upstream_has_call(r, 0, index))
        upstream_arguments(r, 0, index, text);
}

static void read_delta(struct upstream_reader *r, int64_t index, yyjson_val *delta)
{
    str type = json_str(json_get(delta, "type"));
    if (str_eq_z(type, "text_delta"))
        upstream_text(r, 0, json_str(json_get(delta, "text")));
    else if (str_eq_z(type, "input_json_delta"))
        read_input(r, index, json_str(json_get(delta, "partial_json")));
    else if (str_eq_z(type, "thinking_delta"))
        upstream_thinking(r, 0, json_str(json_get(delta, "thinking")), STR_NONE);
    else if (str_eq_z(type, "signature_delta"))
        upstream_thinking(r, 0, STR_NONE, json_str(json_get(delta, "signature")));
}

static void read_start(struct upstream_reader *r, yyjson_val *message)
{
    read_usage(r, json_get(message, "usage"));
    upstream_begin(r);
}

static void read_frame(struct upstream_reader *r, str event UNUSED, str data UNUSED,
                       yyjson_val *root)
{
    str type = json_str(json_get(root, "type"));
    int64_t index = 0;
    (void)json_is_int(json_get(root, "index"), &index);
    if (str_eq_z(type, "message_start")) {
        read_start(r, json_get(root, "message"));
    } else if (str_eq_z(type, "content_block_start")) {
        read_block(r, index, json_get(root, "content_block"));
    } else if (str_eq_z(type, "content_block_delta")) {
        read_delta(r, index, json_get(root, "delta"));
    } else if (str_eq_z(type, "content_block_stop")) {
        upstream_call_end(r, 0, index);
    } else if (str_eq_z(type, "message_delta")) {
        read_usage(r, json_get(root, "usage"));
        read_stop(r, json_get(root, "delta"));
    } else if (str_eq_z(type, "message_stop")) {
        upstream_complete(r);
    } // a ping, or what is newer than this
}

static void read_whole(struct upstream_reader *r, yyjson_val *root)
{
    yyjson_val *content = json_get(root, "content"), *block;
    size_t i, max;
    if (!yyjson_is_arr(content)) {
        upstream_malformed(r, "answered without 'content'");
        return;
    }
    read_start(r, root);
    yyjson_arr_foreach(content, i, max, block) read_block(r, (int64_t)i, block);
    read_stop(r, root);
}

// --- Counting

static bool write_count(struct upstream_writing *w, struct json_writer *j)
{
    int64_t budget = thinking_budget(w->request);
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    if (!upstream_anthropic_write_conversation(w, j))
        return false;
    upstream_anthropic_write_tools(w, j);
    write_thinking(j, budget);
    jw_object_end(j);
    return true;
}

static void read_count(struct upstream_reader *r, yyjson_val *root)
{
    int64_t tokens;
    if (!json_is_int(json_get(root, "input_tokens"), &tokens) || tokens < 0) {
        upstream_malformed(r, "answered without 'input_tokens'");
        return;
    }
    r->usage.prompt_tokens = (uint64_t)tokens;
    r->usage_known = true;
    upstream_begin(r);
    upstream_finish(r, 0, EXCHANGE_FINISH_STOP, STR_NONE);
}

const struct upstream_dialect upstream_anthropic_count = {
    .name = "anthropic.count_tokens",
    .kind = EXCHANGE_COUNT,
    .framing = UPSTREAM_SSE,
    .same = &dialect_anthropic_count,
    .path = "/v1/messages/count_tokens",
    .write = write_count,
    .whole = read_count,
};

const struct upstream_dialect upstream_anthropic_messages = {
    .name = "anthropic.messages",
    .kind = EXCHANGE_CHAT,
    .framing = UPSTREAM_SSE,
    .same = &dialect_anthropic_messages,
    .path = "/v1/messages",
    .write = write_messages,
    .splice = splice,
    .whole = read_whole,
    .frame = read_frame,
};
