// POST /api/chat at an Ollama.
#include <stdio.h>

#include "dialect/upstream_ollama.h"

#include "base/banned.h"

// --- Writing

struct place {
    size_t message, part;
};

static void write_joined(struct json_writer *j, const char *name, const struct exchange_message *m,
                         bool thinking)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    for (size_t i = 0; i < m->parts_len; i++)
        if ((m->parts[i].type == EXCHANGE_PART_THINKING) == thinking)
            (void)buf_append_str(&text, m->parts[i].text);
    if (text.len || !thinking)
        jw_kv_str(j, name, buf_str(&text));
    buf_done(&text);
}

static bool write_image(struct upstream_writing *w, struct json_writer *j, struct place at,
                        const struct exchange_part *p)
{
    str type, data;
    char param[64];
    if (exchange_data_url(p->url, &type, &data)) {
        jw_str(j, data);
        return true;
    }
    snprintf(param, sizeof param, "messages[%zu].content[%zu]", at.message, at.part);
    return upstream_refuse(w, API_IMAGES_UNSUPPORTED, param,
                           "The provider '" STR_FMT "' takes images as data: URLs only, and weir "
                           "fetches no addresses that a request names.",
                           STR_ARG(w->target->provider));
}

// Images, and what has no place here.
static bool write_other_parts(struct upstream_writing *w, struct json_writer *j, size_t index,
                              const struct exchange_message *m)
{
    bool open = false, ok = true;
    for (size_t i = 0; i < m->parts_len && ok; i++) {
        const struct exchange_part *p = &m->parts[i];
        if (p->type == EXCHANGE_PART_IMAGE) {
            if (!open) {
                jw_key(j, "images");
                jw_array_begin(j);
            }
            open = true;
            ok = write_image(w, j, (struct place){index, i}, p);
        } else if (!p->text.ptr && p->type != EXCHANGE_PART_THINKING) {
            upstream_lose_at(w, "messages[%zu].content[%zu]", index, i);
        }
    }
    if (open)
        jw_array_end(j);
    return ok;
}

static bool write_call(struct upstream_writing *w, struct json_writer *j, struct place at,
                       const struct exchange_tool_call *c)
{
    str arguments;
    if (!upstream_arguments_of(w, c, at.message, at.part, &arguments))
        return false;
    jw_object_begin(j);
    jw_kv_str(j, "id", c->id);
    jw_key(j, "function");
    jw_object_begin(j);
    jw_kv_str(j, "name", c->name);
    jw_key(j, "arguments");
    jw_raw(j, arguments);
    jw_object_end(j);
    jw_object_end(j);
    return true;
}

static bool write_calls(struct upstream_writing *w, struct json_writer *j, size_t index,
                        const struct exchange_message *m)
{
    if (!m->calls_len)
        return true;
    jw_key(j, "tool_calls");
    jw_array_begin(j);
    for (size_t i = 0; i < m->calls_len; i++)
        if (!write_call(w, j, (struct place){index, i}, &m->calls[i]))
            return false;
    jw_array_end(j);
    return true;
}

// Results name their tool, not their call.
static str tool_name(const struct exchange_request *r, size_t before, str id)
{
    for (size_t i = before; i > 0; i--) {
        const struct exchange_message *m = &r->messages[i - 1];
        for (size_t k = 0; k < m->calls_len; k++)
            if (str_eq(m->calls[k].id, id))
                return m->calls[k].name;
    }
    return STR_NONE;
}

static bool write_message(struct upstream_writing *w, struct json_writer *j, size_t index)
{
    const struct exchange_message *m = &w->request->messages[index];
    bool system = m->role == EXCHANGE_DEVELOPER;
    jw_object_begin(j);
    jw_kv_z(j, "role", system ? "system" : exchange_role_name(m->role));
    write_joined(j, "content", m, false);
    write_joined(j, "thinking", m, true);
    if (m->role == EXCHANGE_TOOL) {
        jw_kv_str(j, "tool_name", tool_name(w->request, index, m->tool_call_id));
        jw_kv_str(j, "tool_call_id", m->tool_call_id);
    }
    bool ok = write_other_parts(w, j, index, m) && write_calls(w, j, index, m);
    jw_object_end(j);
    if (m->is_error)
        upstream_lose_at(w, "messages[%zu].is_error", index);
    return ok;
}

static void write_tool(struct json_writer *j, const struct exchange_tool *t)
{
    jw_object_begin(j);
    jw_kv_z(j, "type", "function");
    jw_key(j, "function");
    jw_object_begin(j);
    jw_kv_str(j, "name", t->name);
    jw_kv_str(j, "description", t->description);
    if (t->parameters) {
        jw_key(j, "parameters");
        jw_value(j, t->parameters);
    }
    jw_object_end(j);
    jw_object_end(j);
}

static void write_tools(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (!r->tools_len || r->tool_choice == EXCHANGE_TOOLS_NONE)
        return; // "none" has no other word
    if (r->tool_choice != EXCHANGE_TOOLS_AUTO)
        upstream_lose(w, "tool_choice");
    upstream_write_tools(w, j, write_tool);
}

static bool write_chat(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    jw_key(j, "messages");
    jw_array_begin(j);
    for (size_t i = 0; i < r->messages_len; i++)
        if (!write_message(w, j, i))
            return false;
    jw_array_end(j);
    write_tools(w, j);
    upstream_ollama_write_answer_shape(w, j);
    upstream_ollama_write_options(w, j);
    jw_object_end(j);
    return upstream_one_choice(w);
}

// --- Reading

// Calls come whole, one after the other, over as many lines as it likes.
static void read_call(struct upstream_reader *r, yyjson_val *v)
{
    yyjson_val *function = json_get(v, "function");
    int64_t key = r->choices[0].calls_len;
    upstream_call(r, 0, key, json_str(json_get(v, "id")), json_str(json_get(function, "name")));
    upstream_arguments_object(r, 0, key, json_get(function, "arguments"));
}

static void read_answer(struct upstream_reader *r, yyjson_val *root)
{
    yyjson_val *message = json_get(root, "message"), *call;
    size_t i, max;
    upstream_begin(r);
    upstream_thinking(r, 0, json_str(json_get(message, "thinking")), STR_NONE);
    upstream_text(r, 0, json_str(json_get(message, "content")));
    yyjson_arr_foreach(json_get(message, "tool_calls"), i, max, call) read_call(r, call);
    upstream_ollama_end(r, root);
}

static void read_line(struct upstream_reader *r, str event UNUSED, str data UNUSED,
                      yyjson_val *root)
{
    read_answer(r, root);
}

const struct upstream_dialect upstream_ollama_chat = {
    .name = "ollama.chat",
    .kind = EXCHANGE_CHAT,
    .framing = UPSTREAM_NDJSON,
    .same = &dialect_ollama_chat,
    .path = "/api/chat",
    .write = write_chat,
    .splice = upstream_ollama_splice,
    .whole = read_answer,
    .frame = read_line,
};
