// Rendering. The stack of contexts and the depth of partials are bounded, and so is the work.
#include "prompt/mustache_internal.h"

#include "base/banned.h"

enum { CONTEXTS_MAX = 256, PARTIALS_MAX = 32, VALUE_BYTES_MAX = 1 << 20 };
#define STEPS_MAX UINT64_C(10000000)

struct renderer {
    const struct mustache_options *o;
    struct buf *out;
    struct diag *diag;
    yyjson_val *contexts[CONTEXTS_MAX];
    size_t contexts_len, partials;
    uint64_t steps;
    struct buf indent; // of the lines of the partials we are in
};

static enum err render_nodes(struct renderer *r, const struct mustache *t, size_t from, size_t to);

// --- Names

static yyjson_val *member(yyjson_val *object, str name)
{
    return yyjson_is_obj(object) ? yyjson_obj_getn(object, name.ptr, name.len) : NULL;
}

// The innermost context that has the first part of the name decides.
static yyjson_val *look_up(const struct renderer *r, str name)
{
    str part;
    if (str_eq(name, STR(".")))
        return r->contexts[r->contexts_len - 1];
    (void)str_split(&name, '.', &part);
    yyjson_val *v = NULL;
    for (size_t i = r->contexts_len; i > 0 && !v; i--)
        v = member(r->contexts[i - 1], part);
    while (v && str_split(&name, '.', &part))
        v = member(v, part);
    return v;
}

static bool is_false(yyjson_val *v)
{
    return !v || yyjson_is_null(v) || yyjson_is_false(v) ||
           (yyjson_is_str(v) && json_str(v).len == 0) ||
           (yyjson_is_arr(v) && yyjson_arr_size(v) == 0);
}

// --- Values

static void put_html(struct buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        const char *entity = ch == '&'   ? "&amp;"
                             : ch == '<' ? "&lt;"
                             : ch == '>' ? "&gt;"
                             : ch == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            (void)buf_append_str(out, str_of(entity));
        else
            (void)buf_append_char(out, ch);
    }
}

static void put_text(struct renderer *r, str text, bool raw)
{
    if (!text.ptr)
        return;
    if (raw || r->o->escape == MUSTACHE_ESCAPE_NONE)
        (void)buf_append_str(r->out, text);
    else if (r->o->escape == MUSTACHE_ESCAPE_HTML)
        put_html(r->out, text);
    else
        (void)json_escape(r->out, text);
}

static void put_json(struct renderer *r, yyjson_val *v, bool raw)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, VALUE_BYTES_MAX);
    jw_init(&w, &text);
    jw_value(&w, v);
    put_text(r, buf_str(&text), raw);
    r->out->failed |= text.failed;
    buf_done(&text);
}

static void put_value(struct renderer *r, yyjson_val *v, bool raw)
{
    if (!v || yyjson_is_null(v))
        return;
    if (yyjson_is_str(v))
        put_text(r, json_str(v), raw);
    else if (yyjson_is_bool(v))
        put_text(r, yyjson_is_true(v) ? STR("true") : STR("false"), raw);
    else if (json_num_text(v).ptr)
        put_text(r, json_num_text(v), raw);
    else
        put_json(r, v, raw);
}

// --- Sections and partials

static enum err too_deep(struct renderer *r)
{
    return diag_set(r->diag, ERR_LIMIT, "sections or partials lie too deep inside each other");
}

static enum err render_within(struct renderer *r, const struct mustache *t, const struct node *n,
                              size_t i, yyjson_val *context)
{
    if (r->contexts_len == CONTEXTS_MAX)
        return too_deep(r);
    r->contexts[r->contexts_len++] = context;
    enum err e = render_nodes(r, t, i + 1, n->end);
    r->contexts_len--;
    return e;
}

