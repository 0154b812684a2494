// The conversation of a Messages request: system prompt, turns, content blocks. A turn of the user
// may hold results of several calls beside text; each becomes a message of its own, in order.
#include "dialect/anthropic_common.h"

#include "base/banned.h"

// --- Blocks

// The base64 of a source as a data URL, or its address.
static bool read_source(struct reader *r, yyjson_val *source, str *ret)
{
    str kind = json_str(json_get(source, "type")), type, data;
    if (str_eq_z(kind, "url"))
        return field_str(r, source, "url", false, ret);
    if (!str_eq_z(kind, "base64"))
        return true; // a file of the provider's: `raw` has it
    if (!field_str(r, source, "media_type", false, &type) ||
        !field_str(r, source, "data", false, &data))
        return false;
    return field_data_url(r, type, data, ret);
}

static bool read_media(struct reader *r, yyjson_val *v, enum exchange_part_type type,
                       struct exchange_part *ret)
{
    yyjson_val *source = json_get(v, "source");
    if (!yyjson_is_obj(source))
        return source ? field_wrong_type(r, "source", "an object", source)
                      : field_missing(r, "source");
    ret->type = type;
    if (type == EXCHANGE_PART_FILE && yyjson_equals_str(json_get(source, "type"), "text"))
        return field_str(r, source, "data", false, &ret->text);
    struct field_scope scope = field_enter_member(r, "source");
    bool ok = read_source(r, source, &ret->url);
    field_leave(r, scope);
    return ok;
}

static bool read_thinking(struct reader *r, yyjson_val *v, struct exchange_part *ret)
{
    ret->type = EXCHANGE_PART_THINKING;
    return field_str(r, v, "thinking", false, &ret->text) &&
           field_str(r, v, "signature", true, &ret->signature);
}

static bool read_part(struct reader *r, yyjson_val *v, str type, struct exchange_part *ret)
{
    *ret = (struct exchange_part){.type = EXCHANGE_PART_OTHER, .raw = v};
    if (str_eq_z(type, "text")) {
        ret->type = EXCHANGE_PART_TEXT;
        return field_str(r, v, "text", false, &ret->text);
    }
    if (str_eq_z(type, "image"))
        return read_media(r, v, EXCHANGE_PART_IMAGE, ret);
    if (str_eq_z(type, "document"))
        return read_media(r, v, EXCHANGE_PART_FILE, ret);
    if (str_eq_z(type, "thinking"))
        return read_thinking(r, v, ret);
    if (!str_eq_z(type, "redacted_thinking"))
        return true;
    ret->type = EXCHANGE_PART_THINKING;
    return field_str(r, v, "data", false, &ret->signature);
}

static bool read_tool_use(struct reader *r, yyjson_val *v, struct exchange_tool_call *ret)
{
    yyjson_val *input = json_get(v, "input");
    if (!field_str(r, v, "id", false, &ret->id) || !field_str(r, v, "name", false, &ret->name))
        return false;
    if (!input)
        return field_missing(r, "input");
    if (!yyjson_is_obj(input))
        return field_wrong_type(r, "input", "an object", input);
    return field_json_text(r, input, &ret->arguments);
}

// --- Content: a string, or blocks

static bool content_text(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    struct exchange_part *p = field_add_part(r, m);
    if (!p)
        return false;
    *p = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = json_str(v)};
    return true;
}

// What takes a block of a content.
typedef bool take_block(struct reader *r, yyjson_val *v, str type, void *ctx);

struct taking {
    take_block *take;
    void *ctx;
};

static bool read_block(struct reader *r, yyjson_val *v, void *ctx)
{
    const struct taking *t = ctx;
    str type = STR_NONE;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object with a 'type'", v);
    return field_str(r, v, "type", false, &type) && t->take(r, v, type, t->ctx);
}

static bool take_part(struct reader *r, yyjson_val *v, str type, void *ctx)
{
    struct exchange_part *p = field_add_part(r, ctx);
    return p && read_part(r, v, type, p);
}

static bool read_content(struct reader *r, yyjson_val *v, take_block *take, void *ctx,
                         struct exchange_message *plain)
{
    if (yyjson_is_str(v))
        return content_text(r, v, plain);
    if (yyjson_is_arr(v))
        return field_each(r, "content", v, read_block, &(struct taking){take, ctx});
    return v ? field_wrong_type(r, "content", "a string or an array of content blocks", v)
             : field_missing(r, "content");
}

// --- Turns

static struct exchange_message *add_message(struct exchange_request *q, enum exchange_role role)
{
    struct exchange_message *m = &q->messages[q->messages_len++];
    *m = (struct exchange_message){.role = role};
    return m;
}

static bool take_assistant(struct reader *r, yyjson_val *v, str type, void *ctx)
{
    if (!str_eq_z(type, "tool_use"))
        return take_part(r, v, type, ctx);
    struct exchange_tool_call *call = field_add_call(r, ctx);
    return call && read_tool_use(r, v, call);
}

