#include "fault/ask.h"

#include "base/banned.h"

void ask_init(struct ask *a, enum ask_operation operation, size_t bytes_max)
{
    *a = (struct ask){.operation = operation, .choices = 1};
    buf_init(&a->heard, bytes_max);
}

void ask_done(struct ask *a)
{
    buf_done(&a->heard);
}

void ask_read_common(struct ask *a, yyjson_val *root)
{
    yyjson_val *stream = json_get(root, "stream");
    str model = json_str(json_get(root, "model"));
    if (model.ptr)
        a->model = model;
    if (yyjson_is_bool(stream))
        a->stream = yyjson_get_bool(stream);
    a->tools = json_get(root, "tools");
}

static void flush_trailing(struct ask_reader *r)
{
    struct ask *a = r->ask;
    if (!a->has_trailing)
        return;
    (void)buf_printf(&a->heard, "assistant\n");
    (void)buf_append_str(&a->heard, a->trailing);
    (void)buf_append_char(&a->heard, '\n');
    a->has_trailing = false;
    a->trailing = STR_NONE;
}

static void hear_assistant(struct ask_reader *r, str text)
{
    struct ask *a = r->ask;
    if (a->has_trailing)
        text = arena_printf(r->arena, STR_FMT "\n" STR_FMT, STR_ARG(a->trailing), STR_ARG(text));
    a->trailing = text;
    a->has_trailing = true;
}

void ask_hear(struct ask_reader *r, const char *role, str text)
{
    struct ask *a = r->ask;
    a->after_tool = str_eq_z(str_of(role), "tool");
    if (str_eq_z(str_of(role), "assistant")) {
        hear_assistant(r, text);
        r->role = role;
        return;
    }
    flush_trailing(r);
    if (!r->role || !str_eq_z(str_of(role), r->role))
        (void)buf_printf(&a->heard, "%s\n", role);
    (void)buf_append_str(&a->heard, text);
    (void)buf_append_char(&a->heard, '\n');
    r->role = role;
}

void ask_heard_all(struct ask_reader *r)
{
    if (r->ask->has_trailing && r->ask->trailing.len == 0)
        flush_trailing(r); // calls alone are nothing to continue
}

str ask_text(struct arena *arena, yyjson_val *content)
{
    str whole = json_str(content);
    size_t i, max;
    yyjson_val *part;
    if (whole.ptr || !yyjson_is_arr(content))
        return whole.ptr ? whole : STR("");
    whole = STR("");
    yyjson_arr_foreach(content, i, max, part)
    {
        str text = yyjson_is_str(part) ? json_str(part) : json_str(json_get(part, "text"));
        if (!text.len)
            continue;
        size_t len = whole.len + text.len + 1;
        char *joined = arena_alloc(arena, len);
        if (!joined)
            return whole;
        if (whole.len) {
            memcpy(joined, whole.ptr, whole.len);
            joined[whole.len] = '\n';
        }
        size_t at = whole.len ? whole.len + 1 : 0;
        memcpy(joined + at, text.ptr, text.len);
        whole = str_slice(joined, at + text.len);
    }
    return whole;
}
