// What the gateways of all loops have in common: keys, limits, prices, prompts, the store. Made
// before the first gateway, ended after the last. Everything in it may be used from any thread.
#pragma once

#include "gateway/admission.h"
#include "gateway/guards.h"
#include "gateway/key.h"
#include "gateway/price.h"
#include "prompt/prompts.h"
#include "store/store.h"

struct metrics;

struct gateway_shared {
    struct keyring keys;
    struct prices prices;
    struct admission_rules rules;
    struct store *store;     // NULL: nothing is kept
    struct prompts *prompts; // NULL: there are none
    struct guards *guards;   // NULL: there are none
};

// Opens the store as the configuration says. Where it lies at its usual place and cannot even be
// made (no home, a disk that cannot be written), weir goes on without one and says so.
enum err gateway_shared_open(struct gateway_shared *s, const struct gateway_config *config,
                             struct diag *d) MUST_USE;
// Shows on the metrics page what the store does; once. `metrics` is not read after the shared is
// closed.
void gateway_shared_watch(struct gateway_shared *s, struct metrics *metrics);
// Writes what waits. A zeroed one is fine.
void gateway_shared_close(struct gateway_shared *s);
