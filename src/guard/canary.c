#include "guard/canary.h"

#include "base/buf.h"
#include "base/encode.h"

#include "base/banned.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Up to three separators; also such as nobody sees (soft hyphen, zero-width space and joiners, word
// joiner, byte order mark), as far as a pattern has room for them.
#define VISIBLE "[\\s._,|*+/-]{0,3}"
#define ANY                                                                                        \
    "(?:[\\s._,|*+/"                                                                               \
    "-]|\xc2\xad|\xe2\x80\x8b|\xe2\x80\x8c|\xe2\x80\x8d|\xe2\x81\xa0|\xef\xbb\xbf){0,3}"
#define ANY_BYTES_MAX 80

// "(?i)w[\s…]{0,3}o…": separators between the characters, none included.
static enum err add_spaced(struct patterns *p, str text, uint32_t id, struct diag *d)
{
    struct buf pattern;
    buf_init(&pattern, 128 * CANARY_BYTES_MAX);
    (void)buf_append_str(&pattern, STR("(?i)"));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool whole = ((unsigned char)c & 0xc0) != 0x80; // not inside of a character
        if (i && whole)
            (void)buf_append_str(&pattern, text.len > ANY_BYTES_MAX ? STR(VISIBLE) : STR(ANY));
        if (!is_letter(c) && !is_digit(c) && ((unsigned char)c & 0x80) == 0)
            (void)buf_append_char(&pattern, '\\');
        (void)buf_append_char(&pattern, c);
    }
    enum err e = patterns_add(p, buf_str(&pattern), id, d);
    buf_done(&pattern);
    return e;
}

static char rot13(char c)
{
    char first = c >= 'a' && c <= 'z' ? 'a' : 'A';
    if (!is_letter(c))
        return c;
    return (char)(first + (c - first + 13) % 26);
}

static enum err add_rot13(struct patterns *p, str text, uint32_t id, struct diag *d)
{
    char turned[CANARY_BYTES_MAX];
    for (size_t i = 0; i < text.len; i++)
        turned[i] = rot13(text.ptr[i]);
    return patterns_add_literal(p, str_slice(turned, text.len), true, id, d);
}

// Characters in the other order, each with its bytes as they are.
static enum err add_reversed(struct patterns *p, str text, uint32_t id, struct diag *d)
{
    char turned[CANARY_BYTES_MAX];
    size_t end = text.len, len = 0;
    while (end > 0) {
        size_t from = end - 1;
        while (from > 0 && ((unsigned char)text.ptr[from] & 0xc0) == 0x80)
            from--;
        memcpy(turned + len, text.ptr + from, end - from);
        len += end - from;
        end = from;
    }
    return patterns_add_literal(p, str_slice(turned, len), true, id, d);
}

static enum err add_hex(struct patterns *p, str text, uint32_t id, struct diag *d)
{
    char hex[2 * CANARY_BYTES_MAX + 1];
    struct buf spaced;
    encode_hex(hex, text.ptr, text.len);
    ERR_TRY(patterns_add_literal(p, str_slice(hex, 2 * text.len), true, id, d));
    buf_init(&spaced, 16 * CANARY_BYTES_MAX);
    (void)buf_append_str(&spaced, STR("(?i)"));
    for (size_t i = 0; i < text.len; i++)
        (void)buf_printf(&spaced, "%s%.2s", i ? "[\\s:,]{0,2}(?:0x|\\\\x)?" : "", hex + 2 * i);
    enum err e = patterns_add(p, buf_str(&spaced), id, d);
    buf_done(&spaced);
    return e;
}

// Base64 shifts with where the text begins: three forms, of the characters that hold nothing else.
static enum err add_base64(struct patterns *p, str text, uint32_t id, struct diag *d)
{
    static const size_t leading[] = {0, 2, 3};
    char padded[CANARY_BYTES_MAX + 2] = {0};
    struct buf out;
    enum err e = ERR_OK;
    buf_init(&out, 4 * CANARY_BYTES_MAX);
    for (size_t shift = 0; shift < 3 && e == ERR_OK; shift++) {
        buf_clear(&out);
        memcpy(padded + shift, text.ptr, text.len);
        (void)encode_base64(&out, padded, shift + text.len);
        size_t whole = (shift + text.len) * 8 / 6;
        e = patterns_add_literal(p, str_sub(buf_str(&out), leading[shift], whole - leading[shift]),
                                 false, id, d);
    }
    buf_done(&out);
    return e;
}

enum err canary_add(struct patterns *p, str canary, uint32_t id, struct diag *d)
{
    if (canary.len < CANARY_BYTES_MIN || canary.len > CANARY_BYTES_MAX)
        return diag_set(d, ERR_INVALID, "a canary has %d to %d bytes, not %zu", CANARY_BYTES_MIN,
                        CANARY_BYTES_MAX, canary.len);
    ERR_TRY(add_spaced(p, canary, id, d));
    ERR_TRY(add_reversed(p, canary, id, d));
    ERR_TRY(add_rot13(p, canary, id, d));
    ERR_TRY(add_hex(p, canary, id, d));
    return add_base64(p, canary, id, d);
}
