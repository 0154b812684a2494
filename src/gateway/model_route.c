#include "gateway/model_route.h"

#include "base/mem.h"
#include "gateway/guards.h"
#include "gateway/money.h"

#include "base/banned.h"

static const struct gateway_route *config_routes(const struct gateway_config *c)
{
    return c->routes.items;
}

static enum err check_targets(const struct gateway_config *c, const struct gateway_route *r,
                              struct diag *d)
{
    const struct gateway_target *targets = r->targets.items;
    if (!r->targets.len)
        return diag_set(d, ERR_INVALID, "routes." STR_FMT ": has no targets", STR_ARG(r->name));
    if (r->targets.len > BALANCE_TARGETS_MAX)
        return diag_set(d, ERR_INVALID, "routes." STR_FMT ": has more than %d targets",
                        STR_ARG(r->name), BALANCE_TARGETS_MAX);
    for (size_t i = 0; i < r->targets.len; i++)
        for (size_t k = 0; k < c->routes.len; k++)
            if (str_eq(targets[i].name, config_routes(c)[k].name))
                return diag_set(d, ERR_INVALID,
                                "routes." STR_FMT ": its target '" STR_FMT
                                "' is a route itself; name the models that it leads to",
                                STR_ARG(r->name), STR_ARG(targets[i].name));
    return ERR_OK;
}

// SIZE_MAX: it is none of them.
static size_t place_of(const struct gateway_route *r, str target)
{
    const struct gateway_target *targets = r->targets.items;
    for (size_t i = 0; i < r->targets.len; i++)
        if (str_eq(targets[i].name, target))
            return i;
    return SIZE_MAX;
}

static enum err check_extras(const struct gateway_config *c, const struct gateway_route *r,
                             struct diag *d)
{
    for (size_t k = 0; k < c->routes.len; k++)
        if (r->shadow.target.len && str_eq(r->shadow.target, config_routes(c)[k].name))
            return diag_set(d, ERR_INVALID,
                            "routes." STR_FMT ": the shadow's target '" STR_FMT
                            "' is a route itself; name a model",
                            STR_ARG(r->name), STR_ARG(r->shadow.target));
    if (r->canary.target.len && place_of(r, r->canary.target) == SIZE_MAX)
        return diag_set(d, ERR_INVALID,
                        "routes." STR_FMT ": the canary '" STR_FMT "' is none of its targets",
                        STR_ARG(r->name), STR_ARG(r->canary.target));
    return ERR_OK;
}

static enum err check_cost(const struct gateway_policy *p, str route, struct diag *d)
{
    int64_t nano;
    enum err e = money_bound(p->attempts_cost, &nano, d);
    if (e != ERR_OK && route.len)
        diag_where(d, "routes." STR_FMT ".attempts_cost", STR_ARG(route));
    else if (e != ERR_OK)
        diag_where(d, "routing.attempts_cost");
    return e;
}

enum err model_routes_check(const struct gateway_config *c, struct diag *d)
{
    ERR_TRY(check_cost(&c->routing.policy, STR_NONE, d));
    for (size_t i = 0; i < c->routes.len; i++) {
        const struct gateway_route *r = &config_routes(c)[i];
        failure_set set;
        str bad;
        ERR_TRY(check_targets(c, r, d));
        ERR_TRY(check_cost(&r->policy, r->name, d));
        ERR_TRY(check_extras(c, r, d));
        if (!failure_set_of(r->fallback_on.items, r->fallback_on.len, &set, &bad))
            return diag_set(d, ERR_INVALID,
                            "routes." STR_FMT ": fallback_on: '" STR_FMT
                            "' is not one of error, timeout, rate_limit, context, content_policy",
                            STR_ARG(r->name), STR_ARG(bad));
    }
    return ERR_OK;
}

static struct model_route policy_of(const struct gateway_policy *p)
{
    int64_t cost_max_nano;
    bool known = money_bound(p->attempts_cost, &cost_max_nano, NULL) == ERR_OK;
    ASSERT(known); // model_routes_check
    return (struct model_route){
        .retry = {.attempts_max = p->attempts_max,
                  .time_max_ms = p->attempts_time_ms,
                  .cost_max_nano = cost_max_nano,
                  .backoff_ms = p->backoff_ms,
                  .backoff_max_ms = p->backoff_max_ms},
        .first_token_timeout_ms = p->first_token_timeout_ms,
        .idle_timeout_ms = p->idle_timeout_ms,
        .hedge_quantile = p->hedge_quantile,
        .rescue = p->rescue,
        .context_policy = (enum context_policy)p->context_policy,
        .context_max = p->context_max,
    };
}

static struct model_route route_of(const struct gateway_route *g)
{
    struct model_route r = policy_of(&g->policy);
    str bad;
    r.name = g->name;
    r.strategy = (enum balance_strategy)g->strategy;
    r.targets = g->targets.items;
    r.targets_len = g->targets.len;
    r.shadow = g->shadow.target.len ? &g->shadow : NULL;
    r.canary = g->canary.target.len ? &g->canary : NULL;
    r.canary_at = r.canary ? place_of(g, r.canary->target) : 0;
    bool known =
        failure_set_of(g->fallback_on.items, g->fallback_on.len, &r.retry.fallback_on, &bad);
    ASSERT(known); // model_routes_check
    return r;
}

void model_routes_init(struct model_routes *r, const struct gateway_config *c)
{
    *r = (struct model_routes){.len = c->routes.len, .alone = policy_of(&c->routing.policy)};
    r->here = r->alone;
    r->here.retry.attempts_max = 1;
    r->items = mem_array(r->len ? r->len : 1, sizeof *r->items);
    for (size_t i = 0; i < r->len; i++) {
        r->items[i] = route_of(&config_routes(c)[i]);
        r->items[i].guards = guards_bits(c, &config_routes(c)[i].guards);
    }
}

void model_routes_done(struct model_routes *r)
{
    mem_free(r->items);
    *r = (struct model_routes){0};
}

const struct model_route *model_routes_find(const struct model_routes *r, str name)
{
    for (size_t i = 0; i < r->len; i++)
        if (str_eq(r->items[i].name, name))
            return &r->items[i];
    return NULL;
}
