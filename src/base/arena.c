#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS
#endif
#ifdef ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#include "base/banned.h"

enum { ALIGN = 16, FIRST_BYTES = 1024, CHUNK_BYTES = 4096, KEEP_BYTES_MAX = 64 * 1024 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t cap, used;
    bool borrowed; // its memory is the caller's
    _Alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t ceiling_bytes)
{
    *a = (struct arena){.ceiling_bytes = ceiling_bytes};
}

void arena_init_in(struct arena *a, size_t ceiling_bytes, void *place, size_t size)
{
    struct arena_chunk *c = place;
    ASSERT((uintptr_t)place % ALIGN == 0 && size > sizeof *c);
    arena_init(a, ceiling_bytes);
    *c = (struct arena_chunk){.cap = (size - sizeof *c) & ~(size_t)(ALIGN - 1), .borrowed = true};
    POISON(c->data, c->cap);
    a->head = c;
}

static void chunk_free(struct arena_chunk *c)
{
    UNPOISON(c->data, c->cap);
    if (!c->borrowed)
        mem_free(c);
}

void arena_done(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *next = a->head->next;
        chunk_free(a->head);
        a->head = next;
    }
    a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
    while (a->head && (a->head->next || a->head->cap > KEEP_BYTES_MAX)) {
        struct arena_chunk *next = a->head->next;
        chunk_free(a->head);
        a->head = next;
    }
    if (a->head) {
        a->head->used = 0;
        POISON(a->head->data, a->head->cap);
    }
    a->used_bytes = 0;
}

static struct arena_chunk *chunk_new(size_t cap)
{
    size_t total = 0;
    if (!mem_add(sizeof(struct arena_chunk), cap, &total))
        return NULL;
    struct arena_chunk *c = mem_try_alloc(total);
    if (!c)
        return NULL;
    *c = (struct arena_chunk){.cap = cap};
    POISON(c->data, cap);
    return c;
}

// A chunk with room for `size` bytes. A large piece gets a chunk of its own behind the head, so
// that what is left of the head still serves the small ones.
static struct arena_chunk *chunk_for(struct arena *a, size_t size)
{
    struct arena_chunk *head = a->head;
    if (head && size <= head->cap - head->used)
        return head;
    // Many arenas stay small, for each stream that waits holds some: so the second chunk is no
    // larger than the first, and those behind it double.
    size_t doubled = head && head->next ? 2 * (head->cap + sizeof *head) : FIRST_BYTES;
    size_t usual = min_size(doubled, CHUNK_BYTES) - sizeof(struct arena_chunk);
    bool alone = size > usual / 4 && head != NULL;
    struct arena_chunk *c = chunk_new(alone ? size : max_size(size, usual));
    if (!c)
        return NULL;
    if (alone) {
        c->next = head->next;
        head->next = c;
    } else {
        c->next = head;
        a->head = c;
    }
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t padded;
    if (!mem_add(size ? size : 1, ALIGN - 1, &padded))
        return NULL;
    padded &= ~(size_t)(ALIGN - 1);
    if (padded > a->ceiling_bytes - min_size(a->used_bytes, a->ceiling_bytes))
        return NULL;
    struct arena_chunk *c = chunk_for(a, padded);
    if (!c)
        return NULL;
    void *p = c->data + c->used;
    c->used += padded;
    a->used_bytes += padded;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
    size_t total = 0;
    if (!mem_mul(count, size, &total))
        return NULL;
    void *p = arena_alloc(a, total);
    if (p)
        memset(p, 0, total);
    return p;
}

str arena_str(struct arena *a, str s)
{
    size_t total = 0;
    char *copy = mem_add(s.len, 1, &total) ? arena_alloc(a, total) : NULL;
    if (!copy)
        return STR_NONE;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return str_slice(copy, s.len);
}

str arena_join(struct arena *a, const str *pieces, size_t len)
{
    size_t total = 1;
    for (size_t i = 0; i < len; i++)
        if (!mem_add(total, pieces[i].len, &total))
            return STR_NONE;
    char *text = arena_alloc(a, total), *at = text;
    if (!text)
        return STR_NONE;
    for (size_t i = 0; i < len; i++) {
        if (pieces[i].len)
            memcpy(at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    *at = 0;
    return str_slice(text, total - 1);
}

str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    ASSERT(len >= 0);
    char *text = arena_alloc(a, (size_t)len + 1);
    if (!text)
        return STR_NONE;
    va_start(args, fmt);
    vsnprintf(text, (size_t)len + 1, fmt, args);
    va_end(args);
    return str_slice(text, (size_t)len);
}
