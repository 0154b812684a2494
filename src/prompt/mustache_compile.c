// Source to nodes. Tags that stand alone on their line take the line with them.
#include "base/mem.h"
#include "prompt/mustache_internal.h"

#include "base/banned.h"

enum { SOURCE_BYTES_MAX = 1 << 20, SECTIONS_MAX = 64, DELIMITER_MAX = 16 };

struct compiler {
    struct mustache *t;
    str source;
    size_t pos;  // of what is read next
    size_t text; // of text that is not yet a node
    str open, close;
    size_t sections[SECTIONS_MAX]; // indices of open ones
    size_t sections_len;
    struct diag *diag;
};

struct tag {
    size_t from, to; // in the source, delimiters included
    char sigil;      // 0 for a variable
    str name;
};

void mustache_place(const struct mustache *t, size_t at, uint32_t *ret_line, uint32_t *ret_col)
{
    uint32_t line = 1, col = 1;
    for (size_t i = 0; i < at && i < t->source_len; i++) {
        bool newline = t->source[i] == '\n';
        line += newline;
        col = newline ? 1 : col + 1;
    }
    *ret_line = line;
    *ret_col = col;
}

static enum err fail(struct compiler *c, size_t at, const char *what, str name)
{
    uint32_t line, col;
    (void)diag_set(c->diag, ERR_PARSE, "%s%s" STR_FMT "%s", what, name.len ? " '" : "",
                   STR_ARG(str_sub(name, 0, 80)), name.len ? "'" : "");
    mustache_place(c->t, at, &line, &col);
    diag_place(c->diag, line, col);
    return ERR_PARSE;
}

static struct node *push(struct compiler *c, enum node_kind kind, size_t at)
{
    struct mustache *t = c->t;
    if (t->len == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->nodes = mem_resize(t->nodes, t->cap, sizeof *t->nodes);
    }
    struct node *n = &t->nodes[t->len++];
    *n = (struct node){.kind = kind, .at = at};
    n->begins_line = at == 0 || c->source.ptr[at - 1] == '\n';
    return n;
}

// Text up to `to`, a node a line.
static void push_text(struct compiler *c, size_t to)
{
    size_t at = c->text;
    while (at < to) {
        str rest = str_sub(c->source, at, to - at);
        size_t newline = str_find_char(rest, '\n');
        size_t len = newline == SIZE_MAX ? rest.len : newline + 1;
        push(c, NODE_TEXT, at)->text = str_sub(rest, 0, len);
        at += len;
    }
    c->text = to;
}

// --- Lines of their own

static size_t line_begin(const struct compiler *c, size_t at)
{
    while (at > 0 && c->source.ptr[at - 1] != '\n')
        at--;
    return at;
}

static bool is_blank(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != ' ' && s.ptr[i] != '\t')
            return false;
    return true;
}

// Behind the line's end when nothing but blanks follows, else SIZE_MAX.
static size_t behind_line(const struct compiler *c, size_t at)
{
    str rest = str_sub(c->source, at, SIZE_MAX);
    size_t newline = str_find_char(rest, '\n');
    str tail = str_sub(rest, 0, newline);
    if (tail.len && newline != SIZE_MAX && tail.ptr[tail.len - 1] == '\r')
        tail.len--;
    if (!is_blank(tail))
        return SIZE_MAX;
    return newline == SIZE_MAX ? c->source.len : at + newline + 1;
}

// Where a tag stands alone on its line, the blanks around it and the line's end go with it.
// *ret_indent is what stood before it.
static void take_line(struct compiler *c, const struct tag *tag, str *ret_indent)
{
    size_t begin = line_begin(c, tag->from), behind = behind_line(c, tag->to);
    str before = str_sub(c->source, begin, tag->from - begin);
    *ret_indent = STR_NONE;
    if (behind == SIZE_MAX || !is_blank(before)) {
        push_text(c, tag->from);
        c->pos = c->text = tag->to;
        return;
    }
    push_text(c, begin);
    c->pos = c->text = behind;
    *ret_indent = before;
}

// --- Tags

static bool is_delimiter(str s)
{
    if (s.len == 0 || s.len > DELIMITER_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] == '=' || s.ptr[i] <= ' ')
            return false;
    return true;
}

// "<% %>" between the equal signs.
static enum err set_delimiters(struct compiler *c, const struct tag *tag)
{
    str text = str_trim(tag->name);
    size_t blank = 0;
    while (blank < text.len && text.ptr[blank] > ' ')
        blank++;
    str open = str_sub(text, 0, blank), close = str_trim(str_sub(text, blank, SIZE_MAX));
    if (!is_delimiter(open) || !is_delimiter(close))
        return fail(c, tag->from, "these are no delimiters:", text);
    c->open = open;
    c->close = close;
    return ERR_OK;
}

