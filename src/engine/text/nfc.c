#include "engine/text/nfc.h"

#include <utf8proc.h>

#include "base/mem.h"
#include "base/utf8.h"

#include "base/banned.h"

enum {
    NORMAL_BELOW = 0x300, // every code point below is normal whatever surrounds it
    MARKS_MAX = 128,
    DECOMPOSED_MAX = 4, // code points that one decomposes into, canonically
};

static bool is_ascii(char c)
{
    return (uint8_t)c < 0x80;
}

// A run of characters that may compose with one another: from `at`, one ASCII character (or none),
// then all others up to the next ASCII or bad byte. Says whether it needs work.
static size_t segment(str text, size_t at, bool *ret_work)
{
    size_t i = at, marks = 0;
    bool high = false, wild = false;
    uint32_t cp;
    if (is_ascii(text.ptr[i]))
        i++;
    while (i < text.len && !is_ascii(text.ptr[i])) {
        size_t len = utf8_decode(str_sub(text, i, 4), &cp);
        if (len == 0)
            break;
        i += len;
        high = high || cp >= NORMAL_BELOW;
        marks = utf8proc_get_property((utf8proc_int32_t)cp)->combining_class ? marks + 1 : 0;
        wild = wild || marks > MARKS_MAX;
    }
    *ret_work = high && !wild;
    return i == at ? 1 : i - at; // a bad byte by itself
}

static enum err compose(str piece, struct buf *out)
{
    size_t room = piece.len * DECOMPOSED_MAX;
    // reencode writes UTF-8 over the code points and a NUL
    utf8proc_int32_t *points = mem_try_alloc((room + 1) * sizeof *points);
    if (!points)
        return ERR_NOMEM;
    // The library's own way to give two options is a sum that its enum does not name.
    const utf8proc_option_t options =
        UTF8PROC_STABLE | UTF8PROC_COMPOSE; // NOLINT(clang-analyzer-optin.core.EnumCastOutOfRange)
    utf8proc_ssize_t n =
        utf8proc_decompose((const utf8proc_uint8_t *)piece.ptr, (utf8proc_ssize_t)piece.len, points,
                           (utf8proc_ssize_t)room, options);
    if (n >= 0 && (size_t)n <= room)
        n = utf8proc_reencode(points, n, options);
    enum err e = n < 0 ? buf_append_str(out, piece) : buf_append(out, points, (size_t)n);
    mem_free(points);
    return e;
}

enum err nfc_normalize(str text, struct buf *scratch, str *ret)
{
    size_t kept = 0; // the text before needs no work and is not copied yet
    bool work, any = false;
    buf_clear(scratch);
    for (size_t at = 0, len; at < text.len; at += len) {
        len = segment(text, at, &work);
        if (!work)
            continue;
        any = true;
        ERR_TRY(buf_append_str(scratch, str_sub(text, kept, at - kept)));
        ERR_TRY(compose(str_sub(text, at, len), scratch));
        kept = at + len;
    }
    if (!any) {
        *ret = text;
        return ERR_OK;
    }
    ERR_TRY(buf_append_str(scratch, str_sub(text, kept, text.len)));
    *ret = buf_str(scratch);
    return ERR_OK;
}
