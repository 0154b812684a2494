#include "base/mem.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

static _Atomic uint32_t fail_countdown; // 0 = off

NORETURN static void out_of_memory(size_t size)
{
    fprintf(stderr, "weir: out of memory (%zu bytes were refused)\n", size);
    abort();
}

static void *or_die(void *p, size_t size)
{
    if (UNLIKELY(!p))
        out_of_memory(size);
    return p;
}

static size_t product(size_t count, size_t size)
{
    size_t total = 0;
    if (UNLIKELY(!mem_mul(count, size, &total)))
        out_of_memory(SIZE_MAX);
    return total ? total : 1; // malloc(0) may answer NULL
}

void *mem_alloc(size_t size)
{
    return or_die(malloc(product(size, 1)), size);
}

void *mem_zalloc(size_t size)
{
    return mem_array(size, 1);
}

void *mem_array(size_t count, size_t size)
{
    size_t total = product(count, size);
    return or_die(calloc(1, total), total);
}

void *mem_resize(void *p, size_t count, size_t size)
{
    size_t total = product(count, size);
    return or_die(realloc(p, total), total);
}

void *mem_aligned(size_t align, size_t size)
{
    void *p = NULL;
    if (posix_memalign(&p, align, product(size, 1)) != 0)
        out_of_memory(size);
    return p;
}

static bool injected_failure(void)
{
    if (LIKELY(atomic_load_explicit(&fail_countdown, memory_order_relaxed) == 0))
        return false;
    return atomic_fetch_sub(&fail_countdown, 1) == 1;
}

void *mem_try_alloc(size_t size)
{
    return injected_failure() ? NULL : malloc(size ? size : 1);
}

void *mem_try_resize(void *p, size_t size)
{
    return injected_failure() ? NULL : realloc(p, size ? size : 1);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const char *s, size_t len)
{
    size_t total = 0;
    if (UNLIKELY(!mem_add(len, 1, &total)))
        out_of_memory(SIZE_MAX);
    char *copy = mem_alloc(total);
    if (len)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

void mem_fail_after(uint32_t n)
{
    atomic_store(&fail_countdown, n);
}
