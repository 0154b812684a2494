#include "base/text.h"

#include "base/banned.h"

// Two digits a division.
static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233"
                            "34353637383940414243444546474849505152535455565758596061626364656667"
                            "6869707172737475767778798081828384858687888990919293949596979899";

size_t text_digits(char out[static TEXT_U64_MAX], uint64_t v)
{
    char digits[TEXT_U64_MAX];
    char *end = digits + sizeof digits, *at = end;
    while (v >= 100) {
        at -= 2;
        memcpy(at, pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(at, pairs + 2 * v, 2);
    } else {
        *--at = (char)('0' + v);
    }
    memcpy(out, at, (size_t)(end - at));
    return (size_t)(end - at);
}

void text_add(struct text *t, str s)
{
    if (!s.len || s.len > t->cap - t->len)
        return;
    memcpy(t->ptr + t->len, s.ptr, s.len);
    t->len += s.len;
}

void text_u64(struct text *t, uint64_t v)
{
    char digits[TEXT_U64_MAX];
    text_add(t, str_slice(digits, text_digits(digits, v)));
}

void text_u64_wide(struct text *t, uint64_t v, size_t digits)
{
    char out[TEXT_U64_MAX];
    ASSERT(digits <= sizeof out);
    for (size_t i = digits; i > 0; i--, v /= 10)
        out[i - 1] = (char)('0' + v % 10);
    text_add(t, str_slice(out, digits));
}
