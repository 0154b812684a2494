// A finished graph, ready to be walked: edges by state, without those that lead nowhere, and what
// is to be known of each state. Immutable once made.
#pragma once

#include "engine/grammar/graph.h"

#define NETWORK_NEVER UINT16_MAX

struct network {
    uint32_t n_states;
    uint32_t *first; // the edges of state s: [first[s], first[s + 1])
    struct edge *edges;
    // How many rules deep one must go, at least, to get from a state to its rule's end;
    // NETWORK_NEVER: it cannot be reached.
    uint16_t *need;
    bool *is_end;  // of its rule
    bool *is_tail; // nothing is left to say behind it: who is called there need not come back
    struct graph_rule *rules;
    size_t n_rules;
    uint32_t root;
};

// depth_max: rules in each other. has_byte: what may be said at all.
enum err network_new(const struct graph *g, uint32_t root, uint32_t depth_max,
                     const bool has_byte[static 256], struct network **ret,
                     struct diag *d) MUST_USE;
void network_free(struct network *n);
