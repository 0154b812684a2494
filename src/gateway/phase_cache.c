// Was it asked before, or is it being answered right now?
#include "gateway/phase_cache.h"

#include <stdio.h>

#include "base/mem.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/phase_semantic.h"
#include "gateway/unheard.h"

#include "base/banned.h"

// Larger requests are not looked up: hashing them would hold up the loop.
#define BODY_BYTES_MAX   (256u << 10)
#define BODY_MEMBERS_MAX 256

const char *cache_use_name(enum cache_use u)
{
    static const char *const names[] = {"", "miss", "hit", "shared", "semantic"};
    return names[u];
}

void cache_headers(const struct call *c, struct answer_headers *h)
{
    const char *use = cache_use_name(c->cache.use);
    if (c->cache.use == CACHE_SEMANTIC) {
        char text[64];
        int len = snprintf(text, sizeof text, "%s; similarity=%.4f", use, semantic_similarity(c));
        answer_headers_add(h, "x-weir-cache", str_slice(text, (size_t)len));
        answer_headers_add(h, "x-weir-cache-source", semantic_source(c));
    } else if (c->cache.use) {
        answer_headers_add(h, "x-weir-cache", str_of(use));
    }
}

enum cache_wish cache_wish_read(str header)
{
    if (str_eq_nocase(header, STR("off")) || str_eq_nocase(header, STR("bypass")))
        return CACHE_WISH_OFF;
    if (str_eq_nocase(header, STR("refresh")))
        return CACHE_WISH_REFRESH;
    if (str_eq_nocase(header, STR("exact")))
        return CACHE_WISH_EXACT;
    return str_eq_nocase(header, STR("on")) ? CACHE_WISH_ON : CACHE_WISH_USUAL;
}

// --- Which requests

static bool is_deterministic(const struct exchange_request *r)
{
    bool greedy = (r->given & EXCHANGE_HAS_TEMPERATURE) && r->temperature == 0;
    bool one = (r->given & EXCHANGE_HAS_TOP_K) && r->top_k == 1;
    return greedy || one || (r->given & EXCHANGE_HAS_SEED) || r->kind == EXCHANGE_EMBEDDING;
}

static bool may_use(const struct call *c)
{
    const struct exchange_request *r = &c->request;
    const struct gateway_cache *o = &c->gateway->cache.options;
    if (!o->enabled || c->in.cache == CACHE_WISH_OFF || c->cache.on_its_own)
        return false;
    if (!c->doc.root || yyjson_obj_size(c->doc.root) > BODY_MEMBERS_MAX ||
        c->in.body.len > BODY_BYTES_MAX || r->logprobs || r->echo || r->kind == EXCHANGE_COUNT)
        return false;
    return o->all || c->in.cache == CACHE_WISH_ON || is_deterministic(r);
}

// --- An attempt that hears a tape

struct tape_attempt {
    struct attempt base;
    struct call *call;
    struct tape *tape;
    struct tape_listener listener;
    struct api_error error;
    bool told; // its END or ERROR
};

static bool poll_tape(struct attempt *base, struct exchange_event *ret)
{
    struct tape_attempt *a = CONTAINER_OF(base, struct tape_attempt, base);
    if (a->told)
        return false;
    if (tape_next(a->tape, &a->listener, ret)) {
        a->told = ret->type == EXCHANGE_EVENT_END;
        return true;
    }
    if (tape_state(a->tape) != TAPE_FAILED)
        return false;
    a->told = true;
    api_error_set(&a->error, API_UPSTREAM_CUT, NULL,
                  "The answer that was shared with other requests broke off. Ask again.");
    *ret = (struct exchange_event){.type = EXCHANGE_EVENT_ERROR, .error = &a->error};
    return true;
}

static void report_tape(struct attempt *base UNUSED, struct attempt_report *ret)
{
    *ret = (struct attempt_report){0};
}

static void stop_tape(struct attempt *base)
{
    struct tape_attempt *a = CONTAINER_OF(base, struct tape_attempt, base);
    tape_leave(a->tape, &a->listener);
    tape_release(a->tape);
    mem_free(a);
}

static const struct provider_ops tape_ops = {
    .name = "cache", .poll = poll_tape, .report = report_tape, .stop = stop_tape};

static void on_more(void *ctx)
{
    call_step(ctx, CALL_PROVIDER);
}

static struct attempt *hear(struct call *c, struct tape *t)
{
    struct tape_attempt *a = mem_new(struct tape_attempt);
    a->base.ops = &tape_ops;
    a->call = c;
    a->tape = tape_hold(t);
    a->listener.notify = on_more;
    a->listener.ctx = c;
    tape_listen(t, &a->listener);
    return &a->base;
}

// --- The phase