static bool name_ok(str name)
{
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ')
            return false;
    return true;
}

static enum err open_section(struct compiler *c, const struct tag *tag)
{
    if (c->sections_len == SECTIONS_MAX)
        return fail(c, tag->from, "too many sections inside each other at", tag->name);
    c->sections[c->sections_len++] = c->t->len;
    push(c, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED, tag->from)->text = tag->name;
    return ERR_OK;
}

static enum err close_section(struct compiler *c, const struct tag *tag)
{
    if (c->sections_len == 0)
        return fail(c, tag->from, "there is no open section to close:", tag->name);
    struct node *open = &c->t->nodes[c->sections[--c->sections_len]];
    if (!str_eq(open->text, tag->name))
        return fail(c, tag->from, "the section that is open here is another than", tag->name);
    open->end = c->t->len;
    push(c, NODE_END, tag->from);
    return ERR_OK;
}

static enum err take_tag(struct compiler *c, const struct tag *tag)
{
    str indent;
    bool variable = tag->sigil == 0 || tag->sigil == '{' || tag->sigil == '&';
    if (variable) {
        push_text(c, tag->from);
        c->pos = c->text = tag->to;
    } else {
        take_line(c, tag, &indent);
    }
    if (tag->sigil == '!')
        return ERR_OK;
    if (tag->sigil == '=')
        return set_delimiters(c, tag);
    if (!name_ok(tag->name))
        return fail(c, tag->from, "a tag wants a name without blanks, not", tag->name);
    if (tag->sigil == '#' || tag->sigil == '^')
        return open_section(c, tag);
    if (tag->sigil == '/')
        return close_section(c, tag);
    if (tag->sigil == '>') {
        struct node *n = push(c, NODE_PARTIAL, tag->from);
        n->text = tag->name;
        n->indent = indent;
        n->begins_line = n->begins_line && !indent.ptr; // its own lines are indented
        return ERR_OK;
    }
    push(c, variable && tag->sigil ? NODE_RAW : NODE_VARIABLE, tag->from)->text = tag->name;
    return ERR_OK;
}

// The tag at `from`, which is an opening delimiter.
static enum err read_tag(struct compiler *c, size_t from, struct tag *ret)
{
    size_t at = from + c->open.len;
    char end[DELIMITER_MAX + 1];
    size_t end_len = 0;
    while (at < c->source.len && (unsigned char)c->source.ptr[at] <= ' ')
        at++;
    char sigil = at < c->source.len ? c->source.ptr[at] : 0;
    if (!sigil || !memchr("#^/>{&!=", sigil, 8))
        sigil = 0;
    else
        at++;
    if (sigil == '{' || sigil == '=')
        end[end_len++] = sigil == '{' ? '}' : '=';
    memcpy(end + end_len, c->close.ptr, c->close.len);
    end_len += c->close.len;
    str rest = str_sub(c->source, at, SIZE_MAX);
    size_t len = str_find(rest, str_slice(end, end_len));
    if (len == SIZE_MAX)
        return fail(c, from, "this tag is not closed:", str_sub(c->source, from, 16));
    *ret = (struct tag){.from = from,
                        .to = at + len + end_len,
                        .sigil = sigil,
                        .name = str_trim(str_sub(rest, 0, len))};
    return ERR_OK;
}

static enum err compile(struct compiler *c)
{
    while (c->pos < c->source.len) {
        struct tag tag = {0};
        size_t found = str_find(str_sub(c->source, c->pos, SIZE_MAX), c->open);
        if (found == SIZE_MAX)
            break;
        ERR_TRY(read_tag(c, c->pos + found, &tag));
        ERR_TRY(take_tag(c, &tag));
    }
    push_text(c, c->source.len);
    if (c->sections_len == 0)
        return ERR_OK;
    const struct node *open = &c->t->nodes[c->sections[c->sections_len - 1]];
    return fail(c, open->at, "this section is not closed:", open->text);
}

enum err mustache_new(str source, struct mustache **ret, struct diag *d)
{
    if (source.len > SOURCE_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "a template may have %d bytes", SOURCE_BYTES_MAX);
    struct mustache *t = mem_new(struct mustache);
    t->source = mem_strndup(source.ptr ? source.ptr : "", source.len);
    t->source_len = source.len;
    struct compiler c = {.t = t,
                         .source = str_slice(t->source, source.len),
                         .open = STR("{{"),
                         .close = STR("}}"),
                         .diag = d};
    enum err e = compile(&c);
    if (e != ERR_OK) {
        mustache_free(t);
        return e;
    }
    *ret = t;
    return ERR_OK;
}

void mustache_free(struct mustache *t)
{
    if (!t)
        return;
    mem_free(t->nodes);
    mem_free(t->source);
    mem_free(t);
}
