// Growable bytes with a limit. Owner: whoever embeds it; not thread-safe. Appending past the limit
// is ERR_LIMIT and changes nothing; the error sticks in `failed` so that a writer may check once at
// the end. bytes [off, off+len) are live.
#pragma once

#include "base/err.h"
#include "base/str.h"

struct buf {
    char *mem;
    size_t off, len, cap, limit;
    bool failed;
};

void buf_init(struct buf *b, size_t limit_bytes); // allocates nothing yet
void buf_done(struct buf *b);
void buf_clear(struct buf *b);  // keeps memory, clears `failed`
void buf_shrink(struct buf *b); // gives memory back when empty

static inline char *buf_ptr(const struct buf *b)
{
    return b->mem ? b->mem + b->off : NULL;
}

static inline str buf_str(const struct buf *b)
{
    return (str){buf_ptr(b), b->len};
}

// Room for `size` more bytes: a pointer to write at, then buf_commit(n ≤ size). NULL past the
// limit.
char *buf_reserve(struct buf *b, size_t size) MUST_USE;
void buf_commit(struct buf *b, size_t size);
enum err buf_append(struct buf *b, const void *data, size_t len);
enum err buf_append_str(struct buf *b, str s);
enum err buf_append_char(struct buf *b, char c);
enum err buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_consume(struct buf *b, size_t len); // drop from the front
// Terminate with a NUL that is not counted in len; returns the text ("" when empty or past the
// limit).
const char *buf_cstr(struct buf *b);
