#include "base/json_splice.h"

#include "base/banned.h"

enum { EDITS_MAX = 32 };

struct cursor {
    str text;
    size_t at;
};

static bool more(const struct cursor *c)
{
    return c->at < c->text.len;
}

static char peek(const struct cursor *c)
{
    return more(c) ? c->text.ptr[c->at] : '\0';
}

static void skip_blanks(struct cursor *c)
{
    while (more(c) && json_is_space(c->text.ptr[c->at]))
        c->at++;
}

static str between(const struct cursor *c, size_t from)
{
    return str_sub(c->text, from, c->at - from);
}

// Behind the string that begins here.
static bool skip_string(struct cursor *c)
{
    c->at = json_after_string(c->text, c->at);
    return more(c); // an object's text ends with its brace
}

static bool ends_scalar(char b)
{
    return b == ',' || b == '}' || b == ']' || b == ' ' || b == '\t' || b == '\r' || b == '\n';
}

// Behind the value that begins here.
static bool skip_value(struct cursor *c)
{
    size_t depth = 0;
    do {
        char b = peek(c);
        if (b == '"') {
            if (!skip_string(c))
                return false;
            continue;
        }
        if (b == '{' || b == '[')
            depth++;
        if ((b == '}' || b == ']') && depth)
            depth--;
        if (depth == 0 && !ends_scalar(b) && b != '{' && b != '[' && b != '}' && b != ']') {
            while (more(c) && !ends_scalar(peek(c)))
                c->at++;
            return true;
        }
        c->at++;
    } while (depth && more(c));
    return depth == 0 && c->at <= c->text.len;
}

// Whether the member's name, as it stands between its quotes, is `name`.
static bool is_named(str quoted, str name)
{
    str inside = str_sub(quoted, 1, quoted.len - 2);
    if (str_find_char(inside, '\\') == SIZE_MAX)
        return str_eq(inside, name);
    yyjson_doc *doc = yyjson_read(quoted.ptr, quoted.len, 0);
    yyjson_val *v = yyjson_doc_get_root(doc);
    bool same = yyjson_is_str(v) && str_eq(str_slice(yyjson_get_str(v), yyjson_get_len(v)), name);
    yyjson_doc_free(doc);
    return same;
}

static size_t find_edit(const struct json_edit *edits, size_t len, str quoted)
{
    size_t i = 0;
    while (i < len && !is_named(quoted, edits[i].name))
        i++;
    return i;
}

struct splice {
    struct cursor c;
    const struct json_edit *edits;
    size_t len;
    struct buf *out;
    uint32_t done; // a bit an edit whose member was there
    bool any;      // a member was written
};

static void write_join(struct splice *s)
{
    if (s->any)
        (void)buf_append_char(s->out, ',');
    s->any = true;
}

// One member, with the blanks around it up to the comma or the closing brace.
static bool take_member(struct splice *s)
{
    struct cursor *c = &s->c;
    size_t begin = c->at;
    skip_blanks(c);
    size_t name_at = c->at;
    if (peek(c) != '"' || !skip_string(c))
        return false;
    size_t edit = find_edit(s->edits, s->len, between(c, name_at));
    skip_blanks(c);
    if (peek(c) != ':')
        return false;
    c->at++;
    skip_blanks(c);
    size_t value_at = c->at;
    if (!skip_value(c))
        return false;
    size_t value_end = c->at;
    skip_blanks(c);
    if (edit < s->len)
        s->done |= 1u << edit;
    if (edit < s->len && s->edits[edit].remove)
        return true;
    write_join(s);
    if (edit == s->len) {
        (void)buf_append_str(s->out, between(c, begin));
        return true;
    }
    (void)buf_append_str(s->out, str_sub(c->text, begin, value_at - begin));
    (void)buf_append_str(s->out, s->edits[edit].value);
    (void)buf_append_str(s->out, between(c, value_end));
    return true;
}

static void write_new(struct splice *s)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->edits[i].remove || (s->done & 1u << i))
            continue;
        write_join(s);
        (void)buf_append_char(s->out, '"');
        (void)json_escape(s->out, s->edits[i].name);
        (void)buf_append_str(s->out, STR("\":"));
        (void)buf_append_str(s->out, s->edits[i].value);
    }
}

static bool is_empty_object(struct cursor c)
{
    skip_blanks(&c);
    return peek(&c) == '}';
}

enum err json_splice(str object, const struct json_edit *edits, size_t len, struct buf *out)
{
    ASSERT(len <= EDITS_MAX);
    struct splice s = {.c = {object, 0}, .edits = edits, .len = len, .out = out};
    skip_blanks(&s.c);
    if (peek(&s.c) != '{')
        return ERR_PARSE;
    s.c.at++;
    (void)buf_append_str(out, between(&s.c, 0));
    if (!is_empty_object(s.c)) {
        do {
            if (!take_member(&s))
                return ERR_PARSE;
        } while (peek(&s.c) == ',' && ++s.c.at);
    }
    size_t rest = s.c.at;
    skip_blanks(&s.c);
    if (peek(&s.c) != '}')
        return ERR_PARSE;
    write_new(&s);
    (void)buf_append_str(out, str_sub(object, rest, SIZE_MAX));
    return out->failed ? ERR_LIMIT : ERR_OK;
}

static yyjson_val *find_key(yyjson_val *object, const char *name)
{
    yyjson_obj_iter it = yyjson_obj_iter_with(object);
    yyjson_val *key;
    while ((key = yyjson_obj_iter_next(&it)))
        if (str_eq_z(json_str(key), name))
            return key;
    return NULL;
}

bool json_cut(const struct json_doc *d, str text, const char *name, str *ret_before, str *ret_after)
{
    yyjson_val *key = find_key(d->root, name);
    if (!key)
        return false;
    size_t begin = json_name_offset(d->doc, key);
    struct cursor c = {text, begin};
    bool found = peek(&c) == '"' && skip_string(&c);
    ASSERT(found);
    skip_blanks(&c);
    c.at++; // the colon
    skip_blanks(&c);
    if (!skip_value(&c))
        return false;
    skip_blanks(&c);
    while (begin && json_is_space(text.ptr[begin - 1]))
        begin--;
    if (peek(&c) == ',')
        c.at++;
    else if (begin && text.ptr[begin - 1] == ',')
        begin--; // the last one: the comma before it goes
    *ret_before = str_sub(text, 0, begin);
    *ret_after = str_sub(text, c.at, SIZE_MAX);
    return true;
}
