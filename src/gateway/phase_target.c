// Which target is asked now? By the route's strategy, among those that may be asked.
#include "base/log.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/shadow.h"

#include "base/banned.h"

// So much of a prompt's beginning decides about its affinity.
#define PREFIX_BYTES 2048
// For comparing prices: of a prompt, and of an answer without a limit.
#define BYTES_A_TOKEN 4
#define ANSWER_TOKENS 500

static uint64_t now_ms(const struct call *c)
{
    return call_now_us(c) / 1000;
}

static uint64_t random_bits(const struct call *c)
{
    return c->world->random_u64(c->world->ctx);
}

// --- Affinity

static uint64_t hash_on(uint64_t h, str s) // FNV-1a
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3u;
    return h;
}

static uint64_t prefix_hash(const struct exchange_request *r)
{
    uint64_t h = 0xcbf29ce484222325u;
    size_t left = PREFIX_BYTES;
    for (size_t i = 0; i < r->messages_len && left; i++)
        for (size_t k = 0; k < r->messages[i].parts_len && left; k++) {
            str text = str_sub(r->messages[i].parts[k].text, 0, left);
            h = hash_on(h, text);
            left -= text.len;
        }
    for (size_t i = 0; i < r->prompts_len && left; i++) {
        str text = str_sub(r->prompts[i].text, 0, left);
        h = hash_on(h, text);
        left -= text.len;
    }
    return left == PREFIX_BYTES ? 0 : h | 1;
}

static uint64_t affinity(const struct call *c)
{
    uint64_t tenant = str_hash_stable(c->key ? c->key->name : STR(""));
    uint64_t h = 0;
    if (c->route->strategy == BALANCE_PREFIX)
        h = prefix_hash(&c->request);
    else if (c->route->strategy == BALANCE_STICKY && c->request.user.len)
        h = str_hash_stable(c->request.user) | 1;
    else if (c->route->strategy == BALANCE_STICKY && c->key)
        h = 1;
    return h ? h ^ tenant : 0;
}

// --- The targets as they are now

struct view {
    const struct model_entry *models[BALANCE_TARGETS_MAX];
    struct balance_target targets[BALANCE_TARGETS_MAX];
    size_t len;
};

// What a request like this one costs there, by its length and the limit of its answer.
int64_t target_likely_cost(const struct call *c, const struct model_entry *m)
{
    const struct exchange_request *q = &c->request;
    const struct price *p = prices_find(&c->gateway->shared->prices, m->root, m->name);
    struct exchange_usage usage = {.prompt_tokens = c->in.body.len / BYTES_A_TOKEN,
                                   .completion_tokens = ANSWER_TOKENS};
    if (q->given & EXCHANGE_HAS_TOKENS_MAX)
        usage.completion_tokens = (uint64_t)q->tokens_max;
    return p ? price_cost(p, &usage) : 0;
}

static void add(struct call *c, struct view *v, str name, double weight,
                const struct model_entry *m)
{
    size_t i = v->len++;
    v->models[i] = m;
    v->targets[i] = (struct balance_target){
        .state = m ? targets_at(&c->gateway->targets, m->index) : NULL,
        .weight = weight,
        .price =
            m && c->route->strategy == BALANCE_CHEAPEST ? (uint64_t)target_likely_cost(c, m) : 0,
        .name_hash = str_hash_stable(name),
        .load = m && m->health && m->health->measured ? m->health->requests : 0,
        .down = m && m->health && m->health->down,
        .excluded = !m || (c->routing.tried & (1u << i)) ||
                    (c->routing.shown && !rescue_fits(c, m)) ||
                    (c->request.kind == EXCHANGE_COUNT && !m->provider->counts) ||
                    (m->context_max && m->context_max <= c->routing.context_max),
    };
}

static void look(struct call *c, struct view *v)
{
    const struct model_route *r = c->route;
    v->len = 0;
    if (!r->targets_len)
        add(c, v, c->request.model, 1, c->model);
    for (size_t i = 0; i < r->targets_len; i++)
        add(c, v, r->targets[i].name, r->targets[i].weight, call_find_model(c, r->targets[i].name));
}

static bool target_is_left(struct call *c)
{
    struct view v;
    look(c, &v);
    return balance_pick(BALANCE_PRIORITY, v.targets, v.len, 0, now_ms(c), 0) >= 0;
}

