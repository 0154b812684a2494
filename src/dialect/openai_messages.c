// The messages of a chat, OpenAI's way: roles, content parts, tool calls and their results.
#include "dialect/openai_common.h"
#include "dialect/tools.h"

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

static bool read_part_of(struct reader *r, yyjson_val *v, void *message)
{
    struct exchange_message *m = message;
    return read_part(r, v, m->role, &m->parts[m->parts_len++]);
}

static bool read_content(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    if (!yyjson_is_str(v) && !yyjson_is_arr(v))
        return field_wrong_type(r, "content", "a string or an array of content parts", v);
    size_t len = yyjson_is_arr(v) ? yyjson_arr_size(v) : 1;
    if (len == 0)
        return field_refuse(r, API_EMPTY_ARRAY, "content", "must not be an empty array.");
    m->parts = field_alloc(r, len, sizeof *m->parts);
    if (!m->parts)
        return false;
    if (yyjson_is_arr(v))
        return field_each(r, "content", v, read_part_of, m);
    m->parts[m->parts_len++] =
        (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = json_str(v)};
    return true;
}

static bool read_call(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_tool_call *ret = to;
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

static bool read_message(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_message *m = to;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    yyjson_val *content = json_get(v, "content"), *calls = json_get(v, "tool_calls");
    bool has_calls = calls && !yyjson_is_null(calls);
    if (!read_role(r, json_get(v, "role"), &m->role) || !field_str(r, v, "name", true, &m->name))
        return false;
    if (m->role == EXCHANGE_ASSISTANT && has_calls && !tools_read_calls(r, calls, read_call, m))
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
    static const struct field_list list = {"messages",
                                           "an array of messages",
                                           "must have at least one message.",
                                           EXCHANGE_MESSAGES_MAX,
                                           sizeof(struct exchange_message),
                                           read_message};
    struct exchange_request *q = r->request;
    q->messages = field_list(r, &list, v, &q->messages_len);
    return q->messages;
}

// --- Predicted outputs

static str joined(struct reader *r, const struct exchange_message *m)
{
    if (m->parts_len == 1)
        return m->parts[0].text;
    size_t len = 0;
    for (size_t i = 0; i < m->parts_len; i++)
        len += m->parts[i].text.len;
    char *text = field_alloc(r, len + 1, 1), *at = text;
    for (size_t i = 0; text && i < m->parts_len; at += m->parts[i++].text.len)
        memcpy(at, m->parts[i].text.ptr, m->parts[i].text.len);
    return text ? str_slice(text, len) : STR_NONE;
}

bool openai_read_prediction(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "prediction", "an object with 'type' and 'content'", v);
    struct field_scope scope = field_enter_member(r, "prediction");
    struct exchange_message m = {.role = EXCHANGE_SYSTEM}; // text alone
    yyjson_val *content = json_get(v, "content");
    if (!yyjson_equals_str(json_get(v, "type"), "content"))
        return field_refuse(r, API_INVALID_VALUE, "type", "must be 'content'.");
    if (!content)
        return field_missing(r, "content");
    if (!read_content(r, content, &m))
        return false;
    r->request->prediction = joined(r, &m);
    field_leave(r, scope);
    return r->request->prediction.ptr || field_no_memory(r);
}
