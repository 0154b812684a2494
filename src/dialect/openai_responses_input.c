// The input of a Responses request: a text, or items. Items that an assistant made in one turn
// (reasoning, words, calls) come singly and are put together into one message again.
#include "dialect/openai_responses.h"

#include "base/banned.h"

// --- Content

static bool read_image(struct reader *r, yyjson_val *v, struct exchange_part *ret)
{
    ret->type = EXCHANGE_PART_IMAGE;
    if (json_get(v, "file_id") && !json_get(v, "image_url"))
        return true; // a file of the provider's: `raw` has it
    return field_str(r, v, "image_url", false, &ret->url);
}

static bool read_part(struct reader *r, yyjson_val *v, struct exchange_part *ret)
{
    str type;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object with a 'type'", v);
    if (!field_str(r, v, "type", false, &type))
        return false;
    *ret = (struct exchange_part){.type = EXCHANGE_PART_OTHER, .raw = v};
    if (str_eq_z(type, "input_image"))
        return read_image(r, v, ret);
    if (str_eq_z(type, "input_file")) {
        ret->type = EXCHANGE_PART_FILE;
        return true;
    }
    if (str_eq_z(type, "refusal")) {
        ret->type = EXCHANGE_PART_REFUSAL;
        return field_str(r, v, "refusal", false, &ret->text);
    }
    if (!str_eq_z(type, "input_text") && !str_eq_z(type, "output_text") && !str_eq_z(type, "text"))
        return true;
    ret->type = EXCHANGE_PART_TEXT;
    return field_str(r, v, "text", false, &ret->text);
}

static bool add_text(struct reader *r, struct exchange_message *m, str text)
{
    struct exchange_part *p = field_add_part(r, m);
    if (p)
        *p = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = text};
    return p;
}

static bool add_part(struct reader *r, yyjson_val *v, void *message)
{
    struct exchange_part *p = field_add_part(r, message);
    return p && read_part(r, v, p);
}

// The member `name`: a string, or parts.
static bool read_content(struct reader *r, yyjson_val *item, const char *name,
                         struct exchange_message *m)
{
    yyjson_val *v = json_get(item, name);
    if (yyjson_is_str(v))
        return add_text(r, m, json_str(v));
    if (!yyjson_is_arr(v))
        return v ? field_wrong_type(r, name, "a string or an array of content parts", v)
                 : field_missing(r, name);
    return field_each(r, name, v, add_part, m);
}

// --- Items

static struct exchange_message *add_message(struct exchange_request *q, enum exchange_role role)
{
    struct exchange_message *m = &q->messages[q->messages_len++];
    *m = (struct exchange_message){.role = role};
    return m;
}

static struct exchange_message *last_turn(const struct exchange_request *q)
{
    struct exchange_message *m = q->messages_len ? &q->messages[q->messages_len - 1] : NULL;
    return m && m->role == EXCHANGE_ASSISTANT ? m : NULL;
}

// Has the turn nothing but reasoning yet?
static bool only_thought(const struct exchange_message *m)
{
    for (size_t i = 0; i < m->parts_len; i++)
        if (m->parts[i].type != EXCHANGE_PART_THINKING)
            return false;
    return !m->calls_len;
}

static struct exchange_message *thinking_turn(struct exchange_request *q)
{
    struct exchange_message *m = last_turn(q);
    return m && only_thought(m) ? m : add_message(q, EXCHANGE_ASSISTANT);
}

static struct exchange_message *calling_turn(struct exchange_request *q)
{
    struct exchange_message *m = last_turn(q);
    return m ? m : add_message(q, EXCHANGE_ASSISTANT);
}

static bool read_message(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    struct exchange_message *m;
    str role;
    if (!field_str(r, v, "role", false, &role))
        return false;
    if (str_eq_z(role, "assistant"))
        m = thinking_turn(q);
    else if (str_eq_z(role, "user"))
        m = add_message(q, EXCHANGE_USER);
    else if (str_eq_z(role, "system"))
        m = add_message(q, EXCHANGE_SYSTEM);
    else if (str_eq_z(role, "developer"))
        m = add_message(q, EXCHANGE_DEVELOPER);
    else
        return field_refuse(r, API_INVALID_VALUE, "role",
                            "must be one of 'user', 'assistant', 'system' and 'developer'.");
    return read_content(r, v, "content", m);
}

