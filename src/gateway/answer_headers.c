#include "gateway/answer_headers.h"

#include "base/text.h"

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

void answer_headers_u64(struct answer_headers *h, const char *name, uint64_t value)
{
    char digits[TEXT_U64_MAX];
    answer_headers_add(h, name, str_slice(digits, text_digits(digits, value)));
}

void answer_headers_i64(struct answer_headers *h, const char *name, int64_t value)
{
    char text[1 + TEXT_U64_MAX] = "-";
    bool below = value < 0;
    size_t len = text_digits(text + below, below ? 0 - (uint64_t)value : (uint64_t)value);
    answer_headers_add(h, name, str_slice(text, below + len));
}

void answer_headers_error(struct answer_headers *h, const struct api_error *e)
{
    const struct api_error_row *row = api_error_row(e->code);
    answer_headers_add(h, "x-should-retry", row->retry ? STR("true") : STR("false"));
    if (row->status == 401)
        answer_headers_add(h, "WWW-Authenticate", STR("Bearer"));
    if (!e->retry_after_ms)
        return;
    answer_headers_u64(h, "Retry-After", (e->retry_after_ms + 999) / 1000);
    answer_headers_u64(h, "retry-after-ms", e->retry_after_ms);
}
