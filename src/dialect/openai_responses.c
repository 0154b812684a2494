// POST /v1/responses, without a memory: every request brings its whole conversation.
#include "dialect/openai_responses.h"

#include "dialect/openai_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

// --- Tools

static bool read_tool(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_tool *ret = to;
    str type;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!field_str(r, v, "type", false, &type))
        return false;
    ret->builtin = !str_eq_z(type, "function");
    ret->name = type;
    if (ret->builtin)
        return true;
    ret->strict = yyjson_is_true(json_get(v, "strict"));
    return tools_read_name(r, "name", json_get(v, "name"), &ret->name) &&
           field_str(r, v, "description", true, &ret->description) &&
           tools_read_schema(r, "parameters", json_get(v, "parameters"), &ret->parameters);
}

static bool read_tools(struct reader *r, yyjson_val *v)
{
    return tools_read(r, v, read_tool);
}

static bool read_tool_choice(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    if (!yyjson_is_obj(v))
        return openai_read_tool_choice(r, v);
    if (!yyjson_equals_str(json_get(v, "type"), "function"))
        return field_refuse(r, API_UNSUPPORTED_PARAMETER, "tool_choice.type",
                            "other than 'function' is not offered.");
    q->tool_choice = EXCHANGE_TOOLS_NAMED;
    q->tool_name = json_str(json_get(v, "name"));
    return q->tool_name.len || field_missing(r, "tool_choice.name");
}

// --- The answer's form

static bool read_format(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    yyjson_val *type = json_get(v, "type");
    if (yyjson_equals_str(type, "text"))
        return true;
    q->format_name = "text.format";
    if (yyjson_equals_str(type, "json_object")) {
        q->format = EXCHANGE_FORMAT_JSON;
        return true;
    }
    if (!yyjson_equals_str(type, "json_schema"))
        return field_refuse(r, API_INVALID_VALUE, "format.type",
                            "must be 'text', 'json_object' or 'json_schema'.");
    q->format = EXCHANGE_FORMAT_SCHEMA;
    q->schema = json_get(v, "schema");
    q->schema_name = json_str(json_get(v, "name"));
    q->schema_strict = yyjson_is_true(json_get(v, "strict"));
    return yyjson_is_obj(q->schema) || field_missing(r, "format.schema");
}

static bool read_nested(struct reader *r, const char *name, const struct field *table,
                        yyjson_val *v)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, name, "an object", v);
    struct field_scope scope = field_enter_member(r, name);
    bool ok = fields_read(r, table, v, r->request, true);
    field_leave(r, scope);
    return ok;
}

static bool read_text(struct reader *r, yyjson_val *v)
{
    static const struct field table[] = {
        {"format", FIELD_CUSTOM, 0, 0, 0, 0, read_format, NULL},
        {0},
    };
    return read_nested(r, "text", table, v);
}

