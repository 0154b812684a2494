#include "base/utf8.h"

#include "base/banned.h"

enum { REPLACEMENT = 0xfffd };

// The length that the first byte promises and the range of the second byte (Unicode 15, table 3-7):
// the second byte's range is what shuts out overlong forms, surrogates and code points past
// U+10FFFF. 0 for a byte that starts nothing.
static size_t promise(uint8_t first, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *ret_high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 1;
    if (first < 0xc2)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
}

// How many of the bytes at s.ptr fit the promise of the first one; *ret_want is the promise.
static size_t matching(str s, size_t *ret_want)
{
    const uint8_t *p = (const uint8_t *)s.ptr;
    uint8_t low, high;
    size_t want = promise(p[0], &low, &high);
    *ret_want = want;
    if (want == 0)
        return 0;
    size_t have = 1;
    while (have < want && have < s.len && p[have] >= low && p[have] <= high) {
        low = 0x80;
        high = 0xbf;
        have++;
    }
    return have;
}

size_t utf8_decode(str s, uint32_t *ret_cp)
{
    *ret_cp = REPLACEMENT;
    if (s.len == 0)
        return 0;
    size_t want;
    if (matching(s, &want) != want || want == 0)
        return 0;
    const uint8_t *p = (const uint8_t *)s.ptr;
    uint32_t cp = want == 1 ? p[0] : p[0] & (0x7fu >> want);
    for (size_t i = 1; i < want; i++)
        cp = cp << 6 | (p[i] & 0x3fu);
    *ret_cp = cp;
    return want;
}

static size_t ascii_run(str s, size_t i)
{
    while (i + 8 <= s.len) {
        uint64_t word;
        memcpy(&word, s.ptr + i, 8);
        if (word & 0x8080808080808080)
            break;
        i += 8;
    }
    return i;
}

size_t utf8_valid_prefix(str s)
{
    size_t i = 0;
    while (i < s.len) {
        i = ascii_run(s, i);
        if (i == s.len)
            break;
        size_t want;
        if (matching(str_slice(s.ptr + i, s.len - i), &want) != want || want == 0)
            break;
        i += want;
    }
    return i;
}

bool utf8_valid(str s)
{
    return utf8_valid_prefix(s) == s.len;
}

size_t utf8_encode(uint32_t cp, char out[static 4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        return 0;
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (char)((0xf00u >> len) | cp);
    return len;
}

size_t utf8_incomplete_tail(str s)
{
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        size_t want;
        str tail = str_slice(s.ptr + s.len - back, back);
        if (((uint8_t)tail.ptr[0] & 0xc0) == 0x80)
            continue;
        return matching(tail, &want) == back && back < want ? back : 0;
    }
    return 0;
}
