#include "gateway/answer_headers.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

void answer_headers_add(struct answer_headers *h, const char *name, str value)
{
    if (h->len == ANSWER_HEADERS_MAX || value.len > sizeof h->text - h->text_len)
        return;
    char *place = h->text + h->text_len;
    memcpy(place, value.ptr, value.len);
    h->text_len += value.len;
    h->items[h->len].name = name;
    h->items[h->len++].value = str_slice(place, value.len);
}

void answer_headers_printf(struct answer_headers *h, const char *name, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof text)
        answer_headers_add(h, name, str_slice(text, (size_t)len));
}

void answer_headers_error(struct answer_headers *h, const struct api_error *e)
{
    const struct api_error_row *row = api_error_row(e->code);
    answer_headers_add(h, "x-should-retry", row->retry ? STR("true") : STR("false"));
    if (row->status == 401)
        answer_headers_add(h, "WWW-Authenticate", STR("Bearer"));
    if (!e->retry_after_ms)
        return;
    answer_headers_printf(h, "Retry-After", "%u", (e->retry_after_ms + 999) / 1000);
    answer_headers_printf(h, "retry-after-ms", "%u", e->retry_after_ms);
}
