// Where requests wait for a place: first come, first served within each priority.
#include "gateway/admission_internal.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Those who wait for the same place and stand before it.
bool admission_others_first(const struct call *c, const struct limit *l)
{
    const struct admission_queue *q = &c->gateway->admission;
    int own = c->key ? (int)c->key->priority : KEY_PRIORITY_NORMAL;
    if (!q->len)
        return false;
    for (int class = 0; class <= own; class ++)
        for (const struct call *w = q->first[class]; w; w = w->admission.next_waiting) {
            if (w == c)
                return false;
            if (w->admission.full == l)
                return true;
        }
    return false;
}

static enum phase_result shed(struct call *c, const struct limit_refusal *why, uint64_t wait_ms,
                              const char *how)
{
    api_error_set(call_error(c), API_QUEUE_FULL, NULL,
                  "%lld requests run at once, as many as may, and %s. Try again in a moment.",
                  (long long)why->limit, how);
    call_error(c)->retry_after_ms =
        (uint32_t)(wait_ms < 1000 ? 1000 : min_size(wait_ms, UINT32_MAX));
    return call_refuse(c);
}

static struct call **place_in_queue(struct call *c)
{
    int class = c->key ? (int)c->key->priority : KEY_PRIORITY_NORMAL;
    struct call **at = &c->gateway->admission.first[class];
    while (*at && *at != c)
        at = &(*at)->admission.next_waiting;
    return at;
}

void admission_stop_waiting(struct call *c)
{
    if (!c->admission.waiting)
        return;
    *place_in_queue(c) = c->admission.next_waiting;
    c->admission.waiting = false;
    c->due.admission = 0;
    c->gateway->admission.len--;
    account_waiting(c, -1);
}

// How long the newest of those who wait would wait, by how long places were held so far.
static uint64_t expected_wait_ms(const struct admission_queue *q, const struct limit_refusal *why)
{
    return (uint64_t)(q->hold_ms * (double)(q->len + 1) / (double)(why->limit ? why->limit : 1));
}

enum phase_result admission_wait(struct call *c, const struct limit *full,
                                 const struct limit_refusal *why)
{
    struct admission_queue *q = &c->gateway->admission;
    const struct gateway_admission *o = &c->gateway->config->admission;
    uint64_t now = call_now_us(c) / 1000, expected = expected_wait_ms(q, why);
    c->admission.full = full;
    if (c->admission.waiting && now < c->admission.wait_until_ms)
        return PHASE_WAIT;
    if (c->admission.waiting)
        return shed(c, why, expected, "none came free in time");
    if (q->len >= (size_t)o->queue_max)
        return shed(c, why, expected, "as many wait as may");
    if (expected > (uint64_t)o->queue_timeout_ms)
        return shed(c, why, expected, "those who wait need longer than you may");
    *place_in_queue(c) = c;
    q->len++;
    c->admission.waiting = true;
    c->admission.next_waiting = NULL;
    c->admission.wait_until_ms = c->due.admission = now + (uint64_t)o->queue_timeout_ms;
    account_waiting(c, 1);
    return PHASE_WAIT;
}

static bool has_room(const struct limit *l)
{
    return !l->rules.concurrency || atomic_load(&l->running) < l->rules.concurrency;
}

// On the loop, outside any call: who waits for a place that is free now goes on, in order.
static void on_bell(void *ctx)
{
    struct gateway *g = ctx;
    g->admission.ringing = false;
    for (int class = 0; class < KEY_PRIORITIES; class ++) {
        struct call *next;
        for (struct call *c = g->admission.first[class]; c; c = next) {
            next = c->admission.next_waiting;
            if (has_room(c->admission.full))
                call_step(c, CALL_ROOM);
        }
    }
}

void admission_ring(struct call *c)
{
    struct admission_queue *q = &c->gateway->admission;
    if (!q->len || q->ringing)
        return;
    q->ringing = true;
    q->timer.fire = on_bell;
    q->timer.ctx = c->gateway;
    c->world->timer_set(c->world->ctx, &q->timer, 0);
}
