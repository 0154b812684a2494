#include "engine/grammar/slice.h"

#include "base/utf8.h"

#include "base/banned.h"

// Without what '.' of some dialect leaves out, and without what JSON escapes.
static const struct char_range plain[] = {{0x20, 0x21},   {0x23, 0x5B},     {0x5D, 0x7E},
                                          {0xA0, 0x2027}, {0x202A, 0xD7FF}, {0xE000, 0x10FFFF}},
                               words[] = {{' ', ' '}, {'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
                               letters[] = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
                               small[] = {{'a', 'z'}};

static const struct {
    const struct char_range *ranges;
    size_t len;
} slices[SLICES] = {{plain, ARRAY_LEN(plain)},
                    {words, ARRAY_LEN(words)},
                    {letters, ARRAY_LEN(letters)},
                    {small, ARRAY_LEN(small)}};

static bool is_within(const struct char_range *r, const struct char_range *ranges, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (r->low >= ranges[i].low && r->high <= ranges[i].high)
            return true;
    return false;
}

bool slice_is_within(uint32_t slice, const struct charset *s)
{
    for (size_t i = 0; i < slices[slice].len; i++)
        if (!is_within(&slices[slice].ranges[i], s->ranges, s->len))
            return false;
    return true;
}

bool slice_says(uint32_t slice, str text)
{
    size_t n = 0;
    for (; text.len > 0 && n < SLICE_CHARACTERS_MAX; n++) {
        struct char_range c;
        size_t len = utf8_decode(text, &c.low);
        c.high = c.low;
        if (len == 0 || !is_within(&c, slices[slice].ranges, slices[slice].len))
            return false;
        text = str_sub(text, len, SIZE_MAX);
    }
    return n > 0 && text.len == 0;
}
