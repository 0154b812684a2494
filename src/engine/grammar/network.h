// A finished graph, ready to be walked: edges by state, without those that lead nowhere, and what
// is to be known of each state. Immutable once made.
#pragma once

#include "engine/grammar/graph.h"
#include "engine/grammar/slice.h"

#define NETWORK_NEVER UINT16_MAX

struct network {
    // Bytes that no edge tells apart are of one class, and lead to the same places.
    uint8_t class_of[256], some[256]; // a byte of each class
    uint32_t n_classes;
    uint32_t n_states;
    uint32_t *first; // the edges of state s: [first[s], first[s + 1])
    struct edge *edges;
    // How many rules deep one must go, at least, to get from a state to its rule's end;
    // NETWORK_NEVER: it cannot be reached.
    uint16_t *need;
    bool *is_end;       // of its rule
    uint16_t need_most; // of those that can
    bool *is_tail;      // nothing is left to say behind it: who is called there need not come back
    // How many characters of a slice may surely follow a state one after the other, within its
    // rule (and rules that are one such character): SLICE_CHARACTERS_MAX at most. NULL: none ever.
    uint8_t *free[SLICES];
    bool *says[SLICES]; // one such character, and the rule may end
    struct graph_rule *rules;
    size_t n_rules;
    uint32_t root;
};

// depth_max: rules in each other. has_byte: what may be said at all.
enum err network_new(const struct graph *g, uint32_t root, uint32_t depth_max,
                     const bool has_byte[static 256], struct network **ret,
                     struct diag *d) MUST_USE;
void network_free(struct network *n);
