// After an attempt, and after the call: what was reserved is settled, places are given back. And
// what a client is told of its limits.
#include "base/text.h"
#include "gateway/admission_internal.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

static bool is_silent_failure(const struct call *c, const struct attempt_record *a)
{
    bool timed_out = a->failure >= FAILURE_CONNECT_TIMEOUT && a->failure <= FAILURE_TOTAL_TIMEOUT;
    return !c->routing.spoke && (!a->started_us || (a->end == ATTEMPT_FAILED && !timed_out));
}

// Where the provider did not say, because the attempt broke off: what was seen of it.
static struct exchange_usage usage_of(const struct call *c, const struct attempt_record *a)
{
    const struct call_record *r = &c->record;
    const struct exchange_usage *told = &r->usage;
    if (c->request.kind == EXCHANGE_COUNT)
        return (struct exchange_usage){0};
    if (a->end == ATTEMPT_LOST) // what is told and seen is the other's
        return (struct exchange_usage){.prompt_tokens = c->admission.prompt_tokens,
                                       .estimated = true};
    if (told->prompt_tokens || told->completion_tokens || is_silent_failure(c, a) ||
        !r->submitted_us)
        return *told;
    return (struct exchange_usage){.prompt_tokens = c->admission.prompt_tokens,
                                   .completion_tokens =
                                       c->model->remote ? r->seen_bytes / 4 : r->seen_pieces,
                                   .estimated = true};
}

static void settle(struct call *c, const struct attempt_record *r)
{
    struct admission *a = &c->admission;
    uint64_t used = r->usage.prompt_tokens + r->usage.completion_tokens;
    for (size_t i = 0; i < a->scopes_len; i++) {
        struct admission_scope *s = &a->scopes[i];
        if (s->charged)
            limit_settle_tokens(s->limit, a->reserved_tokens, used);
        s->charged = false;
        if (s->held && !s->of_key) {
            limit_return_slot(s->limit);
            s->held = false;
        }
    }
    if (a->money)
        budget_settle(&c->key->budget, a->reserved_wall_ms, c->world->wall_ms(c->world->ctx),
                      a->reserved_nano, r->cost_nano_usd);
    a->money = false;
}

void admission_close(struct call *c, struct attempt_record *a, enum attempt_end end)
{
    struct call_record *r = &c->record;
    a->end = end;
    if (a->settled)
        return;
    a->settled = true;
    const struct price *p = admission_price(c);
    a->usage = usage_of(c, a);
    if (a->end == ATTEMPT_CANCELLED)
        r->usage = a->usage;
    a->priced = p != NULL;
    a->cost_nano_usd = p ? price_cost(p, &a->usage) : 0;
    r->cost_nano_usd += a->cost_nano_usd;
    r->priced = r->priced || p;
    if (a->end == ATTEMPT_ANSWERED && c->request.kind != EXCHANGE_EMBEDDING &&
        c->request.kind != EXCHANGE_COUNT)
        learned_add(&c->gateway->admission.learned[c->model->index],
                    a->usage.completion_tokens / exchange_choices(&c->request));
    settle(c, a);
    if (end != ATTEMPT_LOST)
        r->seen_bytes = r->seen_pieces = 0;
    admission_ring(c);
}

void admission_leave(struct call *c)
{
    struct admission *a = &c->admission;
    struct admission_queue *q = &c->gateway->admission;
    admission_stop_waiting(c);
    if (a->scopes_len && a->scopes[0].of_key && a->scopes[0].held) {
        limit_return_slot(a->scopes[0].limit);
        a->scopes[0].held = false;
    }
    if (a->admitted_us) {
        double held_ms = (double)(call_now_us(c) - a->admitted_us) / 1e3;
        q->hold_ms += (held_ms - q->hold_ms) / 8;
    }
    admission_ring(c);
}

// --- What a client is told

// "850ms", "12s", "6m0s", as OpenAI writes them.
static void add_reset(struct answer_headers *h, const char *name, uint64_t ns)
{
    char place[32];
    struct text t = text_in(place, sizeof place);
    uint64_t ms = (ns + 999999) / 1000000, s = (ms + 999) / 1000;
    if (ms >= 1000 && s >= 60) {
        text_u64(&t, s / 60);
        text_add(&t, STR("m"));
    }
    text_u64(&t, ms < 1000 ? ms : s % 60);
    text_add(&t, ms < 1000 ? STR("ms") : STR("s"));
    answer_headers_add(h, name, text_str(&t));
}

static void add_view(struct answer_headers *h, const struct limit_view *v,
                     const char *const names[3])
{
    if (!v->limit)
        return;
    answer_headers_u64(h, names[0], (uint64_t)v->limit);
    answer_headers_u64(h, names[1], v->remaining > 0 ? (uint64_t)v->remaining : 0);
    add_reset(h, names[2], v->reset_ns);
}

void admission_headers(const struct call *c, struct answer_headers *h)
{
    static const char *const requests[] = {"x-ratelimit-limit-requests",
                                           "x-ratelimit-remaining-requests",
                                           "x-ratelimit-reset-requests"};
    static const char *const tokens[] = {"x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
                                         "x-ratelimit-reset-tokens"};
    const struct admission *a = &c->admission;
    uint64_t now_ns = call_now_us(c) * 1000;
    struct limit_view of_requests = {0}, of_tokens = {0};
    if (c->key) {
        of_requests = limit_requests(&c->key->limit, now_ns);
        of_tokens = limit_tokens(&c->key->limit, now_ns);
    }
    for (size_t i = 0; i < a->scopes_len; i++) {
        if (!of_requests.limit)
            of_requests = limit_requests(a->scopes[i].limit, now_ns);
        if (!of_tokens.limit)
            of_tokens = limit_tokens(a->scopes[i].limit, now_ns);
    }
    add_view(h, &of_requests, requests);
    add_view(h, &of_tokens, tokens);
}
