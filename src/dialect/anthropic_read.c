// The members of a Messages request, but for the conversation.
#include "dialect/anthropic_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

// --- Tools

static bool read_tool(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_tool *ret = to;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    str type = json_str(json_get(v, "type"));
    if (!tools_read_name(r, "name", json_get(v, "name"), &ret->name))
        return false;
    ret->builtin = type.len && !str_eq_z(type, "custom");
    if (ret->builtin)
        return true;
    if (!json_get(v, "input_schema"))
        return field_missing(r, "input_schema");
    ret->strict = yyjson_is_true(json_get(v, "strict"));
    return field_str(r, v, "description", true, &ret->description) &&
           tools_read_schema(r, "input_schema", json_get(v, "input_schema"), &ret->parameters);
}

bool anthropic_read_tools(struct reader *r, yyjson_val *v)
{
    return tools_read(r, v, read_tool);
}

bool anthropic_read_tool_choice(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    yyjson_val *alone = json_get(v, "disable_parallel_tool_use");
    str type = json_str(json_get(v, "type"));
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "tool_choice", "an object with a 'type'", v);
    if (yyjson_is_bool(alone)) {
        q->given |= EXCHANGE_HAS_PARALLEL;
        q->parallel_tool_calls = !yyjson_get_bool(alone);
    }
    if (str_eq_z(type, "auto"))
        q->tool_choice = EXCHANGE_TOOLS_AUTO;
    else if (str_eq_z(type, "any"))
        q->tool_choice = EXCHANGE_TOOLS_REQUIRED;
    else if (str_eq_z(type, "none"))
        q->tool_choice = EXCHANGE_TOOLS_NONE;
    else if (str_eq_z(type, "tool"))
        q->tool_choice = EXCHANGE_TOOLS_NAMED;
    else
        return field_refuse(r, API_INVALID_VALUE, "tool_choice.type",
                            "must be one of 'auto', 'any', 'none' and 'tool'.");
    if (q->tool_choice != EXCHANGE_TOOLS_NAMED)
        return true;
    q->tool_name = json_str(json_get(v, "name"));
    return q->tool_name.len || field_missing(r, "tool_choice.name");
}

// --- Reasoning and the answer's form

static bool read_thinking(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    str type = json_str(json_get(v, "type"));
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "thinking", "an object with a 'type'", v);
    if (str_eq_z(type, "disabled")) {
        q->reasoning_effort = STR("none");
        return true;
    }
    if (str_eq_z(type, "adaptive") || str_eq_z(type, "between_tools"))
        return true; // as much as the model likes
    if (!str_eq_z(type, "enabled"))
        return field_refuse(
            r, API_INVALID_VALUE, "thinking.type",
            "must be one of 'enabled', 'disabled', 'adaptive' and 'between_tools'.");
    yyjson_val *budget = json_get(v, "budget_tokens");
    if (!budget)
        return field_missing(r, "thinking.budget_tokens");
    if (!json_is_int(budget, &q->thinking_tokens_max))
        return field_wrong_type(r, "thinking.budget_tokens", "an integer", budget);
    return q->thinking_tokens_max > 0 ||
           field_refuse(r, API_BELOW_MIN, "thinking.budget_tokens", "must be positive.");
}

static bool read_effort(struct reader *r, yyjson_val *v)
{
    static const char *const names[] = {"low", "medium", "high", "xhigh", "max"};
    struct exchange_request *q = r->request;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!yyjson_equals_str(v, names[i]))
            continue;
        if (!q->reasoning_effort.len) // "none" by `thinking` counts
            q->reasoning_effort = i < 4 ? str_of(names[i]) : STR("xhigh");
        return true;
    }
    return field_refuse(r, API_INVALID_VALUE, "effort",
                        "must be one of 'low', 'medium', 'high', 'xhigh' and 'max'.");
}

static bool read_format(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    if (!yyjson_equals_str(json_get(v, "type"), "json_schema"))
        return field_refuse(r, API_INVALID_VALUE, "format.type", "must be 'json_schema'.");
    q->format = EXCHANGE_FORMAT_SCHEMA;
    q->format_name = "output_config.format";
    q->schema = json_get(v, "schema");
    q->schema_strict = true;
    if (!q->schema)
        return field_missing(r, "format.schema");
    return yyjson_is_obj(q->schema) ||
           field_wrong_type(r, "format.schema", "a JSON schema (an object)", q->schema);
}

