// May it run now? Limits, rate rules, budget; a place in the queue where it has to wait.
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/admission_internal.h"
#include "gateway/gateway_internal.h"
#include "gateway/shadow.h"

#include "base/banned.h"

static uint64_t now_ns(const struct call *c)
{
    return call_now_us(c) * 1000;
}

static uint64_t wall_ms(const struct call *c)
{
    return c->world->wall_ms(c->world->ctx);
}

// --- The rules

void admission_rules_init(struct admission_rules *r, const struct gateway_config *config)
{
    const struct gateway_rate_limit *rows = config->rate_limits.items;
    r->len = config->rate_limits.len;
    r->items = mem_array(r->len + 1, sizeof *r->items);
    for (size_t i = 0; i < r->len; i++) {
        struct admission_rule *rule = &r->items[i];
        rule->name = rows[i].name;
        rule->model = rows[i].model;
        rule->provider = rows[i].provider;
        limit_init(&rule->limit, &rows[i].rules);
    }
}

void admission_rules_done(struct admission_rules *r)
{
    mem_free(r->items);
    *r = (struct admission_rules){0};
}

static bool fits(const struct admission_rule *r, const struct model_entry *m)
{
    bool provider = !r->provider.len || str_matches(m->provider_name, r->provider);
    bool model = !r->model.len || str_matches(m->root, r->model) || str_matches(m->name, r->model);
    return provider && model;
}

static void add_scope(struct admission *a, struct limit *l, str name, bool of_key)
{
    a->scopes[a->scopes_len++] =
        (struct admission_scope){.limit = l, .name = name, .of_key = of_key};
}

// The key's scope stays through the call, the rules' are those of the target.
static bool find_scopes(struct call *c)
{
    struct admission *a = &c->admission;
    struct admission_rules *rules = &c->gateway->shared->rules;
    if (!a->scopes && (c->key || rules->len)) {
        a->scopes = arena_zalloc(&c->arena, 1 + rules->len, sizeof *a->scopes);
        if (!a->scopes)
            return api_error_set(call_error(c), API_JSON_LIMIT, NULL,
                                 "The request needs too much memory.");
    }
    if (!a->scopes_len && c->key)
        add_scope(a, &c->key->limit, c->key->name, true);
    a->scopes_len = c->key ? 1 : 0;
    for (size_t i = 0; i < rules->len; i++)
        if (fits(&rules->items[i], c->model))
            add_scope(a, &rules->items[i].limit, rules->items[i].name, false);
    return true;
}

// --- Taking

const struct price *admission_price(const struct call *c)
{
    return prices_find(&c->gateway->shared->prices, c->model->root, c->model->name);
}

static bool hold(struct call *c, struct admission_scope *s, struct limit_refusal *why)
{
    if (s->held)
        return true;
    if (s->limit->rules.concurrency && admission_others_first(c, s->limit)) {
        *why = (struct limit_refusal){
            .kind = LIMIT_CONCURRENCY, .limit = s->limit->rules.concurrency, .wanted = 1};
        return false;
    }
    if (!limit_take_slot(s->limit, why))
        return false;
    if (!limit_take_request(s->limit, now_ns(c), why)) {
        limit_return_slot(s->limit);
        return false;
    }
    s->held = s->fresh = true;
    return true;
}

static bool charge(struct call *c, struct admission_scope *s, struct limit_refusal *why)
{
    if (!c->admission.reserved_tokens)
        return true;
    return s->charged = limit_take_tokens(s->limit, now_ns(c), c->admission.reserved_tokens, why);
}

static void take_back(struct admission *a)
{
    for (size_t i = 0; i < a->scopes_len; i++) {
        struct admission_scope *s = &a->scopes[i];
        if (s->charged)
            limit_settle_tokens(s->limit, a->reserved_tokens, 0);
        if (s->fresh) {
            limit_return_request(s->limit);
            limit_return_slot(s->limit);
            s->held = false;
        }
        s->charged = s->fresh = false;
    }
}

// All or nothing. NULL: all; else the scope that has no room.
static struct admission_scope *take(struct call *c, struct limit_refusal *why)
{
    struct admission *a = &c->admission;
    for (size_t i = 0; i < a->scopes_len; i++) {
        struct admission_scope *s = &a->scopes[i];
        if (hold(c, s, why) && charge(c, s, why))
            continue;
        take_back(a);
        return s;
    }
    for (size_t i = 0; i < a->scopes_len; i++)
        a->scopes[i].fresh = false;
    return NULL;
}

// The most that the attempt may cost.
static int64_t cost_at_most(const struct call *c)
{
    const struct price *p = admission_price(c);
    struct exchange_usage most = {.prompt_tokens = c->admission.prompt_tokens,
                                  .completion_tokens = c->admission.output_tokens};
    return p ? price_cost(p, &most) : 0;
}

static bool take_money(struct call *c)
{
    struct admission *a = &c->admission;
    if (!c->key || c->key->budget.limit_nano < 0)
        return true;
    a->reserved_nano = cost_at_most(c);
    a->reserved_wall_ms = wall_ms(c);
    a->money = budget_take(&c->key->budget, a->reserved_wall_ms, a->reserved_nano);
    return a->money;
}

// The prompt is not as long as it was thought to be.
static bool correct_money(struct call *c)
{
    struct admission *a = &c->admission;
    int64_t cost = cost_at_most(c), more = cost - a->reserved_nano;
    if (!a->money)
        return true;
    if (more > 0 && !budget_take(&c->key->budget, a->reserved_wall_ms, more))
        return false;
    if (more < 0)
        budget_settle(&c->key->budget, a->reserved_wall_ms, a->reserved_wall_ms, -more, 0);
    a->reserved_nano = cost;
    return true;
}

