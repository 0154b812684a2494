// A bump allocator with a hard ceiling. Lifetime: whatever owns it (a call, a parse); nothing in it
// is freed singly. Not thread-safe; one owner at a time. Poisoned under ASan after reset.
#pragma once

#include "base/base.h"
#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *head;
    size_t used_bytes, ceiling_bytes;
};

void arena_init(struct arena *a, size_t ceiling_bytes);
// The first chunk is the caller's: `size` bytes at `place`, aligned to 16, that live as long as the
// arena. Saves an allocation to those who make room for it beside themselves.
void arena_init_in(struct arena *a, size_t ceiling_bytes, void *place, size_t size);
void arena_done(struct arena *a);  // frees every chunk; a zeroed or done arena is fine
void arena_reset(struct arena *a); // keeps the first chunk

// NULL when the ceiling would be passed. Aligned to 16 bytes. arena_zalloc is zeroed.
void *arena_alloc(struct arena *a, size_t size) MUST_USE;
void *arena_zalloc(struct arena *a, size_t count, size_t size) MUST_USE;
// A NUL-terminated copy; a str with ptr == NULL when the ceiling would be passed.
str arena_str(struct arena *a, str s) MUST_USE;
// The pieces, one behind the other, and a NUL. ARENA_JOIN takes them as arguments.
str arena_join(struct arena *a, const str *pieces, size_t len) MUST_USE;
#define ARENA_JOIN(a, ...)                                                                         \
    arena_join((a), (const str[]){__VA_ARGS__}, sizeof((const str[]){__VA_ARGS__}) / sizeof(str))
str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;
