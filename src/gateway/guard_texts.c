#include "gateway/guard_texts.h"

#include "base/mem.h"
#include "guard/rules.h"

#include "base/banned.h"

// Where the walk is.
struct walk {
    struct guard_texts *out;
    uint32_t role;
    bool prompt, whole; // a system prompt; every string is a text
};

static void add(struct walk *w, yyjson_val *value, bool is_json)
{
    struct guard_texts *t = w->out;
    if (t->len == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->items = mem_resize(t->items, t->cap, sizeof *t->items);
    }
    t->items[t->len++] = (struct guard_text){.value = value,
                                             .group = t->group,
                                             .role = w->role,
                                             .is_json = is_json,
                                             .is_prompt = w->prompt,
                                             .text = json_str(value)};
}

static bool is_one_of(str name, const char *const *names)
{
    for (; *names; names++)
        if (str_eq_z(name, *names))
            return true;
    return false;
}

// Members that say what something is, and not what someone says.
static bool is_no_text(str name, yyjson_val *of)
{
    static const char *const names[] = {
        "role",      "type",      "id",       "tool_call_id",      "tool_use_id", "call_id",
        "item_id",   "tool_name", "name",     "signature",         "format",      "media_type",
        "file_id",   "detail",    "status",   "encrypted_content", "images",      "url",
        "image_url", "file_data", "file_url", "cache_control",     "phase",       "index",
        NULL};
    if (str_eq_z(name, "data")) // of a picture; a plain text's own is one
        return !str_eq_z(json_str(json_get(of, "type")), "text");
    return is_one_of(name, names);
}

static void walk(struct walk *w, yyjson_val *v);

static void walk_member(struct walk *w, yyjson_val *of, str name, yyjson_val *v)
{
    struct walk inner = *w;
    if (!w->whole && is_no_text(name, of))
        return;
    bool arguments = str_eq_z(name, "arguments") || str_eq_z(name, "input");
    if (arguments && yyjson_is_str(v) && str_eq_z(name, "arguments") && !w->whole) {
        add(w, v, true);
        return;
    }
    inner.whole |= arguments && !yyjson_is_str(v);
    walk(&inner, v);
}

static void walk_object(struct walk *w, yyjson_val *object)
{
    size_t at, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(object, at, count, name, value)
        walk_member(w, object, json_str(name), value);
}

// What a tool said is nobody's of the message that it comes in.
static bool is_result(yyjson_val *object)
{
    str type = json_str(json_get(object, "type"));
    return str_ends(type, STR("_result")) || str_ends(type, STR("_output"));
}

static void walk_result(struct walk *w, yyjson_val *object)
{
    struct walk inner = *w;
    inner.role = GUARD_ROLE_TOOL;
    w->out->group++;
    walk_object(&inner, object);
    w->out->group++;
}

static void walk(struct walk *w, yyjson_val *v)
{
    size_t at, count;
    yyjson_val *item;
    if (yyjson_is_str(v))
        add(w, v, false);
    else if (yyjson_is_arr(v))
        yyjson_arr_foreach(v, at, count, item) walk(w, item);
    else if (yyjson_is_obj(v) && !w->whole && is_result(v))
        walk_result(w, v);
    else if (yyjson_is_obj(v))
        walk_object(w, v);
}

// --- Members of a request

static uint32_t role_of(yyjson_val *message)
{
    str role = json_str(json_get(message, "role")), type = json_str(json_get(message, "type"));
    if (str_eq_z(role, "system") || str_eq_z(role, "developer"))
        return GUARD_ROLE_SYSTEM;
    if (str_eq_z(role, "assistant") || str_ends(type, STR("_call")) || str_eq_z(type, "reasoning"))
        return GUARD_ROLE_ASSISTANT;
    if (str_eq_z(role, "tool") || str_eq_z(role, "function"))
        return GUARD_ROLE_TOOL;
    return GUARD_ROLE_USER;
}

// Messages, items of an input, prompts, or a text alone: each a group.
static void walk_turns(struct guard_texts *out, yyjson_val *v)
{
    size_t at, count;
    yyjson_val *item;
    struct walk w = {.out = out, .role = GUARD_ROLE_USER};
    if (!yyjson_is_arr(v)) {
        walk(&w, v);
        return;
    }
    yyjson_arr_foreach(v, at, count, item)
    {
        w.role = role_of(item);
        w.prompt = w.role == GUARD_ROLE_SYSTEM;
        walk(&w, item);
        out->group++;
    }
}