// Nobody is left to hear an answer whose own client has gone.
static void on_unheard(void *ctx)
{
    struct call *c = ctx;
    if (c->cache.deserted)
        call_step(c, CALL_GONE);
}

enum phase_result cache_follow(struct call *c, struct tape *t, enum cache_use use)
{
    c->cache.use = use;
    c->cache.follows = true;
    if (!attempt_prepare_answer(c))
        return call_refuse(c);
    c->attempt = hear(c, t);
    c->phase = CALL_STREAM;
    return PHASE_NEXT;
}

enum phase_result cache_lead(struct call *c)
{
    c->cache.use = CACHE_MISS;
    c->cache.tape = tape_new((size_t)c->gateway->config->limits.answer_bytes_max);
    tape_set_maker(c->cache.tape, on_unheard, c);
    cache_put(&c->gateway->cache, c->cache.key, c->cache.tape, call_now_us(c) / 1000);
    c->phase = CALL_TARGET;
    return PHASE_NEXT;
}

enum phase_result phase_cache(struct call *c)
{
    struct cache *cache = &c->gateway->cache;
    uint64_t now_ms = call_now_us(c) / 1000;
    c->phase = CALL_TARGET;
    if (!may_use(c))
        return PHASE_NEXT;
    cache_key(c, c->cache.key);
    struct tape *t =
        c->in.cache == CACHE_WISH_REFRESH ? NULL : cache_find(cache, c->cache.key, now_ms);
    if (t)
        return cache_follow(c, t, tape_state(t) == TAPE_ENDED ? CACHE_HIT : CACHE_SHARED);
    if (!semantic_begin(c))
        return cache_lead(c);
    c->phase = CALL_SEMANTIC;
    return PHASE_NEXT;
}

// --- What it leaves there

static void on_bell(void *ctx)
{
    struct call *c = ctx;
    c->cache.ringing = false;
    if (c->cache.tape)
        tape_tell(c->cache.tape);
}

// Listeners are told from the loop, not from inside this call.
static void ring(struct call *c)
{
    struct call_cache *own = &c->cache;
    if (!tape_has_listeners(own->tape) || own->ringing)
        return;
    own->ringing = true;
    own->bell.fire = on_bell;
    own->bell.ctx = c;
    c->world->timer_set(c->world->ctx, &own->bell, 0);
}

// The tape goes on without this call.
static void let_go(struct call *c)
{
    struct call_cache *own = &c->cache;
    struct tape *t = own->tape;
    if (!t)
        return;
    cache_settle(&c->gateway->cache, own->key, t);
    if (tape_state(t) == TAPE_ENDED)
        semantic_learn(c, t);
    c->world->timer_cancel(c->world->ctx, &own->bell);
    own->tape = NULL;
    tape_set_maker(t, NULL, NULL);
    tape_tell(t);
    tape_release(t);
}

static void give_up(struct call *c)
{
    if (c->cache.tape)
        tape_fail(c->cache.tape);
    let_go(c);
}

void cache_note(struct call *c, const struct exchange_event *e)
{
    if (!c->cache.tape)
        return;
    bool incomplete = e->type == EXCHANGE_EVENT_FINISH && e->finish == EXCHANGE_FINISH_FILTER;
    if (incomplete || c->losses.len || tape_add(c->cache.tape, e) != ERR_OK)
        give_up(c);
    else
        ring(c);
}

void cache_discard(struct call *c)
{
    if (c->cache.tape && !tape_restart(c->cache.tape))
        give_up(c);
}

bool cache_is_heard(const struct call *c)
{
    return c->cache.tape && tape_has_listeners(c->cache.tape);
}

// --- Those who follow

static void stop_following(struct call *c)
{
    if (!c->cache.follows)
        return;
    if (c->attempt)
        c->attempt->ops->stop(c->attempt);
    c->attempt = NULL;
    c->cache.follows = false;
}

void cache_leave(struct call *c)
{
    stop_following(c);
    give_up(c); // nothing when it has ended
    semantic_leave(c);
}

enum phase_result cache_abandoned(struct call *c)
{
    stop_following(c);
    c->cache.on_its_own = true;
    c->cache.use = CACHE_UNUSED;
    if (c->routing.shown)
        return call_refuse(c);
    call_forgive(c);
    c->routing.spoke = false;
    attempt_discard(c);
    c->phase = CALL_TARGET;
    return PHASE_NEXT;
}

// --- A call whose client has gone

bool cache_desert(struct call *c)
{
    if (!cache_is_heard(c) || c->phase != CALL_STREAM || c->offloaded)
        return false;
    if (c->in.body.len && !c->body.cap) // another attempt may need it
        c->output->take_body(c->output_ctx, &c->body);
    c->cache.deserted = true;
    c->output = &call_unheard;
    c->output_ctx = NULL;
    c->blocked = false;
    return true;
}
