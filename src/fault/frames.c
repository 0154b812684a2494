#include "fault/frames.h"

#include "base/mem.h"

#include "base/banned.h"

void frames_init(struct frames *f, size_t bytes_max)
{
    *f = (struct frames){0};
    buf_init(&f->bytes, bytes_max);
}

void frames_done(struct frames *f)
{
    buf_done(&f->bytes);
    mem_free(f->items);
    f->items = NULL;
}

struct buf *frames_next(struct frames *f, enum frame_kind kind)
{
    if (f->len == f->cap) {
        f->cap = f->cap ? 2 * f->cap : 64;
        f->items = mem_resize(f->items, f->cap, sizeof *f->items);
    }
    f->items[f->len++] = (struct frame){kind, f->bytes.len};
    return &f->bytes;
}

size_t frames_place(const struct frames *f, const struct order_place *p)
{
    if (p->bytes)
        return min_size(p->at, f->bytes.len);
    if (f->len == 1)
        return f->bytes.len / 2;
    return p->at < f->len ? f->items[p->at].from : f->bytes.len;
}

size_t frames_first(const struct frames *f, enum frame_kind kind)
{
    for (size_t i = 0; i < f->len; i++)
        if (f->items[i].kind == kind)
            return f->items[i].from;
    return f->bytes.len;
}

void frames_damage(struct frames *f, uint64_t at, enum order_damage how)
{
    if (f->len == 0)
        return;
    size_t i = min_size(at, f->len - 1);
    size_t from = f->items[i].from, to = i + 1 < f->len ? f->items[i + 1].from : f->bytes.len;
    char *p = buf_ptr(&f->bytes);
    while (from < to && p[from] != '{' && p[from] != '[')
        from++;
    while (to > from && (p[to - 1] == '\n' || p[to - 1] == '\r'))
        to--;
    if (to - from < 2)
        return;
    if (how == ORDER_DAMAGE_BRACE)
        p[from] = ']';
    else if (how == ORDER_DAMAGE_UTF8)
        p[from + 2] = (char)0xff;
    else
        memset(p + from + (to - from) / 2, ' ', to - from - (to - from) / 2);
}