// --- Choosing

static enum phase_result none_left(struct call *c, const struct view *v)
{
    uint64_t wait = balance_wait_ms(v->targets, v->len, now_ms(c));
    if (call_failed(c))
        return call_refuse(c); // how the last attempt failed says more
    api_error_set(call_error(c), API_NO_TARGET, NULL,
                  "No model behind '%.*s' can be asked now: each has failed or is rate limited.",
                  (int)min_size(c->request.model.len, 128), c->request.model.ptr);
    call_error(c)->retry_after_ms =
        wait == UINT64_MAX ? 1000 : (uint32_t)min_size(wait, UINT32_MAX);
    return call_refuse(c);
}

static struct attempt_record *begin_record(struct call *c, const struct target_state *t)
{
    struct attempt_record *a = record_attempt(&c->record, &c->arena);
    if (!a) {
        api_error_set(call_error(c), API_JSON_LIMIT, NULL, "The request needs too much memory.");
        return NULL;
    }
    a->target = c->model->name;
    a->provider = c->model->provider_name;
    a->model = c->model->root;
    a->breaker = breaker_state(&t->breaker, now_ms(c));
    a->reason = a->breaker == BREAKER_HALF_OPEN ? ATTEMPT_PROBE : c->routing.reason;
    a->waited_us = c->routing.waited_us;
    a->started_us = call_now_us(c);
    return a;
}

// The target is asked from now on.
static bool enter(struct call *c, const struct view *v, int at)
{
    struct call_routing *r = &c->routing;
    struct target_state *state = v->targets[at].state;
    c->model = v->models[at];
    r->tried |= 1u << at;
    r->record = begin_record(c, state);
    if (!r->record)
        return false;
    call_forgive(c);
    r->target = state;
    r->spoke = false;
    r->waited_us = 0;
    state->running++;
    if (c->model->remote && !shadow_is_copy(c))
        breaker_enter(&state->breaker, now_ms(c));
    return true;
}

// Whether this user, or this request, is drawn for the canary: once a call.
static bool is_canary(struct call *c)
{
    const struct gateway_canary *o = c->route->canary;
    str user = c->request.user.len ? c->request.user : c->key ? c->key->name : STR_NONE;
    uint64_t h = random_bits(c);
    if (c->routing.canary)
        return c->routing.canary > 0;
    if (o->by == CANARY_BY_USER && user.len) // each route draws other users
        h = str_hash_stable(user) ^ str_hash_stable(c->route->name) * 0x9e3779b97f4a7c15u;
    c->routing.canary = balance_unit(h) * 100 < o->percent ? 1 : -1;
    return c->routing.canary > 0;
}

// The canary for those who are drawn; for others the rest, as long as one of it may be asked.
static int choose_around_canary(struct call *c, struct view *v)
{
    int canary = (int)c->route->canary_at;
    struct balance_target *t = &v->targets[canary];
    if (is_canary(c)) {
        bool can = !t->down && balance_pick(BALANCE_PRIORITY, t, 1, 0, now_ms(c), 0) == 0;
        return can ? canary : -1;
    }
    bool excluded = t->excluded;
    t->excluded = true;
    int at = balance_pick(c->route->strategy, v->targets, v->len, c->routing.key, now_ms(c),
                          random_bits(c));
    t->excluded = excluded;
    return at >= 0 && v->targets[at].down ? -1 : at;
}

static int choose(struct call *c, struct view *v)
{
    look(c, v);
    int at = c->route->canary ? choose_around_canary(c, v) : -1;
    if (at >= 0)
        return at;
    return balance_pick(c->route->strategy, v->targets, v->len, c->routing.key, now_ms(c),
                        random_bits(c));
}

bool target_choose(struct call *c)
{
    struct view v;
    int at = choose(c, &v);
    return at >= 0 && enter(c, &v, at);
}

enum phase_result phase_target(struct call *c)
{
    struct view v;
    struct call_routing *r = &c->routing;
    if (!r->key)
        r->key = affinity(c);
    int at = choose(c, &v);
    if (at < 0)
        return none_left(c, &v);
    if (!enter(c, &v, at))
        return call_refuse(c);
    if (!r->began_ms) {
        r->began_ms = now_ms(c);
        if (!shadow_is_copy(c)) {
            retry_purse_request(&c->gateway->purse, c->gateway->config->routing.retry_share);
            account_routed(c);
        }
    }
    c->phase = CALL_ADMIT;
    if (r->shown && !rescue_begin(c))
        return call_refuse(c);
    return PHASE_NEXT;
}

