// A conversation and its tools in OpenAI's words, from any client's.
#include "dialect/upstream_openai.h"

#include "base/banned.h"

// --- Messages

static void write_text_part(struct json_writer *j, const char *type, str text)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", type);
    jw_kv_str(j, type, text);
    jw_object_end(j);
}

static void write_image(struct json_writer *j, str url)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", "image_url");
    jw_key(j, "image_url");
    jw_object_begin(j);
    jw_kv_str(j, "url", url);
    jw_object_end(j);
    jw_object_end(j);
}

static bool is_openai(const struct exchange_request *r)
{
    return r->spoken == &dialect_openai_chat;
}

static void write_part(struct upstream_writing *w, struct json_writer *j, size_t message,
                       size_t index, const struct exchange_part *p)
{
    switch (p->type) {
    case EXCHANGE_PART_TEXT:
        write_text_part(j, "text", p->text);
        return;
    case EXCHANGE_PART_REFUSAL:
        write_text_part(j, "refusal", p->text);
        return;
    case EXCHANGE_PART_IMAGE:
        write_image(j, p->url);
        return;
    case EXCHANGE_PART_FILE:
        if (p->text.ptr) {
            write_text_part(j, "text", p->text);
            return;
        }
        break;
    case EXCHANGE_PART_AUDIO:
    case EXCHANGE_PART_OTHER:
        break;
    case EXCHANGE_PART_THINKING: // OpenAI's models take none back
        upstream_lose_at(w, "messages[%zu].content[%zu]", message, index);
        return;
    }
    if (is_openai(w->request) && p->raw)
        jw_value(j, p->raw);
    else
        upstream_lose_at(w, "messages[%zu].content[%zu]", message, index);
}

static bool is_plain(const struct exchange_message *m)
{
    for (size_t i = 0; i < m->parts_len; i++)
        if (m->parts[i].type != EXCHANGE_PART_TEXT)
            return false;
    return m->parts_len <= 1;
}

static bool has_content(const struct exchange_message *m)
{
    for (size_t i = 0; i < m->parts_len; i++)
        if (m->parts[i].type != EXCHANGE_PART_THINKING)
            return true;
    return false;
}

static void write_content(struct upstream_writing *w, struct json_writer *j, size_t index,
                          const struct exchange_message *m)
{
    jw_key(j, "content");
    if (is_plain(m)) {
        jw_str(j, m->parts_len ? m->parts[0].text : STR(""));
        return;
    }
    jw_array_begin(j);
    for (size_t i = 0; i < m->parts_len; i++)
        write_part(w, j, index, i, &m->parts[i]);
    jw_array_end(j);
}

static void write_calls(struct json_writer *j, const struct exchange_message *m)
{
    jw_key(j, "tool_calls");
    jw_array_begin(j);
    for (size_t i = 0; i < m->calls_len; i++) {
        jw_object_begin(j);
        jw_kv_str(j, "id", m->calls[i].id);
        jw_kv_z(j, "type", "function");
        jw_key(j, "function");
        jw_object_begin(j);
        jw_kv_str(j, "name", m->calls[i].name);
        jw_kv_str(j, "arguments", m->calls[i].arguments);
        jw_object_end(j);
        jw_object_end(j);
    }
    jw_array_end(j);
}

// Servers of OpenAI's shape mostly know "system" alone.
static const char *role_name(const struct upstream_writing *w, enum exchange_role role)
{
    if (role == EXCHANGE_DEVELOPER && !w->target->own_only)
        return "system";
    return exchange_role_name(role);
}

static void write_message(struct upstream_writing *w, struct json_writer *j, size_t index)
{
    const struct exchange_message *m = &w->request->messages[index];
    jw_object_begin(j);
    jw_kv_z(j, "role", role_name(w, m->role));
    if (m->name.len && m->role != EXCHANGE_TOOL)
        jw_kv_str(j, "name", m->name);
    if (m->role == EXCHANGE_TOOL)
        jw_kv_str(j, "tool_call_id", m->tool_call_id);
    if (!has_content(m) && m->calls_len)
        jw_kv_null(j, "content");
    else
        write_content(w, j, index, m);
    if (m->calls_len)
        write_calls(j, m);
    jw_object_end(j);
    if (m->is_error)
        upstream_lose_at(w, "messages[%zu].is_error", index);
}

bool upstream_openai_write_messages(struct upstream_writing *w, struct json_writer *j)
{
    jw_key(j, "messages");
    jw_array_begin(j);
    for (size_t i = 0; i < w->request->messages_len; i++)
        write_message(w, j, i);
    jw_array_end(j);
    return true;
}

// --- Tools

static void write_tool(struct json_writer *j, const struct exchange_tool *t)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", "function");
    jw_key(j, "function");
    jw_object_begin(j);
    jw_kv_str(j, "name", t->name);
    if (t->description.len)
        jw_kv_str(j, "description", t->description);
    if (t->parameters) {
        jw_key(j, "parameters");
        jw_value(j, t->parameters);
    }
    if (t->strict)
        jw_kv_bool(j, "strict", true);
    jw_object_end(j);
    jw_object_end(j);
}

static void write_choice(struct json_writer *j, const struct exchange_request *r)
{
    static const char *const names[] = {
        [EXCHANGE_TOOLS_AUTO] = "auto",
        [EXCHANGE_TOOLS_NONE] = "none",
        [EXCHANGE_TOOLS_REQUIRED] = "required",
    };
    if (r->tool_choice == EXCHANGE_TOOLS_AUTO)
        return; // what it is by itself
    jw_key(j, "tool_choice");
    if (r->tool_choice != EXCHANGE_TOOLS_NAMED) {
        jw_z(j, names[r->tool_choice]);
        return;
    }
    jw_object_begin(j);
    jw_kv_z(j, "type", "function");
    jw_key(j, "function");
    jw_object_begin(j);
    jw_kv_str(j, "name", r->tool_name);
    jw_object_end(j);
    jw_object_end(j);
}

bool upstream_openai_write_tools(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (!r->tools_len)
        return true;
    upstream_write_tools(w, j, write_tool);
    write_choice(j, r);
    if (r->given & EXCHANGE_HAS_PARALLEL)
        jw_kv_bool(j, "parallel_tool_calls", r->parallel_tool_calls);
    return true;
}
