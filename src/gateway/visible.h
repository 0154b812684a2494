// The names that a client can use: models, their aliases and routes, as far as its key allows them.
// Any thread.
#pragma once

#include "gateway/gateway_internal.h"

struct visible_model {
    str name;                        // as it is asked for
    const struct model_entry *entry; // of a route: its first target's
    uint32_t context_max;            // of a route: its largest; 0: not known
};

#define VISIBLE_MAX (REGISTRY_MAX + 256) // routes beyond that are not listed

// `k` NULL: all. In the order in which they were added, routes last; how many there are.
size_t visible_list(const struct gateway *g, const struct key *k,
                    struct visible_model ret[static VISIBLE_MAX]);
enum visible { VISIBLE, VISIBLE_NOT_ALLOWED, VISIBLE_UNKNOWN };
enum visible visible_find(const struct gateway *g, const struct key *k, str name,
                          struct visible_model *ret);
// "'a', 'b' and 'c'", for the refusal of an unknown name; cut to fit.
void visible_names(const struct gateway *g, const struct key *k, char *out, size_t size);