// --- After an attempt

void attempt_close(struct call *c, enum attempt_end end)
{
    struct call_routing *r = &c->routing;
    struct attempt_record *a = r->record;
    if (!r->target)
        return;
    if (c->attempt) {
        c->attempt->ops->report(c->attempt, &c->record.attempt);
        c->attempt->ops->stop(c->attempt);
        c->attempt = NULL;
        a->report = c->record.attempt;
        a->upstream_status = a->report.status;
        a->upstream_request_id = a->report.request_id;
    }
    a->ended_us = call_now_us(c);
    uint32_t retry_after_ms = 0;
    if (end == ATTEMPT_FAILED) {
        a->failure = call_error(c)->failure;
        a->code = c->error->code;
        retry_after_ms = c->error->retry_after_ms;
    }
    admission_close(c, a, end);
    struct breaker *b = &r->target->breaker;
    const struct breaker_options *o = &c->gateway->config->routing.breaker;
    r->target->running--;
    bool tripped = false;
    if (shadow_is_copy(c)) // its short time, say, is no fault that others should suffer from
        ;
    else if (!c->model->remote || end == ATTEMPT_CANCELLED || end == ATTEMPT_LOST)
        breaker_forget(b);
    else
        tripped = breaker_leave(b, o, a->failure, retry_after_ms, now_ms(c), random_bits(c));
    if (tripped)
        log_write(LOG_WARN, "target left alone", LOG_S("target", c->model->name),
                  LOG_Z("failure", failure_name(a->failure)),
                  LOG_I("for_ms", breaker_wait_ms(b, now_ms(c))));
    account_attempt(c, a, tripped);
    r->target = NULL;
}

// What the attempt has written and nobody has seen.
void attempt_discard(struct call *c)
{
    if (c->routing.shown)
        return;
    cache_discard(c);
    shadow_discard(c);
    buf_clear(&c->out);
    c->record.finished = false;
    if (c->stream.request && c->kind->dialect->done)
        c->kind->dialect->done(&c->stream);
    c->stream = (struct dialect_stream){.request = NULL};
    exchange_answer_done(&c->answer);
}

static enum phase_result again(struct call *c, const struct retry_decision *d)
{
    struct call_routing *r = &c->routing;
    attempt_discard(c);
    r->reason = r->shown                 ? ATTEMPT_RESCUE
                : d->verb == RETRY_OTHER ? ATTEMPT_FALLBACK
                                         : ATTEMPT_RETRY;
    if (d->verb == RETRY_OTHER) {
        c->phase = CALL_TARGET;
        return PHASE_NEXT;
    }
    r->tried = 0;
    r->waited_us = d->wait_ms * 1000;
    c->due.backoff = now_ms(c) + d->wait_ms;
    c->phase = CALL_BACKOFF;
    call_arm(c);
    return PHASE_WAIT;
}

enum phase_result phase_failed(struct call *c)
{
    struct call_routing *r = &c->routing;
    if (call_error(c)->failure == FAILURE_NONE)
        call_error(c)->failure = failure_of(call_error(c)->code);
    c->due.first_token = c->due.idle = c->due.hedge = 0;
    if (call_error(c)->failure == FAILURE_CONTEXT && c->model->context_max > r->context_max)
        r->context_max = c->model->context_max;
    attempt_close(c, ATTEMPT_FAILED);
    if (hedge_take_over(c))
        return PHASE_NEXT;
    struct retry_state s = {.attempts = c->record.attempts_len,
                            .began_ms = r->began_ms,
                            .cost_nano = c->record.cost_nano_usd,
                            .others = target_is_left(c),
                            .shown = r->shown && !rescue_possible(c)};
    struct retry_decision d =
        retry_decide(&c->route->retry, &s, call_error(c), now_ms(c), random_bits(c));
    // A storm is what comes back to the one that failed; another target is not hit by it.
    bool storms = d.verb == RETRY_WAIT && !retry_purse_take(&c->gateway->purse);
    if (d.verb == RETRY_GIVE_UP || storms)
        return call_refuse(c);
    return again(c, &d);
}
