#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/banned.h"

static const char *const names[ERR_COUNT] = {
    [ERR_OK] = "ok",
    [ERR_LIMIT] = "limit",
    [ERR_PARSE] = "parse",
    [ERR_INVALID] = "invalid",
    [ERR_IO] = "io",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CLOSED] = "closed",
    [ERR_DENIED] = "denied",
    [ERR_NOT_FOUND] = "not_found",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_BUSY] = "busy",
    [ERR_UPSTREAM] = "upstream",
    [ERR_CANCELLED] = "cancelled",
    [ERR_AGAIN] = "again",
    [ERR_NOMEM] = "nomem",
};

const char *err_name(enum err e)
{
    return (unsigned)e < ERR_COUNT ? names[e] : "unknown";
}

// The arguments may point into *d (wrapping an earlier sentence), so the text is made aside first.
PRINTF_LIKE(4, 0)
static void fill(struct diag *d, enum err code, int sys, const char *fmt, va_list args)
{
    char text[sizeof d->text];
    vsnprintf(text, sizeof text, fmt, args);
    *d = (struct diag){.code = code, .sys = sys};
    memcpy(d->text, text, sizeof text);
}

enum err(diag_set)(struct diag *d, enum err code, const char *fmt, ...)
{
    if (!d)
        return code;
    va_list args;
    va_start(args, fmt);
    fill(d, code, 0, fmt, args);
    va_end(args);
    return code;
}

static const char *sys_text(int sys, char *out, size_t out_size)
{
#if defined(__GLIBC__)
    return strerror_r(sys, out, out_size); // GNU's: returns the text
#else
    return strerror_r(sys, out, out_size) == 0 ? out : "unknown error"; // POSIX's
#endif
}

enum err(diag_sys)(struct diag *d, enum err code, int sys, const char *fmt, ...)
{
    if (!d)
        return code;
    va_list args;
    va_start(args, fmt);
    fill(d, code, sys, fmt, args);
    va_end(args);
    char reason[96];
    size_t len = strlen(d->text);
    snprintf(d->text + len, sizeof d->text - len, ": %s", sys_text(sys, reason, sizeof reason));
    return code;
}

void diag_where(struct diag *d, const char *fmt, ...)
{
    if (!d)
        return;
    char where[sizeof d->where];
    va_list args;
    va_start(args, fmt);
    vsnprintf(where, sizeof where, fmt, args);
    va_end(args);
    memcpy(d->where, where, sizeof where);
}

void diag_place(struct diag *d, uint32_t line, uint32_t col)
{
    if (!d)
        return;
    d->line = line;
    d->col = col;
}

// A sentence may quote a hostile file; a terminal must not obey it.
static void show_controls(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            *p++ = '?'; // U+0080 to U+009F
        else if (*p >= 0x20 && *p != 0x7f)
            continue;
        *p = '?';
    }
}

const char *diag_format(const struct diag *d, char *out, size_t out_size)
{
    const char *where = d->where;
    const char *joint = *where ? ":" : "";
    if (d->line && d->col)
        snprintf(out, out_size, "%s%s%u:%u: %s", where, joint, d->line, d->col, d->text);
    else if (d->line)
        snprintf(out, out_size, "%s%s%u: %s", where, joint, d->line, d->text);
    else
        snprintf(out, out_size, "%s%s%s%s", where, joint, *where ? " " : "", d->text);
    show_controls(out);
    return out;
}
