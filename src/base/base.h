// Attributes and small macros that every file may use. Nothing here allocates or has state.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE                      __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a)             __attribute__((format(printf, f, a)))
#define NORETURN                      __attribute__((noreturn))
#define LIKELY(x)                     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                   __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)                  (sizeof(a) / sizeof((a)[0]))
#define UNUSED                        __attribute__((unused))
#define CONTAINER_OF(p, type, member) ((type *)(void *)((char *)(p) - offsetof(type, member)))

static inline size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

// A programmer error: prints the expression, the place and a backtrace to stderr and aborts. Stays
// on in release.
#define ASSERT(x) (LIKELY(x) ? (void)0 : base_assert_failed(#x, __FILE__, __LINE__, __func__))

NORETURN void base_assert_failed(const char *expr, const char *file, int line, const char *func);
