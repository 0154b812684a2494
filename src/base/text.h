// Short text written into a place of fixed size, without printf: for what every request writes, and
// where a part that does not fit is left out whole. Value type; not NUL-terminated.
#pragma once

#include <stdint.h>

#include "base/str.h"

#define TEXT_U64_MAX 20 // digits of the largest number

struct text {
    char *ptr;
    size_t len, cap;
};

// The decimal digits of v; gives their number. `out` holds TEXT_U64_MAX bytes.
size_t text_digits(char out[static TEXT_U64_MAX], uint64_t v);

static inline struct text text_in(char *place, size_t size)
{
    return (struct text){.ptr = place, .cap = size};
}

static inline str text_str(const struct text *t)
{
    return str_slice(t->ptr, t->len);
}

void text_add(struct text *t, str s);
void text_u64(struct text *t, uint64_t v);
// v in `digits` digits (at most TEXT_U64_MAX), zeros in front; higher ones are cut off.
void text_u64_wide(struct text *t, uint64_t v, size_t digits);
