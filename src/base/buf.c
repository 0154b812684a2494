#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#include "base/banned.h"

enum { CAP_MIN = 64 };

void buf_init(struct buf *b, size_t limit_bytes)
{
    *b = (struct buf){.limit = limit_bytes};
}

void buf_done(struct buf *b)
{
    mem_free(b->mem);
    *b = (struct buf){.limit = b->limit};
}

void buf_clear(struct buf *b)
{
    b->off = b->len = 0;
    b->failed = false;
}

void buf_shrink(struct buf *b)
{
    if (b->len > 0)
        return;
    mem_free(b->mem);
    b->mem = NULL;
    b->off = b->cap = 0;
}

// Move the live bytes to the front of a block of at least `need` bytes. Doubling, so that appending
// n bytes copies O(n); never much above the limit, so that a limit bounds memory too.
static bool grow(struct buf *b, size_t need)
{
    size_t cap = max_size(need, CAP_MIN);
    size_t twice = b->cap > SIZE_MAX / 2 ? SIZE_MAX : b->cap * 2;
    cap = max_size(cap, min_size(twice, b->limit));
    char *mem = mem_try_alloc(cap);
    if (!mem)
        return false;
    if (b->len)
        memcpy(mem, b->mem + b->off, b->len);
    mem_free(b->mem);
    b->mem = mem;
    b->cap = cap;
    b->off = 0;
    return true;
}

static bool make_room(struct buf *b, size_t size)
{
    size_t need;
    if (!mem_add(b->len, size, &need))
        return false;
    if (need <= b->cap - b->off)
        return true;
    // Closing the gap in front pays for itself once the gap is as long as what moves.
    if (need <= b->cap && (b->off >= b->len || b->cap >= b->limit)) {
        memmove(b->mem, b->mem + b->off, b->len);
        b->off = 0;
        return true;
    }
    return grow(b, need);
}

char *buf_reserve(struct buf *b, size_t size)
{
    // At least one byte, so that the answer for size 0 is a pointer and not NULL.
    if (size > b->limit - b->len || !make_room(b, size ? size : 1)) {
        b->failed = true;
        return NULL;
    }
    return b->mem + b->off + b->len;
}

void buf_commit(struct buf *b, size_t size)
{
    ASSERT(size <= b->cap - b->off - b->len && size <= b->limit - b->len);
    b->len += size;
}

enum err buf_append(struct buf *b, const void *data, size_t len)
{
    if (len == 0)
        return ERR_OK;
    char *room = buf_reserve(b, len);
    if (!room)
        return ERR_LIMIT;
    memcpy(room, data, len);
    b->len += len;
    return ERR_OK;
}

enum err buf_append_str(struct buf *b, str s)
{
    return buf_append(b, s.ptr, s.len);
}

enum err buf_append_char(struct buf *b, char c)
{
    return buf_append(b, &c, 1);
}

enum err buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    char few[256];
    va_start(args, fmt);
    int len = vsnprintf(few, sizeof few, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    if ((size_t)len < sizeof few)
        return buf_append(b, few, (size_t)len);
    // vsnprintf's NUL needs a byte that the limit need not allow.
    if ((size_t)len > b->limit - b->len || !make_room(b, (size_t)len + 1)) {
        b->failed = true;
        return ERR_LIMIT;
    }
    va_start(args, fmt);
    vsnprintf(b->mem + b->off + b->len, (size_t)len + 1, fmt, args);
    va_end(args);
    b->len += (size_t)len;
    return ERR_OK;
}

void buf_consume(struct buf *b, size_t len)
{
    ASSERT(len <= b->len);
    b->len -= len;
    b->off = b->len ? b->off + len : 0;
}

const char *buf_cstr(struct buf *b)
{
    if (b->failed || b->len == 0 || !make_room(b, 1))
        return "";
    b->mem[b->off + b->len] = '\0';
    return b->mem + b->off;
}
