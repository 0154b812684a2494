#include "gateway/local_tools.h"

#include <stdio.h>

#include "base/random.h"

#include "base/banned.h"

#define OPEN          STR("<tool_call>")
#define CLOSE         STR("</tool_call>")
#define CALL_BYTES    (1u << 20)
#define ID_CHARACTERS 24

void local_tools_init(struct local_tools *t, bool active, bool parallel)
{
    *t = (struct local_tools){.active = active, .parallel = parallel};
    buf_init(&t->pending, SIZE_MAX / 2);
    arena_init(&t->arena, SIZE_MAX / 2);
}

void local_tools_done(struct local_tools *t)
{
    buf_done(&t->pending);
    arena_done(&t->arena);
}

static void show(struct local_tools *t, str text, uint32_t choice, struct exchange_events *q)
{
    if (text.len)
        exchange_events_push(q, EXCHANGE_EVENT_TEXT, choice)->text = arena_str(&t->arena, text);
}

// --- A whole call

static str arguments_text(struct local_tools *t, yyjson_val *arguments)
{
    struct buf out;
    struct json_writer w;
    if (yyjson_is_str(arguments))
        return arena_str(&t->arena, json_str(arguments));
    if (!arguments || yyjson_is_null(arguments))
        return STR("{}");
    buf_init(&out, CALL_BYTES * 2);
    jw_init(&w, &out);
    jw_value(&w, arguments);
    str text = arena_str(&t->arena, buf_str(&out));
    buf_done(&out);
    return text;
}

static void push_call(struct local_tools *t, yyjson_val *root, uint32_t choice,
                      struct exchange_events *q)
{
    char id[ID_CHARACTERS + 1];
    random_id(id, ID_CHARACTERS);
    struct exchange_event *e = exchange_events_push(q, EXCHANGE_EVENT_CALL, choice);
    e->call_index = t->calls;
    e->call.id = arena_printf(&t->arena, "call_%s", id);
    e->call.name = arena_str(&t->arena, json_str(json_get(root, "name")));
    yyjson_val *arguments = json_get(root, "arguments");
    e = exchange_events_push(q, EXCHANGE_EVENT_ARGUMENTS, choice);
    e->call_index = t->calls++;
    e->text = arguments_text(t, arguments ? arguments : json_get(root, "parameters"));
}

// False: it is no call after all.
static bool take_call(struct local_tools *t, str inside, uint32_t choice, struct exchange_events *q)
{
    struct json_doc doc;
    if (json_parse(&doc, str_trim(inside), JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    bool named = json_str(json_get(doc.root, "name")).len > 0;
    if (named && (t->parallel || !t->calls))
        push_call(t, doc.root, choice, q);
    json_done(&doc);
    return named;
}

// --- Text

// The length of s up to `len` without the blanks at its end.
static size_t without_blanks(str s, size_t len)
{
    while (s.ptr && len > 0 && (s.ptr[len - 1] == ' ' || s.ptr[len - 1] == '\n'))
        len--;
    return len;
}

// How many bytes at the end of s may belong to a call: blanks, and a part of the opening tag.
static size_t held_tail(str s)
{
    size_t tag = 0;
    for (size_t n = min_size(s.len, OPEN.len - 1); n > 0 && !tag; n--)
        if (str_eq(str_sub(s, s.len - n, n), str_sub(OPEN, 0, n)))
            tag = n;
    return s.len - without_blanks(s, s.len - tag);
}

static bool outside(struct local_tools *t, uint32_t choice, struct exchange_events *q)
{
    str s = buf_str(&t->pending);
    size_t at = str_find(s, OPEN);
    if (at == SIZE_MAX) {
        size_t shown = s.len - held_tail(s);
        show(t, str_sub(s, 0, shown), choice, q);
        buf_consume(&t->pending, shown);
        return false;
    }
    // Blanks before a call are not part of the answer.
    show(t, str_sub(s, 0, without_blanks(s, at)), choice, q);
    buf_consume(&t->pending, at + OPEN.len);
    t->in_call = true;
    return true;
}

static bool inside(struct local_tools *t, uint32_t choice, struct exchange_events *q)
{
    str s = buf_str(&t->pending);
    size_t at = str_find(s, CLOSE);
    if (at == SIZE_MAX && s.len < CALL_BYTES)
        return false;
    size_t end = at == SIZE_MAX ? s.len : at + CLOSE.len;
    if (at == SIZE_MAX || !take_call(t, str_sub(s, 0, at), choice, q)) {
        show(t, OPEN, choice, q);
        show(t, str_sub(s, 0, end), choice, q);
    }
    buf_consume(&t->pending, end);
    t->in_call = false;
    return true;
}

static void scan(struct local_tools *t, uint32_t choice, struct exchange_events *q)
{
    while (t->in_call ? inside(t, choice, q) : outside(t, choice, q))
        continue;
}

void local_tools_feed(struct local_tools *t, str text, uint32_t choice, struct exchange_events *q)
{
    arena_reset(&t->arena);
    (void)buf_append_str(&t->pending, text);
    scan(t, choice, q);
}

void local_tools_end(struct local_tools *t, uint32_t choice, struct exchange_events *q)
{
    scan(t, choice, q);
    str s = buf_str(&t->pending);
    // Models often end a turn without closing the last call.
    if (t->in_call && !take_call(t, s, choice, q)) {
        show(t, OPEN, choice, q);
        show(t, s, choice, q);
    }
    if (!t->in_call && (str_trim(s).len || !t->calls))
        show(t, s, choice, q);
    buf_clear(&t->pending);
    t->in_call = false;
}
