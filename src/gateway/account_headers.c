// What an answer's headers say of how it came about. A stream's say what is known as it begins.
#include "gateway/account.h"

#include <stdio.h>

#include "gateway/gateway_internal.h"
#include "gateway/money.h"

#include "base/banned.h"

// "a, b, c", with what may not stand in a header shown as '?'.
str account_list(const str *names, size_t len, char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        str name = names[i];
        if (used + name.len + 3 > size)
            break;
        if (used) {
            out[used++] = ',';
            out[used++] = ' ';
        }
        for (size_t k = 0; k < name.len; k++) {
            char b = name.ptr[k];
            out[used++] = (char)(b > ' ' && b < 0x7f && b != ',' ? b : '?');
        }
    }
    return str_slice(out, used);
}

// How long its providers have had it so far, waits before them included.
static uint64_t provider_us(const struct call *c, uint64_t now_us)
{
    const struct attempt_report *own = &c->record.attempt;
    uint64_t us = 0;
    if (c->model && !c->model->remote && own->decode_us)
        return own->queue_us + own->prefill_us + own->decode_us;
    for (const struct attempt_record *a = c->record.attempts; a; a = a->next)
        us += a->waited_us + (a->ended_us ? a->ended_us : now_us) - a->started_us;
    return us;
}

uint64_t account_overhead_us(const struct call *c, uint64_t now_us)
{
    uint64_t whole = now_us - c->record.start_us, theirs = provider_us(c, now_us);
    return whole > theirs ? whole - theirs : 0;
}

static void add_stage(char *out, size_t size, size_t *used, const char *name, uint64_t us)
{
    if (!us || *used >= size)
        return;
    int n = snprintf(out + *used, size - *used, "%s%s;dur=%llu.%03llu", *used ? ", " : "", name,
                     (unsigned long long)us / 1000, (unsigned long long)us % 1000);
    *used += n < 0 ? 0 : (size_t)n;
}

// The stages by name, in milliseconds (W3C Server Timing).
static void add_timing(const struct call *c, struct answer_headers *h, uint64_t now_us)
{
    const struct call_record *r = &c->record;
    const struct attempt_report *a = &r->attempt;
    char text[256];
    size_t used = 0;
    add_stage(text, sizeof text, &used, "read", r->worked_us ? r->worked_us - r->start_us : 0);
    if (c->admission.admitted_us > r->worked_us)
        add_stage(text, sizeof text, &used, "admit", c->admission.admitted_us - r->worked_us);
    add_stage(text, sizeof text, &used, "queue", a->queue_us);
    add_stage(text, sizeof text, &used, "prefill", a->prefill_us);
    add_stage(text, sizeof text, &used, "decode", a->decode_us);
    add_stage(text, sizeof text, &used, "connect", a->connect_us);
    add_stage(text, sizeof text, &used, "upstream", a->first_byte_us);
    add_stage(text, sizeof text, &used, "total", now_us - r->start_us);
    answer_headers_add(h, "Server-Timing", str_slice(text, min_size(used, sizeof text - 1)));
}

void account_headers(struct call *c, struct answer_headers *h)
{
    uint64_t now_us = call_now_us(c);
    char money[MONEY_TEXT_MAX];
    answer_headers_add(h, "x-weir-request-id", c->request_id);
    if (c->kind->work || !c->record.attempts_len)
        return;
    if (c->attempt)
        c->attempt->ops->report(c->attempt, &c->record.attempt);
    answer_headers_add(h, "x-weir-provider", c->model->provider_name);
    answer_headers_printf(h, "x-weir-attempts", "%u", c->record.attempts_len);
    if (c->record.priced)
        answer_headers_add(h, "x-weir-cost", str_of(money_text(c->record.cost_nano_usd, money)));
    answer_headers_printf(h, "x-weir-overhead-us", "%llu",
                          (unsigned long long)account_overhead_us(c, now_us));
    add_timing(c, h, now_us);
}
