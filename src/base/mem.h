// Heap memory. mem_* never return NULL: out of memory prints one line and aborts. Anything whose
// size comes from a peer goes through an arena or a buf (which carry limits) or mem_try_*.
// Thread-safe.
#pragma once

#include "base/base.h"

void *mem_alloc(size_t size);                         // not zeroed
void *mem_zalloc(size_t size);                        // zeroed
void *mem_array(size_t count, size_t size);           // zeroed; the product is checked
void *mem_resize(void *p, size_t count, size_t size); // realloc of an array; the product is checked
void *mem_aligned(size_t align, size_t size);         // not zeroed; free with mem_free
void *mem_try_alloc(size_t size) MUST_USE;            // NULL when refused
void *mem_try_resize(void *p, size_t size) MUST_USE;  // NULL when refused; p stays as it was
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len); // adds the NUL
void mem_free(void *p);

#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))

// Tests: the nth mem_try_* from now fails (0 = never).
void mem_fail_after(uint32_t n);

// a*b and a+b with overflow checked: false on overflow, *ret untouched.
static inline bool mem_mul(size_t a, size_t b, size_t *ret)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *ret = r;
    return true;
}

static inline bool mem_add(size_t a, size_t b, size_t *ret)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *ret = r;
    return true;
}
