// Which target of a route is asked next: the strategies, over what is known of each target. Pure
// but for the targets' own state, which is updated as attempts begin and end. Loop thread.
#pragma once

#include "gateway/breaker.h"

#define TARGET_FIRSTS 128

// What is known of one model of one provider, whichever routes lead to it.
struct target_state {
    struct breaker breaker;
    uint32_t running;
    double first_ms;      // peak EWMA of the time to the first output: jumps up, decays down
    uint64_t first_at_ms; // … as of then
    // The last times to the first output: for the time after which to hedge.
    uint32_t firsts_ms[TARGET_FIRSTS];
    uint32_t firsts_len; // ever
};
// The first output came after so long.
void target_first_output(struct target_state *t, uint64_t after_ms, uint64_t now_ms);
// The quantile (in [0,1]) of the last times to the first output; 0 while fewer than 10 are known.
uint64_t target_first_quantile_ms(const struct target_state *t, double q);
// Expected time to the first output of one more request: the average, times what runs already.
double target_expected_ms(const struct target_state *t, uint64_t now_ms);

// The states by the index of their model (registry.h), made when first asked for.
struct targets {
    struct target_state **items;
    size_t len;
};
struct target_state *targets_at(struct targets *t, size_t index);
void targets_done(struct targets *t);

enum balance_strategy {
    BALANCE_PRIORITY, // in their order
    BALANCE_WEIGHTED,
    BALANCE_LEAST_BUSY,
    BALANCE_LATENCY,
    BALANCE_CHEAPEST,
    BALANCE_PREFIX, // the same beginning of a prompt to the same target
    BALANCE_STICKY  // the same user to the same target
};
extern const char *const balance_strategy_names[]; // "priority" …, NULL-ended

#define BALANCE_TARGETS_MAX 32

struct balance_target {
    struct target_state *state;
    const char *name;
    double weight;      // 0: only when nothing else is left
    uint64_t price;     // CHEAPEST: of a request like this one, in any unit
    uint64_t name_hash; // PREFIX, STICKY: rendezvous hashing
    double load;        // requests there by its own account; 0: not known
    bool down;          // it is not ready: asked only when no other may be
    bool excluded;      // tried already, cannot do it, too small…
};

// The index of the target to ask, or -1 when none may be asked now. `key`: hash of the prefix or
// the user (0: none, then the strategy falls back to least busy).
int balance_pick(enum balance_strategy s, const struct balance_target *targets, size_t len,
                 uint64_t key, uint64_t now_ms, uint64_t random);
// A number in (0,1) of a hash or of random bits.
double balance_unit(uint64_t bits);
// How long until one that is not excluded may be asked again; 0 when one may be now, UINT64_MAX
// when there is none.
uint64_t balance_wait_ms(const struct balance_target *targets, size_t len, uint64_t now_ms);
