// A conversation in the words of Anthropic's Messages API: the system prompt apart, roles that
// alternate, results of tools merged into one turn of the user.
#include "dialect/upstream_anthropic.h"

#include <stdio.h>

#include "dialect/anthropic_common.h"

#include "base/banned.h"

struct turn {
    struct upstream_writing *w;
    struct json_writer *j;
    enum exchange_role role; // of the open turn
    bool open;
};

// --- The system prompt

static bool is_system(const struct exchange_message *m)
{
    return m->role == EXCHANGE_SYSTEM || m->role == EXCHANGE_DEVELOPER;
}

static void write_system(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < r->messages_len; i++) {
        const struct exchange_message *m = &r->messages[i];
        for (size_t k = 0; is_system(m) && k < m->parts_len; k++) {
            if (text.len)
                (void)buf_append_char(&text, '\n');
            (void)buf_append_str(&text, m->parts[k].text);
        }
    }
    if (text.len)
        jw_kv_str(j, "system", buf_str(&text));
    buf_done(&text);
}

// --- Blocks

static void write_text(struct json_writer *j, str text)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", "text");
    jw_kv_str(j, "text", text);
    jw_object_end(j);
}

static void write_source(struct json_writer *j, const char *type, str url)
{
    str media_type, data;
    jw_object_begin(j);
    jw_kv_z(j, "type", type);
    jw_key(j, "source");
    jw_object_begin(j);
    if (exchange_data_url(url, &media_type, &data)) {
        jw_kv_z(j, "type", "base64");
        jw_kv_str(j, "media_type", media_type);
        jw_kv_str(j, "data", data);
    } else {
        jw_kv_z(j, "type", "url");
        jw_kv_str(j, "url", url);
    }
    jw_object_end(j);
    jw_object_end(j);
}

static void write_document_text(struct json_writer *j, str text)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", "document");
    jw_key(j, "source");
    jw_object_begin(j);
    jw_kv_z(j, "type", "text");
    jw_kv_z(j, "media_type", "text/plain");
    jw_kv_str(j, "data", text);
    jw_object_end(j);
    jw_object_end(j);
}

// Where a file's bytes are, in OpenAI's part or in ours.
static str file_url(const struct exchange_part *p)
{
    return p->url.len ? p->url : json_str(json_get(json_get(p->raw, "file"), "file_data"));
}

// False: there is no word for it.
static bool write_part(struct json_writer *j, const struct exchange_part *p)
{
    switch (p->type) {
    case EXCHANGE_PART_TEXT:
    case EXCHANGE_PART_REFUSAL:
        if (p->text.len) // an empty block is refused
            write_text(j, p->text);
        return true;
    case EXCHANGE_PART_IMAGE:
        write_source(j, "image", p->url);
        return true;
    case EXCHANGE_PART_FILE:
        if (p->text.ptr)
            write_document_text(j, p->text);
        else if (file_url(p).len)
            write_source(j, "document", file_url(p));
        else
            return false;
        return true;
    case EXCHANGE_PART_THINKING: // without its seal nobody takes it back
        if (p->signature.len)
            anthropic_write_thinking(j, p->text, p->signature, !p->text.len);
        return p->signature.len > 0;
    case EXCHANGE_PART_AUDIO:
    case EXCHANGE_PART_OTHER:
        return false;
    }
    return false;
}

static void write_parts(struct turn *t, size_t index)
{
    const struct exchange_message *m = &t->w->request->messages[index];
    for (size_t i = 0; i < m->parts_len; i++)
        if (!write_part(t->j, &m->parts[i]))
            upstream_lose_at(t->w, "messages[%zu].content[%zu]", index, i);
}

static bool write_calls(struct turn *t, size_t index)
{
    const struct exchange_message *m = &t->w->request->messages[index];
    for (size_t i = 0; i < m->calls_len; i++) {
        str arguments;
        if (!upstream_arguments_of(t->w, &m->calls[i], index, i, &arguments))
            return false;
        anthropic_write_tool_use(t->j, m->calls[i].id, m->calls[i].name, arguments);
    }
    return true;
}

