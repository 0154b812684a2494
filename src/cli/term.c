#include "cli/term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#include "base/banned.h"

bool term_is_tty(int fd)
{
    return isatty(fd) == 1;
}

bool term_colour(int fd)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return term_is_tty(fd) && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
}

uint32_t term_columns(int fd)
{
    struct winsize w;
    return ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

// Length of the control character that `text` begins with, or 0: C0, DEL, and C1 as UTF-8.
static size_t control_length(str text, bool lines)
{
    unsigned char c = (unsigned char)text.ptr[0];
    if (c == '\n' || c == '\t')
        return lines ? 0 : 1;
    if (c < 0x20 || c == 0x7f)
        return 1;
    unsigned char next = text.len > 1 ? (unsigned char)text.ptr[1] : 0;
    return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

void term_text(struct buf *out, str text, bool lines)
{
    while (text.len) {
        size_t n = control_length(text, lines);
        if (n)
            (void)buf_append_str(out, STR("\xef\xbf\xbd"));
        else
            (void)buf_append_char(out, text.ptr[0]);
        text = str_sub(text, n ? n : 1, SIZE_MAX);
    }
}

static double scaled(uint64_t n, size_t units_len, size_t *ret_unit)
{
    double v = (double)n;
    for (*ret_unit = 0; v >= 1000 && *ret_unit + 1 < units_len; v /= 1000)
        ++*ret_unit;
    return v;
}

const char *term_count(uint64_t n, char out[static 16])
{
    static const char *const units[] = {"", " K", " M", " B", " T"};
    size_t u;
    double v = scaled(n, ARRAY_LEN(units), &u);
    snprintf(out, 16, u ? "%.1f%s" : "%.0f%s", v, units[u]);
    return out;
}

const char *term_bytes(uint64_t n, char out[static 16])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t u;
    double v = scaled(n, ARRAY_LEN(units), &u);
    snprintf(out, 16, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}

static void amount(const struct term_progress *p, uint64_t n, char out[static 16])
{
    if (p->bytes)
        term_bytes(n, out);
    else
        snprintf(out, 16, "%llu", (unsigned long long)n);
}

static void draw(struct term_progress *p, uint64_t done, uint64_t now_ms)
{
    char have[16], whole[16], speed[16], bar[41];
    double seconds = (double)(now_ms - p->started_ms) / 1000;
    double rate = seconds > 0 ? (double)(done - p->start_at) / seconds : 0;
    amount(p, done, have);
    amount(p, p->total, whole);
    amount(p, (uint64_t)rate, speed);
    size_t width = term_columns(STDERR_FILENO) > 100 ? 40 : 20;
    size_t full = p->total ? (size_t)((double)width * (double)done / (double)p->total) : 0;
    full = full > width ? width : full;
    memset(bar, '.', width);
    memset(bar, '#', full);
    bar[width] = '\0';
    if (p->total)
        fprintf(stderr, "\r\033[K%s [%s] %s of %s, %s/s", p->label, bar, have, whole, speed);
    else
        fprintf(stderr, "\r\033[K%s %s, %s/s", p->label, have, speed);
    if (p->total && rate > 0 && done < p->total)
        fprintf(stderr, ", %.0f s left", (double)(p->total - done) / rate);
    fflush(stderr);
}

void term_progress_begin(struct term_progress *p, const char *label, uint64_t total,
                         uint64_t start_at, bool bytes)
{
    *p = (struct term_progress){.label = label,
                                .total = total,
                                .start_at = start_at,
                                .started_ms = clock_mono_ms(),
                                .shown = term_is_tty(STDERR_FILENO),
                                .bytes = bytes};
}

void term_progress_update(struct term_progress *p, uint64_t done)
{
    uint64_t now = clock_mono_ms();
    if (!p->shown || (p->drawn_ms && now - p->drawn_ms < 100))
        return;
    p->drawn_ms = now;
    draw(p, done, now);
}

void term_progress_end(struct term_progress *p)
{
    if (p->shown && p->drawn_ms)
        fprintf(stderr, "\r\033[K");
    p->shown = false;
}