static bool read_call(struct reader *r, yyjson_val *v)
{
    struct exchange_tool_call *c = field_add_call(r, calling_turn(r->request));
    return c && field_str(r, v, "call_id", false, &c->id) &&
           field_str(r, v, "name", false, &c->name) &&
           field_str(r, v, "arguments", false, &c->arguments);
}

static bool read_output(struct reader *r, yyjson_val *v)
{
    struct exchange_message *m = add_message(r->request, EXCHANGE_TOOL);
    return field_str(r, v, "call_id", false, &m->tool_call_id) && read_content(r, v, "output", m);
}

// The texts of an array of {"text"}, joined.
static bool join_texts(struct reader *r, yyjson_val *list, str *ret)
{
    size_t i, max;
    yyjson_val *item;
    struct buf text;
    buf_init(&text, r->arena->ceiling_bytes);
    yyjson_arr_foreach(list, i, max, item)(void)
        buf_append_str(&text, json_str(json_get(item, "text")));
    *ret = arena_str(r->arena, buf_str(&text));
    buf_done(&text);
    return ret->ptr || field_no_memory(r);
}

static bool read_reasoning(struct reader *r, yyjson_val *v)
{
    yyjson_val *content = json_get(v, "content"), *summary = json_get(v, "summary");
    struct exchange_part *p = field_add_part(r, thinking_turn(r->request));
    if (!p)
        return false;
    *p = (struct exchange_part){.type = EXCHANGE_PART_THINKING, .raw = v};
    return join_texts(r, yyjson_arr_size(content) ? content : summary, &p->text) &&
           field_str(r, v, "encrypted_content", true, &p->signature);
}

// What only a provider of this protocol knows: a web search of its own, and the like.
static bool keep_item(struct reader *r, yyjson_val *v)
{
    struct exchange_part *p = field_add_part(r, calling_turn(r->request));
    if (p)
        *p = (struct exchange_part){.type = EXCHANGE_PART_OTHER, .raw = v};
    return p;
}

static bool read_item(struct reader *r, yyjson_val *v, void *ctx UNUSED)
{
    str type = STR_NONE;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!field_str(r, v, "type", true, &type))
        return false;
    if (!type.len || str_eq_z(type, "message"))
        return read_message(r, v);
    if (str_eq_z(type, "function_call"))
        return read_call(r, v);
    if (str_eq_z(type, "function_call_output"))
        return read_output(r, v);
    if (str_eq_z(type, "reasoning"))
        return read_reasoning(r, v);
    if (str_eq_z(type, "item_reference"))
        return field_refuse(r, API_UNSUPPORTED_PARAMETER, "type",
                            "'item_reference' is not offered: no items are kept here. Send them.");
    return keep_item(r, v);
}

static bool read_instructions(struct reader *r, yyjson_val *root)
{
    str text = STR_NONE;
    if (!field_str(r, root, "instructions", true, &text))
        return false;
    return !text.len || add_text(r, add_message(r->request, EXCHANGE_SYSTEM), text);
}

bool openai_responses_read_input(struct reader *r, yyjson_val *root)
{
    static const struct field_list list = {"input",
                                           "a string or an array of items",
                                           "must have at least one item.",
                                           EXCHANGE_MESSAGES_MAX,
                                           0,
                                           read_item};
    struct exchange_request *q = r->request;
    yyjson_val *input = json_get(root, "input");
    bool plain = yyjson_is_str(input);
    if (!input || yyjson_is_null(input))
        return field_missing(r, "input");
    if (!plain && !field_list_fits(r, &list, input))
        return false;
    q->messages = field_alloc(r, (plain ? 1 : yyjson_arr_size(input)) + 1, sizeof *q->messages);
    if (!q->messages || !read_instructions(r, root))
        return false;
    if (plain)
        return add_text(r, add_message(q, EXCHANGE_USER), json_str(input));
    return field_each(r, list.name, input, list.read, NULL);
}
