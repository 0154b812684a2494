// Random numbers. random_bytes: the system's (ids, secrets). struct random: a seeded xoshiro256**
// for jitter, tests and simulations (not thread-safe). random_counter: a pure function of its key,
// for sampling that batching and replay cannot disturb.
#pragma once

#include "base/base.h"

void random_bytes(void *out, size_t len); // getrandom; aborts when the system has none. A forked
                                          // child must exec before it asks.
// n lower-case base-36 characters and a NUL: for ids such as "chatcmpl-…".
void random_id(char *out, size_t n);

struct random {
    uint64_t s[4];
};
void random_seed(struct random *r, uint64_t seed); // splitmix64 expansion
uint64_t random_next(struct random *r);
double random_unit(struct random *r);                    // [0,1)
uint64_t random_below(struct random *r, uint64_t bound); // unbiased; bound > 0

// Philox4x32-10 (Salmon et al. 2011): 64 bits from (key, a, b). Same on every machine.
uint64_t random_counter(uint64_t key, uint64_t a, uint64_t b);
