// What a model's name leads to: the targets that may answer it, how one is chosen, and what happens
// when it fails. Routes come from the configuration; a model that is named itself is a route of one
// target. Immutable once made: any thread.
#pragma once

#include "gateway/balance.h"
#include "gateway/config.h"
#include "gateway/context.h"
#include "gateway/retry.h"

struct model_route {
    str name; // empty: the model that was named, alone
    enum balance_strategy strategy;
    const struct gateway_target *targets;
    size_t targets_len; // 0: the model that was named, alone
    struct retry_policy retry;
    int64_t first_token_timeout_ms, idle_timeout_ms; // 0: none
    double hedge_quantile;                           // 0: never
    bool rescue;
    const struct gateway_shadow *shadow; // NULL: none
    const struct gateway_canary *canary; // NULL: none
    size_t canary_at;                    // its place among the targets
    enum context_policy context_policy;
    int64_t context_max; // 0: the model's own
    uint64_t guards;     // of its own, as bits (gateway/guards.h)
};

struct model_routes {
    struct model_route *items;
    size_t len;
    struct model_route alone; // of models elsewhere that are named themselves
    struct model_route here;  // … and of those of this machine, which are tried once: its engine
                              // has a queue of its own
};

// Checks what single rows cannot: names of failures, that each route has targets and none is a
// route itself, that the canary is one of them.
enum err model_routes_check(const struct gateway_config *c, struct diag *d) MUST_USE;
// The configuration outlives it and was checked.
void model_routes_init(struct model_routes *r, const struct gateway_config *c);
void model_routes_done(struct model_routes *r);
const struct model_route *model_routes_find(const struct model_routes *r, str name); // or NULL
