// The messages of a chat, Ollama's way: images beside the text, tool calls with objects as
// arguments and often without ids, results that name the tool instead of the call.
#include "dialect/ollama_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

static bool read_arguments(struct reader *r, yyjson_val *v, str *ret)
{
    if (!v || yyjson_is_null(v))
        *ret = STR("{}");
    else if (yyjson_is_str(v))
        *ret = json_str(v);
    else if (yyjson_is_obj(v))
        return field_json_text(r, v, ret);
    else
        return field_wrong_type(r, "function.arguments", "an object", v);
    return true;
}

static bool read_call(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_tool_call *ret = to;
    yyjson_val *function = json_get(v, "function");
    if (!yyjson_is_obj(function))
        return field_refuse(r, API_INVALID_TYPE, "function",
                            "must be an object with 'name' and 'arguments'.");
    if (!yyjson_is_str(json_get(function, "name")))
        return field_refuse(r, API_INVALID_TYPE, "function.name", "must be a string.");
    ret->name = json_str(json_get(function, "name"));
    return field_str(r, v, "id", true, &ret->id) &&
           read_arguments(r, json_get(function, "arguments"), &ret->arguments);
}

static bool read_role(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    str name;
    if (!field_str(r, v, "role", false, &name))
        return false;
    for (int role = 0; role < EXCHANGE_ROLE_COUNT; role++) {
        if (!str_eq_z(name, exchange_role_name((enum exchange_role)role)))
            continue;
        m->role = (enum exchange_role)role;
        return true;
    }
    return field_refuse(r, API_INVALID_VALUE, "role",
                        "must be one of 'system', 'user', 'assistant' and 'tool'.");
}

// Reasoning, text, images: each a part.
static bool read_parts(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    yyjson_val *images = json_get(v, "images");
    bool seen = images && !yyjson_is_null(images);
    str text = STR_NONE, thinking = STR_NONE;
    if (!field_str(r, v, "content", true, &text) || !field_str(r, v, "thinking", true, &thinking))
        return false;
    if (seen && !yyjson_is_arr(images))
        return field_wrong_type(r, "images", "an array of strings of base64", images);
    m->parts = field_alloc(r, 2 + (seen ? yyjson_arr_size(images) : 0), sizeof *m->parts);
    if (!m->parts)
        return false;
    if (thinking.len)
        m->parts[m->parts_len++] =
            (struct exchange_part){.type = EXCHANGE_PART_THINKING, .text = thinking};
    if (text.ptr)
        m->parts[m->parts_len++] = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = text};
    return !seen || ollama_read_images(r, images, m);
}

static bool read_message(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_message *m = to;
    yyjson_val *calls = json_get(v, "tool_calls");
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!read_role(r, v, m) || !read_parts(r, v, m))
        return false;
    if (m->role == EXCHANGE_TOOL && (!field_str(r, v, "tool_name", true, &m->name) ||
                                     !field_str(r, v, "tool_call_id", true, &m->tool_call_id)))
        return false;
    return !calls || yyjson_is_null(calls) || tools_read_calls(r, calls, read_call, m);
}

// --- Ids: other protocols need them, so calls get some, and results those of the calls they answer

static bool name_calls(struct reader *r, struct exchange_message *m, size_t index)
{
    for (size_t i = 0; i < m->calls_len; i++) {
        if (m->calls[i].id.len)
            continue;
        m->calls[i].id = arena_printf(r->arena, "call_%zu_%zu", index, i);
        if (!m->calls[i].id.ptr)
            return field_no_memory(r);
    }
    return true;
}

// A turn of the assistant's, and which of its calls have results by now.
struct turn {
    const struct exchange_message *m;
    bool answered[EXCHANGE_TOOLS_MAX];
};

// A result without an id is that of the first call that waits for one, of its name if it has one.
static void match_result(struct turn *t, struct exchange_message *m)
{
    for (size_t i = 0; t->m && i < t->m->calls_len; i++) {
        const struct exchange_tool_call *c = &t->m->calls[i];
        bool meant = m->tool_call_id.len ? str_eq(m->tool_call_id, c->id)
                                         : !m->name.len || str_eq(m->name, c->name);
        if (!meant || t->answered[i])
            continue;
        t->answered[i] = true;
        m->tool_call_id = c->id;
        return;
    }
}

static bool name_all(struct reader *r)
{
    struct exchange_request *q = r->request;
    struct turn turn = {0};
    for (size_t i = 0; i < q->messages_len; i++) {
        struct exchange_message *m = &q->messages[i];
        if (!name_calls(r, m, i))
            return false;
        if (m->role == EXCHANGE_TOOL)
            match_result(&turn, m);
        else
            turn = (struct turn){.m = m};
    }
    return true;
}

bool ollama_read_messages(struct reader *r, yyjson_val *v)
{
    static const struct field_list list = {"messages",
                                           "an array of messages",
                                           NULL,
                                           EXCHANGE_MESSAGES_MAX,
                                           sizeof(struct exchange_message),
                                           read_message};
    struct exchange_request *q = r->request;
    q->messages = field_list(r, &list, v, &q->messages_len);
    return q->messages && name_all(r);
}
