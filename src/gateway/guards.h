// The guards of a configuration: named sets of rules (guard/rules.h), and which of them are for a
// call: those for everyone, those of its route, those of its key. Every combination that can come
// is compiled once, when weir starts. Immutable then: any thread. Limits: 32 sets, 64 rules
// together.
#pragma once

#include "gateway/config.h"
#include "guard/rules.h"

#define GUARD_SETS_MAX 32

struct guards;

// What is for one call.
struct guard_set {
    uint64_t bits;                // which sets
    str names;                    // "privacy,leaks"
    struct guard *input, *output; // NULL: no rule looks there
    str planted;                  // what is put at the end of a system prompt; empty: nothing
};

// What single rows cannot say.
enum err guards_check(const struct gateway_config *c, struct diag *d) MUST_USE;
// NULL where there are none. The configuration was checked.
enum err guards_new(const struct gateway_config *c, struct guards **ret, struct diag *d) MUST_USE;
void guards_free(struct guards *g); // NULL is fine
// Sets by name, as bits; names that are none are left out.
uint64_t guards_bits(const struct gateway_config *c, const struct option_strings *names);
// For a route's bits and a key's; NULL: nothing is.
const struct guard_set *guards_find(const struct guards *g, uint64_t route, uint64_t key);
// Room for any of them to scan with (guard/scan.h).
uint32_t guards_nodes(const struct guards *g);
