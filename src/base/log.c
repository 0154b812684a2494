#include "base/log.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

#include "base/banned.h"

enum { LINE_BYTES = 8192, VALUE_BYTES_MAX = 2048, TAIL_BYTES = 32 };

static _Atomic int least_level = LOG_INFO;
static _Atomic int line_format = LOG_LOGFMT;
static _Atomic uint64_t counts[LOG_ERROR + 1];

// A line on the stack. What does not fit is not half written: `full` is set and the caller goes
// back.
struct line {
    size_t len;
    bool full;
    char text[LINE_BYTES];
};

void log_configure(enum log_level least, enum log_format format)
{
    atomic_store_explicit(&least_level, (int)least, memory_order_relaxed);
    atomic_store_explicit(&line_format, (int)format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&least_level, memory_order_relaxed);
}

uint64_t log_count(enum log_level level)
{
    return atomic_load_explicit(&counts[level], memory_order_relaxed);
}

static void put(struct line *l, str s)
{
    if (s.len > LINE_BYTES - TAIL_BYTES - l->len) {
        l->full = true;
        return;
    }
    if (s.len)
        memcpy(l->text + l->len, s.ptr, s.len);
    l->len += s.len;
}

static void put_escape(struct line *l, uint32_t cp)
{
    char six[8];
    if (cp == '"' || cp == '\\')
        snprintf(six, sizeof six, "\\%c", (int)cp);
    else if (cp == '\n')
        snprintf(six, sizeof six, "\\n");
    else
        snprintf(six, sizeof six, "\\u%04x", (unsigned)cp & 0xffffu);
    put(l, str_of(six));
}

// Control characters (C0, DEL, C1) would let a value write to the terminal or forge a line.
static bool needs_escape(uint32_t cp)
{
    return cp < 0x20 || cp == '"' || cp == '\\' || (cp >= 0x7f && cp <= 0x9f);
}

static void put_escaped(struct line *l, str s)
{
    while (s.len && !l->full) {
        uint32_t cp;
        size_t len = utf8_decode(s, &cp);
        if (len == 0)
            put(l, STR("\xef\xbf\xbd"));
        else if (needs_escape(cp))
            put_escape(l, cp);
        else
            put(l, str_slice(s.ptr, len));
        s = str_sub(s, len ? len : 1, s.len);
    }
}

static str cut(str s)
{
    if (s.len <= VALUE_BYTES_MAX)
        return s;
    s.len = VALUE_BYTES_MAX;
    s.len -= utf8_incomplete_tail(s);
    return s;
}

static bool is_plain(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.len > 0;
}

static void put_string(struct line *l, str s, bool json)
{
    if (!json && is_plain(s)) {
        put(l, s);
        return;
    }
    bool whole = s.len <= VALUE_BYTES_MAX;
    put(l, STR("\""));
    put_escaped(l, cut(s));
    put(l, whole ? STR("\"") : STR("\xe2\x80\xa6\""));
}

static void put_key(struct line *l, const char *key, bool json)
{
    put(l, json ? STR(",\"") : STR(" "));
    put(l, str_of(key));
    put(l, json ? STR("\":") : STR("="));
}

static void put_field(struct line *l, const struct log_field *f, bool json)
{
    char number[48];
    put_key(l, f->key, json);
    switch (f->type) {
    case LOG_STR:
        put_string(l, f->s, json);
        return;
    case LOG_BOOL:
        put(l, f->i ? STR("true") : STR("false"));
        return;
    case LOG_INT:
        snprintf(number, sizeof number, "%lld", (long long)f->i);
        break;
    case LOG_F64:
        if (isfinite(f->f))
            snprintf(number, sizeof number, "%.9g", f->f);
        else
            snprintf(number, sizeof number, "null");
        break;
    }
    put(l, str_of(number));
}

static void put_head(struct line *l, enum log_level level, const char *msg, bool json)
{
    static const char *const level_names[] = {"debug", "info", "warn", "error"};
    char time[25];
    clock_iso8601(clock_wall_ms(), time);
    put(l, json ? STR("{\"time\":\"") : STR("time="));
    put(l, str_of(time));
    put(l, json ? STR("\",\"level\":\"") : STR(" level="));
    put(l, str_of(level_names[level]));
    put(l, json ? STR("\"") : STR(""));
    put_key(l, "msg", json);
    put_string(l, str_of(msg), json);
}

static void emit(struct line *l, bool json)
{
    const char *tail = json      ? (l->full ? ",\"cut\":true}\n" : "}\n")
                       : l->full ? " cut=true\n"
                                 : "\n";
    size_t len = strlen(tail);
    memcpy(l->text + l->len, tail, len); // TAIL_BYTES were kept for it
    l->len += len;
    ssize_t done;
    do
        done = write(STDERR_FILENO, l->text, l->len);
    while (done < 0 && errno == EINTR);
}

void log_fields(enum log_level level, const char *msg, const struct log_field *fields)
{
    atomic_fetch_add_explicit(&counts[level], 1, memory_order_relaxed);
    if (!log_enabled(level))
        return;
    bool json = atomic_load_explicit(&line_format, memory_order_relaxed) == LOG_JSON;
    struct line line;
    line.len = 0;
    line.full = false;
    put_head(&line, level, msg, json);
    for (; fields->key && !line.full; fields++) {
        size_t before = line.len;
        put_field(&line, fields, json);
        if (line.full)
            line.len = before;
    }
    emit(&line, json);
}
