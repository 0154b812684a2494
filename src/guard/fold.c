#include "guard/fold.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/banned.h"

static bool is_ascii(str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] >= 0x80)
            return false;
    return true;
}

bool fold_text(str text, struct buf *out)
{
    utf8proc_uint8_t *folded = NULL;
    if (is_ascii(text))
        return false;
    utf8proc_ssize_t len =
        utf8proc_map((const utf8proc_uint8_t *)text.ptr, (utf8proc_ssize_t)text.len, &folded,
                     UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_IGNORE);
    if (len < 0)
        return false;
    str now = str_slice((const char *)folded, (size_t)len);
    bool other = !str_eq(now, text);
    if (other)
        (void)buf_append_str(out, now);
    free(folded); // utf8proc's own
    return other;
}