static bool read_reasoning(struct reader *r, yyjson_val *v)
{
    static const struct field table[] = {
        {"effort", FIELD_STRING, OPENAI_AT(reasoning_effort), 0, 0, 0, NULL, NULL},
        {"summary", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, // reasoning comes whole
        {"generate_summary", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
        {0},
    };
    return read_nested(r, "reasoning", table, v);
}

static bool read_include(struct reader *r, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *item;
    if (!yyjson_is_arr(v))
        return field_wrong_type(r, "include", "an array of strings", v);
    yyjson_arr_foreach(v, i, max, item) if (yyjson_equals_str(item, "message.output_text.logprobs"))
        r->request->logprobs = true;
    return true;
}

// --- What would need a memory

static bool read_store(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_bool(v))
        return field_wrong_type(r, "store", "a boolean", v);
    if (yyjson_get_bool(v))
        field_ignore(r, STR("store"));
    return true;
}

static bool read_truncation(struct reader *r, yyjson_val *v)
{
    r->request->truncates = yyjson_equals_str(v, "auto");
    if (!r->request->truncates && !yyjson_equals_str(v, "disabled"))
        field_ignore(r, STR("truncation"));
    return true;
}

#define NO_MEMORY "is not offered: nothing is kept here. Send the conversation as 'input'."

// clang-format off
static const struct field fields[] = {
    {"model", FIELD_STRING, OPENAI_AT(model), 0, 0, 0, NULL, NULL},
    {"input", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, // openai_responses_read_input
    {"instructions", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"max_output_tokens", FIELD_INT, OPENAI_AT(tokens_max), EXCHANGE_HAS_TOKENS_MAX, 1, 1e12, NULL, NULL},
    {"temperature", FIELD_FLOAT, OPENAI_AT(temperature), EXCHANGE_HAS_TEMPERATURE, 0, 2, NULL, NULL},
    {"top_p", FIELD_FLOAT, OPENAI_AT(top_p), EXCHANGE_HAS_TOP_P, 0, 1, NULL, NULL},
    {"top_logprobs", FIELD_INT, OPENAI_AT(top_logprobs), 0, 0, EXCHANGE_TOP_LOGPROBS_MAX, NULL, NULL},
    {"include", FIELD_CUSTOM, 0, 0, 0, 0, read_include, NULL},
    {"tools", FIELD_CUSTOM, 0, 0, 0, 0, read_tools, NULL},
    {"tool_choice", FIELD_CUSTOM, 0, 0, 0, 0, read_tool_choice, NULL},
    {"parallel_tool_calls", FIELD_BOOL, OPENAI_AT(parallel_tool_calls), EXCHANGE_HAS_PARALLEL, 0, 0, NULL, NULL},
    {"max_tool_calls", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, // of built-in tools
    {"text", FIELD_CUSTOM, 0, 0, 0, 0, read_text, NULL},
    {"reasoning", FIELD_CUSTOM, 0, 0, 0, 0, read_reasoning, NULL},
    {"stream", FIELD_BOOL, OPENAI_AT(stream), 0, 0, 0, NULL, NULL},
    {"stream_options", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"store", FIELD_CUSTOM, 0, 0, 0, 0, read_store, NULL},
    {"truncation", FIELD_CUSTOM, 0, 0, 0, 0, read_truncation, NULL},
    {"user", FIELD_STRING, OPENAI_AT(user), 0, 0, 0, NULL, NULL},
    {"metadata", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"safety_identifier", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"prompt_cache_key", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"service_tier", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"previous_response_id", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, NO_MEMORY},
    {"conversation", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, NO_MEMORY},
    {"background", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: nothing is kept here."},
    {"prompt", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: send 'instructions' and 'input'."},
    {0},
};
// clang-format on

static bool read_request(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                         struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_CHAT);
    if (!fields_read(&r, fields, root, ret, true) || !openai_responses_read_input(&r, root))
        return false;
    ret->include_usage = true; // its streams always tell
    if (ret->top_logprobs && !ret->logprobs)
        return field_refuse(&r, API_INVALID_VALUE, "top_logprobs",
                            "needs 'include' to have 'message.output_text.logprobs'.");
    return tools_check_choice(&r, "tool_choice", "tool_choice.name");
}

// --- Writing

static void add_item(struct buf *output, const struct exchange_head *h,
                     const struct responses_item *item)
{
    struct json_writer w;
    if (output->len)
        buf_append_char(output, ',');
    jw_init(&w, output);
    responses_write_item(&w, h, item);
}

static void add_items(struct buf *output, const struct exchange_head *h,
                      const struct exchange_choice *c, struct buf *logprobs)
{
    size_t index = 0;
    bool cut = c->finish == EXCHANGE_FINISH_LENGTH;
    struct responses_item item = {.status = "completed"};
    if (c->thinking.len || c->signature.len) {
        item.type = BLOCK_THINKING;
        item.index = index++;
        item.text = buf_str(&c->thinking);
        item.signature = c->signature;
        add_item(output, h, &item);
    }
    if (c->text.len) {
        item = (struct responses_item){.type = BLOCK_TEXT,
                                       .index = index,
                                       .text = buf_str(&c->text),
                                       .logprobs = buf_str(logprobs),
                                       .status = cut && !c->calls_len ? "incomplete" : "completed"};
        add_item(output, h, &item);
        index++;
    }
    for (size_t i = 0; i < c->calls_len; i++) {
        item = (struct responses_item){.type = BLOCK_CALL,
                                       .index = index + i,
                                       .text = buf_str(&c->calls[i].arguments),
                                       .call_id = c->calls[i].id,
                                       .name = c->calls[i].name,
                                       .status = cut && i + 1 == c->calls_len ? "incomplete"
                                                                              : "completed"};
        add_item(output, h, &item);
    }
}

static void write_answer(const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    const struct exchange_choice *c = &a->choices[0];
    struct buf output, logprobs;
    struct json_writer w;
    size_t len;
    buf_init(&output, out->limit);
    buf_init(&logprobs, out->limit);
    const struct exchange_token *tokens = exchange_choice_tokens(c, &len);
    responses_add_logprobs(&logprobs, tokens, len);
    add_items(&output, head, c, &logprobs);
    struct responses_state s = {responses_status(c->finish), c->finish, buf_str(&output), &a->usage,
                                NULL};
    jw_init(&w, out);
    responses_write(&w, r, head, &s);
    out->failed = out->failed || output.failed || logprobs.failed;
    buf_done(&output);
    buf_done(&logprobs);
}

const struct dialect dialect_openai_responses = {
    .name = "openai.responses",
    .kind = EXCHANGE_CHAT,
    .id_prefix = "resp_",
    .read = read_request,
    .answer = write_answer,
    .event = responses_event,
    .done = responses_stream_done,
    .error = openai_error,
    .stream_error = responses_stream_error,
    .stream_type = "text/event-stream; charset=utf-8",
    .ping = ": ping\n\n",
};
