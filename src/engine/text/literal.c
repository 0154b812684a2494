#include "engine/text/literal.h"

#include "base/banned.h"

bool literal_find(str marked)
{
    return str_find_char(marked, LITERAL_MARK) != SIZE_MAX;
}

// Copy s without its marks.
static enum err put_without_marks(struct buf *out, str s)
{
    while (s.len) {
        size_t at = str_find_char(s, LITERAL_MARK);
        ERR_TRY(buf_append_str(out, str_sub(s, 0, at)));
        s = at == SIZE_MAX ? STR_NONE : str_sub(s, at + 1, SIZE_MAX);
    }
    return ERR_OK;
}

enum err literal_put(struct buf *out, str s)
{
    if (s.len == 0)
        return ERR_OK;
    ERR_TRY(buf_append_char(out, LITERAL_MARK));
    ERR_TRY(put_without_marks(out, s));
    return buf_append_char(out, LITERAL_MARK);
}

enum err literal_strip(str marked, struct literal_text *ret)
{
    buf_init(&ret->text, marked.len);
    buf_init(&ret->ranges, (marked.len + 1) * sizeof(struct literal_range));
    bool inside = false;
    while (marked.len) {
        size_t at = str_find_char(marked, LITERAL_MARK);
        struct literal_range r = {.from = ret->text.len};
        ERR_TRY(buf_append_str(&ret->text, str_sub(marked, 0, at)));
        r.to = ret->text.len;
        if (inside && r.to > r.from)
            ERR_TRY(buf_append(&ret->ranges, &r, sizeof r));
        marked = at == SIZE_MAX ? STR_NONE : str_sub(marked, at + 1, SIZE_MAX);
        inside = !inside;
    }
    return ERR_OK;
}

void literal_text_done(struct literal_text *t)
{
    buf_done(&t->text);
    buf_done(&t->ranges);
}

bool literal_touches(const struct literal_text *t, size_t from, size_t to, size_t *cursor)
{
    const struct literal_range *ranges = (const void *)buf_ptr(&t->ranges);
    size_t n = t->ranges.len / sizeof *ranges;
    while (*cursor < n && ranges[*cursor].to <= from)
        ++*cursor;
    return *cursor < n && ranges[*cursor].from < to;
}