static void write_result(struct turn *t, size_t index)
{
    const struct exchange_message *m = &t->w->request->messages[index];
    jw_object_begin(t->j);
    jw_kv_z(t->j, "type", "tool_result");
    jw_kv_str(t->j, "tool_use_id", m->tool_call_id);
    if (m->is_error)
        jw_kv_bool(t->j, "is_error", true);
    jw_key(t->j, "content");
    jw_array_begin(t->j);
    write_parts(t, index);
    jw_array_end(t->j);
    jw_object_end(t->j);
}

// --- Turns

static void close_turn(struct turn *t)
{
    if (!t->open)
        return;
    jw_array_end(t->j);
    jw_object_end(t->j);
    t->open = false;
}

static void open_turn(struct turn *t, enum exchange_role role)
{
    if (t->open && t->role == role)
        return;
    close_turn(t);
    t->open = true;
    t->role = role;
    jw_object_begin(t->j);
    jw_kv_z(t->j, "role", exchange_role_name(role));
    jw_key(t->j, "content");
    jw_array_begin(t->j);
}

static bool write_message(struct turn *t, size_t index)
{
    const struct exchange_message *m = &t->w->request->messages[index];
    if (is_system(m))
        return true;
    if (m->name.len && m->role != EXCHANGE_TOOL)
        upstream_lose_at(t->w, "messages[%zu].name", index);
    open_turn(t, m->role == EXCHANGE_ASSISTANT ? EXCHANGE_ASSISTANT : EXCHANGE_USER);
    if (m->role == EXCHANGE_TOOL)
        write_result(t, index);
    else
        write_parts(t, index);
    return m->role != EXCHANGE_ASSISTANT || write_calls(t, index);
}

bool upstream_anthropic_write_conversation(struct upstream_writing *w, struct json_writer *j)
{
    struct turn t = {.w = w, .j = j};
    write_system(w, j);
    jw_key(j, "messages");
    jw_array_begin(j);
    for (size_t i = 0; i < w->request->messages_len; i++)
        if (!write_message(&t, i))
            return false;
    close_turn(&t);
    jw_array_end(j);
    return true;
}

// --- Tools

static void write_tool(struct json_writer *j, const struct exchange_tool *t)
{
    jw_object_begin(j);
    jw_kv_str(j, "name", t->name);
    if (t->description.len)
        jw_kv_str(j, "description", t->description);
    jw_key(j, "input_schema");
    if (t->parameters)
        jw_value(j, t->parameters);
    else
        jw_raw(j, STR("{\"type\":\"object\",\"properties\":{}}"));
    if (t->strict)
        jw_kv_bool(j, "strict", true);
    jw_object_end(j);
}

static void write_choice(const struct exchange_request *r, struct json_writer *j)
{
    static const char *const types[] = {
        [EXCHANGE_TOOLS_AUTO] = "auto",
        [EXCHANGE_TOOLS_NONE] = "none",
        [EXCHANGE_TOOLS_REQUIRED] = "any",
        [EXCHANGE_TOOLS_NAMED] = "tool",
    };
    if (r->tool_choice == EXCHANGE_TOOLS_AUTO && r->parallel_tool_calls)
        return; // what it is by itself
    jw_key(j, "tool_choice");
    jw_object_begin(j);
    jw_kv_z(j, "type", types[r->tool_choice]);
    if (r->tool_choice == EXCHANGE_TOOLS_NAMED)
        jw_kv_str(j, "name", r->tool_name);
    if (!r->parallel_tool_calls && r->tool_choice != EXCHANGE_TOOLS_NONE)
        jw_kv_bool(j, "disable_parallel_tool_use", true);
    jw_object_end(j);
}

void upstream_anthropic_write_tools(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (!r->tools_len)
        return;
    upstream_write_tools(w, j, write_tool);
    write_choice(r, j);
}