// Of tools only what describes them: names and schemas are the program's.
static void walk_descriptions(struct walk *w, yyjson_val *v)
{
    size_t at, count;
    yyjson_val *name, *value;
    if (yyjson_is_arr(v))
        yyjson_arr_foreach(v, at, count, value) walk_descriptions(w, value);
    if (!yyjson_is_obj(v))
        return;
    yyjson_obj_foreach(v, at, count, name, value)
    {
        if (yyjson_is_str(value) && str_eq_z(json_str(name), "description"))
            add(w, value, false);
        else
            walk_descriptions(w, value);
    }
}

void guard_texts_find(yyjson_val *root, struct guard_texts *ret)
{
    static const char *const turns[] = {"messages", "input",      "prompt",
                                        "suffix",   "prediction", NULL};
    static const char *const prompts[] = {"system", "instructions", "template", NULL};
    size_t at, count;
    yyjson_val *name, *value;
    *ret = (struct guard_texts){.items = NULL};
    yyjson_obj_foreach(root, at, count, name, value)
    {
        struct walk w = {.out = ret, .role = GUARD_ROLE_SYSTEM, .prompt = true};
        if (is_one_of(json_str(name), turns))
            walk_turns(ret, value);
        else if (is_one_of(json_str(name), prompts))
            walk(&w, value);
        w.prompt = false;
        if (str_eq_z(json_str(name), "tools"))
            walk_descriptions(&w, value);
        ret->group++;
    }
}

void guard_texts_find_all(yyjson_val *value, uint32_t role, struct guard_texts *ret)
{
    *ret = (struct guard_texts){.items = NULL};
    struct walk w = {.out = ret, .role = role, .whole = true};
    walk(&w, value);
}

void guard_texts_done(struct guard_texts *t)
{
    mem_free(t->items);
    *t = (struct guard_texts){.items = NULL};
}

bool guard_texts_changed(const struct guard_texts *t)
{
    for (size_t i = 0; i < t->len; i++)
        if (t->items[i].changed)
            return true;
    return false;
}

// --- Writing

struct writing {
    struct json_writer w;
    const struct guard_texts *texts;
    size_t next; // text: they come in the order in which they were found
};

static void write_value(struct writing *w, yyjson_val *v);

static void write_object(struct writing *w, yyjson_val *object)
{
    size_t at, count;
    yyjson_val *name, *value;
    jw_object_begin(&w->w);
    yyjson_obj_foreach(object, at, count, name, value)
    {
        jw_key_str(&w->w, json_str(name));
        write_value(w, value);
    }
    jw_object_end(&w->w);
}

static void write_array(struct writing *w, yyjson_val *array)
{
    size_t at, count;
    yyjson_val *item;
    jw_array_begin(&w->w);
    yyjson_arr_foreach(array, at, count, item) write_value(w, item);
    jw_array_end(&w->w);
}

static void write_value(struct writing *w, yyjson_val *v)
{
    bool is_next = w->next < w->texts->len && w->texts->items[w->next].value == v;
    if (is_next)
        jw_str(&w->w, w->texts->items[w->next++].text);
    else if (yyjson_is_obj(v))
        write_object(w, v);
    else if (yyjson_is_arr(v))
        write_array(w, v);
    else
        jw_value(&w->w, v);
}

static void write_messages(struct writing *w, yyjson_val *messages, str first)
{
    size_t at, count;
    yyjson_val *item;
    jw_array_begin(&w->w);
    jw_object_begin(&w->w);
    jw_kv_z(&w->w, "role", "system");
    jw_kv_str(&w->w, "content", first);
    jw_object_end(&w->w);
    yyjson_arr_foreach(messages, at, count, item) write_value(w, item);
    jw_array_end(&w->w);
}

static void write_root(struct writing *w, yyjson_val *root, const struct guard_addition *add)
{
    size_t at, count;
    yyjson_val *name, *value;
    jw_object_begin(&w->w);
    yyjson_obj_foreach(root, at, count, name, value)
    {
        bool own = add->text.len && str_eq_z(json_str(name), add->member);
        if (own && !add->as_message)
            continue; // there was no text in it
        jw_key_str(&w->w, json_str(name));
        if (own)
            write_messages(w, value, add->text);
        else
            write_value(w, value);
    }
    if (add->text.len && !add->as_message)
        jw_kv_str(&w->w, add->member, add->text);
    jw_object_end(&w->w);
}

void guard_texts_write(yyjson_val *root, const struct guard_texts *t,
                       const struct guard_addition *add, struct buf *out)
{
    static const struct guard_addition nothing = {.text = {NULL, 0}};
    struct writing w = {.texts = t};
    jw_init(&w.w, out);
    if (yyjson_is_obj(root) && add)
        write_root(&w, root, add);
    else if (yyjson_is_obj(root))
        write_root(&w, root, &nothing);
    else
        write_value(&w, root);
}