static bool read_output_config(struct reader *r, yyjson_val *v)
{
    static const struct field table[] = {
        {"effort", FIELD_CUSTOM, 0, 0, 0, 0, read_effort, NULL},
        {"format", FIELD_CUSTOM, 0, 0, 0, 0, read_format, NULL},
        {0},
    };
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "output_config", "an object", v);
    struct field_scope scope = field_enter_member(r, "output_config");
    bool ok = fields_read(r, table, v, r->request, true);
    field_leave(r, scope);
    return ok;
}

// --- The rest

static bool read_metadata(struct reader *r, yyjson_val *v)
{
    struct field_scope scope = field_enter_member(r, "metadata");
    bool ok = field_str(r, v, "user_id", true, &r->request->user);
    field_leave(r, scope);
    return ok;
}

static bool read_stops(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_arr(v))
        return field_wrong_type(r, "stop_sequences", "an array of strings", v);
    return field_stops(r, "stop_sequences", v);
}

#define AT(member) offsetof(struct exchange_request, member)
// clang-format off
#define REQUEST_FIELDS                                                                             \
    {"model", FIELD_STRING, AT(model), 0, 0, 0, NULL, NULL},                                       \
    {"messages", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, /* anthropic_read_conversation */        \
    {"system", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},                                            \
    {"tools", FIELD_CUSTOM, 0, 0, 0, 0, anthropic_read_tools, NULL},                               \
    {"tool_choice", FIELD_CUSTOM, 0, 0, 0, 0, anthropic_read_tool_choice, NULL},                   \
    {"thinking", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, /* before output_config */               \
    {"cache_control", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}

static const struct field count_fields[] = {
    REQUEST_FIELDS,
    {"output_config", FIELD_CUSTOM, 0, 0, 0, 0, read_output_config, NULL},
    {0},
};

static const struct field fields[] = {
    REQUEST_FIELDS,
    {"output_config", FIELD_CUSTOM, 0, 0, 0, 0, read_output_config, NULL},
    {"max_tokens", FIELD_INT, AT(tokens_max), EXCHANGE_HAS_TOKENS_MAX, 1, 1e12, NULL, NULL},
    {"temperature", FIELD_FLOAT, AT(temperature), EXCHANGE_HAS_TEMPERATURE, 0, 1, NULL, NULL},
    {"top_p", FIELD_FLOAT, AT(top_p), EXCHANGE_HAS_TOP_P, 0, 1, NULL, NULL},
    {"top_k", FIELD_INT, AT(top_k), EXCHANGE_HAS_TOP_K, 0, 1e9, NULL, NULL},
    {"stop_sequences", FIELD_CUSTOM, 0, 0, 0, 0, read_stops, NULL},
    {"stream", FIELD_BOOL, AT(stream), 0, 0, 0, NULL, NULL},
    {"metadata", FIELD_CUSTOM, 0, 0, 0, 0, read_metadata, NULL},
    {"service_tier", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {0},
};
// clang-format on

static bool read_root(yyjson_val *root, const struct field *table, struct reader *r)
{
    yyjson_val *thinking = json_get(root, "thinking");
    exchange_request_init(r->request, EXCHANGE_CHAT);
    if (thinking && !yyjson_is_null(thinking) && !read_thinking(r, thinking))
        return false;
    if (!fields_read(r, table, root, r->request, true) || !anthropic_read_conversation(r, root))
        return false;
    field_note_prefill(r->request);
    return tools_check_choice(r, "tool_choice", "tool_choice.name");
}

bool anthropic_read_request(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                            struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    if (!read_root(root, fields, &r))
        return false;
    ret->include_usage = true; // its streams always tell
    return (ret->given & EXCHANGE_HAS_TOKENS_MAX) || field_missing(&r, "max_tokens");
}

bool anthropic_read_count(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                          struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    return read_root(root, count_fields, &r);
}