// --- Refusing

static bool set_limit_error(struct call *c, const struct admission_scope *s,
                            const struct limit_refusal *why)
{
    const char *of = s->of_key ? "the API key" : "the rule";
    if (why->never)
        api_error_set(call_error(c), API_RATE_LIMITED, NULL,
                      "The request may use %lld tokens at once, and %s '" STR_FMT
                      "' has %lld %s. Shorten it, or ask for fewer tokens.",
                      (long long)why->wanted, of, STR_ARG(s->name), (long long)why->limit,
                      limit_kind_name(why->kind));
    else
        api_error_set(call_error(c), API_RATE_LIMITED, NULL,
                      "Rate limit reached: %s '" STR_FMT "' has %lld %s, and this asks for %lld "
                      "more. Try again in %.1f s.",
                      of, STR_ARG(s->name), (long long)why->limit, limit_kind_name(why->kind),
                      (long long)why->wanted, (double)why->wait_ns / 1e9);
    call_error(c)->retry_after_ms = why->never ? 0 : (uint32_t)(why->wait_ns / 1000000 + 1);
    return false;
}

static bool set_budget_error(struct call *c)
{
    char when[25] = "";
    const struct key *k = c->key;
    uint64_t ends_ms = budget_ends_ms(&k->budget, wall_ms(c));
    if (ends_ms)
        clock_iso8601(ends_ms, when);
    api_error_set(call_error(c), API_BUDGET_EXCEEDED, NULL,
                  "The budget of the API key '" STR_FMT "' is used up%s%.10s%s.", STR_ARG(k->name),
                  ends_ms ? " until " : "", when,
                  c->admission.reserved_nano ? ", or this request may cost more than is left" : "");
    return false;
}

// --- The phase

static struct admission_scope *reserve(struct call *c, struct limit_refusal *why)
{
    admission_need(c);
    return take(c, why);
}

static bool pay(struct call *c)
{
    if (!take_money(c)) {
        take_back(&c->admission);
        return set_budget_error(c);
    }
    if (!c->admission.admitted_us)
        c->admission.admitted_us = call_now_us(c);
    return true;
}

// No client waits for a copy, and no limit or budget pays for it.
static enum phase_result let_copy_in(struct call *c)
{
    admission_need(c);
    c->phase = CALL_PREPARE;
    return PHASE_NEXT;
}

enum phase_result phase_admit(struct call *c)
{
    if (shadow_is_copy(c))
        return let_copy_in(c);
    struct limit_refusal why;
    if (!find_scopes(c))
        return call_refuse(c);
    struct admission_scope *full = reserve(c, &why);
    if (full && why.kind == LIMIT_CONCURRENCY && (full->of_key || !c->route->targets_len))
        return admission_wait(c, full->limit, &why);
    admission_stop_waiting(c);
    if (full)
        set_limit_error(c, full, &why);
    if (full && !full->of_key && c->route->targets_len)
        return phase_failed(c); // another target may have room
    if (full || !pay(c))
        return call_refuse(c);
    c->phase = CALL_PREPARE;
    return PHASE_NEXT;
}

bool admission_try(struct call *c)
{
    struct limit_refusal why;
    if (!find_scopes(c))
        return false;
    struct admission_scope *full = reserve(c, &why);
    return full ? set_limit_error(c, full, &why) : pay(c);
}

bool admission_beside(struct call *c, struct admission *ret)
{
    const struct admission *a = &c->admission;
    *ret = (struct admission){.admitted_us = a->admitted_us};
    if (!a->scopes)
        return true;
    ret->scopes = arena_zalloc(&c->arena, 1 + c->gateway->shared->rules.len, sizeof *ret->scopes);
    if (ret->scopes && a->scopes_len && a->scopes[0].of_key) {
        ret->scopes[0] = a->scopes[0];
        ret->scopes[0].charged = false;
        ret->scopes_len = 1;
    }
    return ret->scopes;
}

static bool take_more(struct call *c, uint64_t more, struct limit_refusal *why)
{
    struct admission *a = &c->admission;
    for (size_t i = 0; i < a->scopes_len; i++) {
        if (!a->scopes[i].charged || limit_take_tokens(a->scopes[i].limit, now_ns(c), more, why))
            continue;
        while (i-- > 0)
            if (a->scopes[i].charged)
                limit_settle_tokens(a->scopes[i].limit, more, 0);
        return false;
    }
    return true;
}

static bool correct_tokens(struct call *c, uint64_t was)
{
    struct admission *a = &c->admission;
    struct limit_refusal why = {0};
    uint64_t counted = a->prompt_tokens;
    if (counted > was && !take_more(c, counted - was, &why)) {
        api_error_set(call_error(c), API_RATE_LIMITED, NULL,
                      "Rate limit reached: the prompt has %llu tokens, more than are left of this "
                      "minute's. Try again later.",
                      (unsigned long long)counted);
        call_error(c)->retry_after_ms = (uint32_t)(why.wait_ns / 1000000 + 1);
        return false;
    }
    for (size_t i = 0; i < a->scopes_len && counted < was; i++)
        if (a->scopes[i].charged)
            limit_settle_tokens(a->scopes[i].limit, was - counted, 0);
    a->reserved_tokens = counted + a->output_tokens;
    return true;
}

bool admission_prepared(struct call *c)
{
    struct admission *a = &c->admission;
    uint64_t was = a->prompt_tokens;
    if (!c->model->provider->prompt_tokens)
        return true;
    a->prompt_tokens = c->model->provider->prompt_tokens(c->plan);
    if (!a->reserved_tokens || a->prompt_tokens == was)
        return true;
    return correct_tokens(c, was) && (correct_money(c) || set_budget_error(c));
}
