// What an answer's headers say of how it came about. A stream's say what is known as it begins.
#include "gateway/account.h"

#include "base/text.h"
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

static void add_stage(struct text *t, str name, uint64_t us)
{
    if (!us)
        return;
    if (t->len)
        text_add(t, STR(", "));
    text_add(t, name);
    text_add(t, STR(";dur="));
    text_u64(t, us / 1000);
    text_add(t, STR("."));
    text_u64_wide(t, us % 1000, 3);
}

// The stages by name, in milliseconds (W3C Server Timing).
static void add_timing(const struct call *c, struct answer_headers *h, uint64_t now_us)
{
    const struct call_record *r = &c->record;
    const struct attempt_report *a = &r->attempt;
    char place[320];
    struct text t = text_in(place, sizeof place);
    add_stage(&t, STR("read"), r->worked_us ? r->worked_us - r->start_us : 0);
    if (c->admission.admitted_us > r->worked_us)
        add_stage(&t, STR("admit"), c->admission.admitted_us - r->worked_us);
    add_stage(&t, STR("queue"), a->queue_us);
    add_stage(&t, STR("prefill"), a->prefill_us);
    add_stage(&t, STR("decode"), a->decode_us);
    add_stage(&t, STR("connect"), a->connect_us);
    add_stage(&t, STR("upstream"), a->first_byte_us);
    add_stage(&t, STR("total"), now_us - r->start_us);
    answer_headers_add(h, "Server-Timing", text_str(&t));
}

void account_headers(struct call *c, struct answer_headers *h)
{
    uint64_t now_us = call_now_us(c);
    char money[MONEY_TEXT_MAX];
    answer_headers_add(h, "x-weir-request-id", c->request_id);
    if (!c->record.attempts_len)
        return;
    if (c->attempt)
        c->attempt->ops->report(c->attempt, &c->record.attempt);
    answer_headers_add(h, "x-weir-provider", c->model->provider_name);
    answer_headers_u64(h, "x-weir-attempts", c->record.attempts_len);
    if (c->record.priced)
        answer_headers_add(h, "x-weir-cost", str_of(money_text(c->record.cost_nano_usd, money)));
    answer_headers_u64(h, "x-weir-overhead-us", account_overhead_us(c, now_us));
    add_timing(c, h, now_us);
}