static enum err render_section(struct renderer *r, const struct mustache *t, size_t i)
{
    const struct node *n = &t->nodes[i];
    yyjson_val *v = look_up(r, n->text), *item;
    size_t k, max;
    if (is_false(v) != (n->kind == NODE_INVERTED))
        return ERR_OK;
    if (n->kind == NODE_INVERTED)
        return render_nodes(r, t, i + 1, n->end);
    if (!yyjson_is_arr(v))
        return render_within(r, t, n, i, v);
    yyjson_arr_foreach(v, k, max, item)
    {
        ERR_TRY(render_within(r, t, n, i, item));
    }
    return ERR_OK;
}

static enum err render_partial(struct renderer *r, const struct node *n)
{
    const struct mustache *t = r->o->partial ? r->o->partial(r->o->ctx, n->text) : NULL;
    if (!t)
        return ERR_OK;
    if (r->partials == PARTIALS_MAX)
        return too_deep(r);
    size_t indent = r->indent.len;
    r->partials++;
    (void)buf_append_str(&r->indent, n->indent);
    enum err e = render_nodes(r, t, 0, t->len);
    r->indent.len = indent;
    r->partials--;
    return e;
}

static enum err render_node(struct renderer *r, const struct mustache *t, size_t i)
{
    const struct node *n = &t->nodes[i];
    bool blank =
        n->kind == NODE_TEXT && (str_eq(n->text, STR("\n")) || str_eq(n->text, STR("\r\n")));
    if (n->begins_line && r->indent.len && !blank && n->kind != NODE_END)
        (void)buf_append_str(r->out, buf_str(&r->indent));
    switch (n->kind) {
    case NODE_TEXT:
        (void)buf_append_str(r->out, n->text);
        return ERR_OK;
    case NODE_VARIABLE:
    case NODE_RAW:
        put_value(r, look_up(r, n->text), n->kind == NODE_RAW);
        return ERR_OK;
    case NODE_SECTION:
    case NODE_INVERTED:
        return render_section(r, t, i);
    case NODE_PARTIAL:
        return render_partial(r, n);
    case NODE_END:
        break;
    }
    return ERR_OK;
}

static enum err render_nodes(struct renderer *r, const struct mustache *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct node *n = &t->nodes[i];
        if (r->steps-- == 0)
            return diag_set(r->diag, ERR_LIMIT, "the template takes too many steps");
        ERR_TRY(render_node(r, t, i));
        if (r->out->failed)
            return diag_set(r->diag, ERR_LIMIT, "the text is longer than %zu bytes", r->out->limit);
        if (n->kind == NODE_SECTION || n->kind == NODE_INVERTED)
            i = n->end;
    }
    return ERR_OK;
}

enum err mustache_render(const struct mustache *t, yyjson_val *data,
                         const struct mustache_options *o, struct buf *out, struct diag *d)
{
    struct renderer r = {.o = o,
                         .out = out,
                         .diag = d,
                         .contexts = {data},
                         .contexts_len = 1,
                         .steps = o->steps_max ? o->steps_max : STEPS_MAX};
    buf_init(&r.indent, 64 * 1024);
    enum err e = render_nodes(&r, t, 0, t->len);
    buf_done(&r.indent);
    return e;
}

bool mustache_next(const struct mustache *t, size_t *cursor, struct mustache_mention *ret)
{
    static const enum mustache_mention_kind kinds[] = {
        [NODE_VARIABLE] = MUSTACHE_VARIABLE, [NODE_RAW] = MUSTACHE_VARIABLE,
        [NODE_SECTION] = MUSTACHE_SECTION,   [NODE_INVERTED] = MUSTACHE_INVERTED,
        [NODE_END] = MUSTACHE_END,           [NODE_PARTIAL] = MUSTACHE_PARTIAL};
    while (*cursor < t->len && t->nodes[*cursor].kind == NODE_TEXT)
        ++*cursor;
    if (*cursor == t->len)
        return false;
    const struct node *n = &t->nodes[(*cursor)++];
    *ret = (struct mustache_mention){.kind = kinds[n->kind], .name = n->text};
    mustache_place(t, n->at, &ret->line, &ret->col);
    return true;
}
