// The messages of a chat, OpenAI's way: roles, content parts, tool calls and their results.
#include "dialect/openai_common.h"

#include "base/banned.h"

static bool read_part(struct reader *r, yyjson_val *v, enum exchange_role role,
                      struct exchange_part *ret)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object with a 'type'", v);
    yyjson_val *type = json_get(v, "type"), *image;
    ret->raw = v;
    if (!type || !yyjson_is_str(type))
        return type ? field_wrong_type(r, "type", "a string", type) : field_missing(r, "type");
    bool refusal = yyjson_equals_str(type, "refusal");
    if (yyjson_equals_str(type, "text") || (refusal && role == EXCHANGE_ASSISTANT)) {
        const char *name = refusal ? "refusal" : "text";
        yyjson_val *text = json_get(v, name);
        if (!text || !yyjson_is_str(text))
            return text ? field_wrong_type(r, name, "a string", text) : field_missing(r, name);
        ret->type = refusal ? EXCHANGE_PART_REFUSAL : EXCHANGE_PART_TEXT;
        ret->text = json_str(text);
        return true;
    }
    if (yyjson_equals_str(type, "image_url") && role == EXCHANGE_USER) {
        ret->type = EXCHANGE_PART_IMAGE;
        image = json_get(v, "image_url");
        image = yyjson_is_obj(image) ? json_get(image, "url") : image;
        if (!image || !yyjson_is_str(image))
            return field_refuse(r, API_INVALID_TYPE, "image_url", "must have a 'url' string.");
        ret->url = json_str(image);
        return true;
    }
    if (yyjson_equals_str(type, "input_audio") && role == EXCHANGE_USER) {
        ret->type = EXCHANGE_PART_AUDIO;
        return true;
    }
    if (yyjson_equals_str(type, "file") && role == EXCHANGE_USER) {
        ret->type = EXCHANGE_PART_FILE;
        return true;
    }
    return field_refuse(r, API_INVALID_VALUE, "type", "is not a content part for the role '%s'.",
                        exchange_role_name(role));
}

static bool read_content(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    size_t i, max;
    yyjson_val *item;
    if (!yyjson_is_str(v) && !yyjson_is_arr(v))
        return field_wrong_type(r, "content", "a string or an array of content parts", v);
    size_t len = yyjson_is_arr(v) ? yyjson_arr_size(v) : 1;
    if (len == 0)
        return field_refuse(r, API_EMPTY_ARRAY, "content", "must not be an empty array.");
    m->parts = field_alloc(r, len, sizeof *m->parts);
    if (!m->parts)
        return false;
    m->parts_len = len;
    if (yyjson_is_str(v)) {
        m->parts[0] = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = json_str(v)};
        return true;
    }
    yyjson_arr_foreach(v, i, max, item)
    {
        struct field_scope scope = field_enter(r, "content", i);
        bool ok = read_part(r, item, m->role, &m->parts[i]);
        field_leave(r, scope);
        if (!ok)
            return false;
    }
    return true;
}

static bool read_call(struct reader *r, yyjson_val *v, struct exchange_tool_call *ret)
{
    yyjson_val *function = json_get(v, "function");
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!function || !yyjson_is_obj(function))
        return field_refuse(r, API_INVALID_TYPE, "function",
                            "must be an object with 'name' and 'arguments'.");
    yyjson_val *name = json_get(function, "name"), *arguments = json_get(function, "arguments");
    if (!yyjson_is_str(name))
        return field_refuse(r, API_INVALID_TYPE, "function.name", "must be a string.");
    if (arguments && !yyjson_is_str(arguments))
        return field_wrong_type(r, "function.arguments", "a string of JSON", arguments);
    ret->id = json_str(json_get(v, "id"));
    ret->name = json_str(name);
    ret->arguments = arguments ? json_str(arguments) : STR("");
    return true;
}

static bool read_calls(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    size_t i, max;
    yyjson_val *item;
    if (!yyjson_is_arr(v))
        return field_wrong_type(r, "tool_calls", "an array", v);
    if (yyjson_arr_size(v) > EXCHANGE_TOOLS_MAX)
        return field_refuse(r, API_ARRAY_TOO_LONG, "tool_calls", "may have %d items at most.",
                            EXCHANGE_TOOLS_MAX);
    m->calls = field_alloc(r, yyjson_arr_size(v), sizeof *m->calls);
    if (!m->calls)
        return false;
    m->calls_len = yyjson_arr_size(v);
    yyjson_arr_foreach(v, i, max, item)
    {
        struct field_scope scope = field_enter(r, "tool_calls", i);
        bool ok = read_call(r, item, &m->calls[i]);
        field_leave(r, scope);
        if (!ok)
            return false;
    }
    return true;
}

static bool read_role(struct reader *r, yyjson_val *v, enum exchange_role *ret)
{
    if (!v)
        return field_missing(r, "role");
    if (!yyjson_is_str(v))
        return field_wrong_type(r, "role", "a string", v);
    for (int role = 0; role < EXCHANGE_ROLE_COUNT; role++) {
        if (yyjson_equals_str(v, exchange_role_name((enum exchange_role)role))) {
            *ret = (enum exchange_role)role;
            return true;
        }
    }
    return field_refuse(r, API_INVALID_VALUE, "role",
                        "must be one of 'system', 'developer', 'user', 'assistant' and 'tool'.");
}

static bool read_message(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    yyjson_val *content = json_get(v, "content"), *calls = json_get(v, "tool_calls");
    bool has_calls = calls && !yyjson_is_null(calls);
    if (!read_role(r, json_get(v, "role"), &m->role) || !field_str(r, v, "name", true, &m->name))
        return false;
    if (m->role == EXCHANGE_ASSISTANT && has_calls && !read_calls(r, calls, m))
        return false;
    if (m->role == EXCHANGE_TOOL) {
        if (!json_get(v, "tool_call_id"))
            return field_missing(r, "tool_call_id");
        if (!field_str(r, v, "tool_call_id", true, &m->tool_call_id))
            return false;
    }
    if (content && !yyjson_is_null(content))
        return read_content(r, content, m);
    if (m->role == EXCHANGE_ASSISTANT && (has_calls || json_get(v, "refusal")))
        return true;
    return content
               ? field_wrong_type(r, "content", "a string or an array of content parts", content)
               : field_missing(r, "content");
}

bool openai_read_messages(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    size_t i, max;
    yyjson_val *item;
    if (!yyjson_is_arr(v))
        return field_wrong_type(r, "messages", "an array of messages", v);
    if (yyjson_arr_size(v) == 0)
        return field_refuse(r, API_EMPTY_ARRAY, "messages", "must have at least one message.");
    if (yyjson_arr_size(v) > EXCHANGE_MESSAGES_MAX)
        return field_refuse(r, API_ARRAY_TOO_LONG, "messages", "may have %d items at most.",
                            EXCHANGE_MESSAGES_MAX);
    q->messages = field_alloc(r, yyjson_arr_size(v), sizeof *q->messages);
    if (!q->messages)
        return false;
    q->messages_len = yyjson_arr_size(v);
    yyjson_arr_foreach(v, i, max, item)
    {
        struct field_scope scope = field_enter(r, "messages", i);
        bool ok = read_message(r, item, &q->messages[i]);
        field_leave(r, scope);
        if (!ok)
            return false;
    }
    return true;
}