static bool read_result(struct reader *r, yyjson_val *v)
{
    struct exchange_message *m = add_message(r->request, EXCHANGE_TOOL);
    yyjson_val *content = json_get(v, "content"), *is_error = json_get(v, "is_error");
    m->is_error = yyjson_is_true(is_error);
    if (is_error && !yyjson_is_null(is_error) && !yyjson_is_bool(is_error))
        return field_wrong_type(r, "is_error", "a boolean", is_error);
    if (!field_str(r, v, "tool_use_id", false, &m->tool_call_id))
        return false;
    if (!content || yyjson_is_null(content))
        return true;
    return read_content(r, content, take_part, m, m);
}

// `ctx`: the message that collects what is not a result; NULL until there is such a block, and
// again behind a result.
static bool take_user(struct reader *r, yyjson_val *v, str type, void *ctx)
{
    struct exchange_message **m = ctx;
    if (str_eq_z(type, "tool_result")) {
        *m = NULL;
        return read_result(r, v);
    }
    if (!*m)
        *m = add_message(r->request, EXCHANGE_USER);
    return take_part(r, v, type, *m);
}

static bool read_turn(struct reader *r, yyjson_val *v, void *ctx UNUSED)
{
    struct exchange_message *m = NULL;
    str role;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, NULL, "an object", v);
    if (!field_str(r, v, "role", false, &role))
        return false;
    yyjson_val *content = json_get(v, "content");
    if (str_eq_z(role, "user") && yyjson_is_arr(content))
        return read_content(r, content, take_user, &m, NULL);
    if (str_eq_z(role, "user"))
        m = add_message(r->request, EXCHANGE_USER);
    else if (str_eq_z(role, "assistant"))
        m = add_message(r->request, EXCHANGE_ASSISTANT);
    else if (str_eq_z(role, "system"))
        m = add_message(r->request, EXCHANGE_SYSTEM);
    else
        return field_refuse(r, API_INVALID_VALUE, "role",
                            "must be one of 'user', 'assistant' and 'system'.");
    return read_content(r, content, take_assistant, m, m);
}

// --- The system prompt: its blocks are paragraphs

struct paragraphs {
    struct buf text;
    bool begun;
};

static bool add_paragraph(struct reader *r, yyjson_val *v, void *ctx)
{
    struct paragraphs *p = ctx;
    str text = STR_NONE;
    if (!field_str(r, v, "text", false, &text))
        return false;
    if (p->begun)
        (void)buf_append_char(&p->text, '\n');
    (void)buf_append_str(&p->text, text);
    p->begun = true;
    return true;
}

static bool join_blocks(struct reader *r, yyjson_val *v, str *ret)
{
    struct paragraphs p = {.begun = false};
    buf_init(&p.text, r->arena->ceiling_bytes);
    bool ok = field_each(r, "system", v, add_paragraph, &p);
    *ret = arena_str(r->arena, buf_str(&p.text));
    buf_done(&p.text);
    return ok && (ret->ptr || field_no_memory(r));
}

static bool read_system(struct reader *r, yyjson_val *v)
{
    str text = json_str(v);
    if (!v || yyjson_is_null(v))
        return true;
    if (!yyjson_is_str(v) && !yyjson_is_arr(v))
        return field_wrong_type(r, "system", "a string or an array of text blocks", v);
    if (yyjson_is_arr(v) && !join_blocks(r, v, &text))
        return false;
    if (!text.len)
        return true;
    struct exchange_message *m = add_message(r->request, EXCHANGE_SYSTEM);
    struct exchange_part *p = field_add_part(r, m);
    if (!p)
        return false;
    *p = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = text};
    return true;
}

// At most so many messages: each block of a turn may become one.
static size_t messages_room(yyjson_val *messages)
{
    size_t i, max, room = 1;
    yyjson_val *item;
    yyjson_arr_foreach(messages, i, max, item)
    {
        yyjson_val *content = json_get(item, "content");
        room += 1 + (yyjson_is_arr(content) ? yyjson_arr_size(content) : 0);
    }
    return room;
}

bool anthropic_read_conversation(struct reader *r, yyjson_val *root)
{
    static const struct field_list list = {"messages",
                                           "an array of messages",
                                           "must have at least one message.",
                                           EXCHANGE_MESSAGES_MAX,
                                           0,
                                           read_turn};
    struct exchange_request *q = r->request;
    yyjson_val *messages = json_get(root, "messages");
    if (!messages || yyjson_is_null(messages))
        return field_missing(r, "messages");
    if (!field_list_fits(r, &list, messages))
        return false;
    q->messages = field_alloc(r, messages_room(messages), sizeof *q->messages);
    return q->messages && read_system(r, json_get(root, "system")) &&
           field_each(r, list.name, messages, list.read, NULL);
}
