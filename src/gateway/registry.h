// The models that clients can name: each with its provider, aliases and context length. Entries are
// added on the loop thread while it runs (a model may load after the listener is up) and never
// change or go, so any thread may look them up. Bound: REGISTRY_MAX names.
#pragma once

#include <stdatomic.h>

#include "gateway/provider.h"

#define REGISTRY_MAX 512

struct model_entry {
    str name;        // as clients call it, or an alias
    str root;        // the model's own name
    str fingerprint; // system_fingerprint, may be empty
    uint32_t context_max;
    int64_t created_s;
    const struct provider_ops *provider;
    void *provider_model; // the provider's own
    str provider_name;    // as configured; empty: the kind's
    str label;            // in metrics, where names that clients make up are one; empty: root
    const struct provider_health *health; // of its provider (loop thread); NULL: always well
    bool remote;    // elsewhere: never the default while this machine has a model
    bool continues; // goes on with a trailing message of the assistant's
    bool strict;    // what the provider cannot be told refuses the request
    uint32_t index; // of the model itself: aliases share it (for metrics)
};

struct registry {
    struct model_entry entries[REGISTRY_MAX];
    _Atomic size_t len;
    uint32_t models; // without aliases
};

// So many distinct indexes there can be.
#define REGISTRY_MODELS_MAX (REGISTRY_MAX + 64)

// Everything in e must outlive the registry. ERR_LIMIT when full; ERR_INVALID when the name is
// taken, among those of this machine or among those elsewhere.
enum err registry_add(struct registry *r, const struct model_entry *e, bool alias,
                      struct diag *d) MUST_USE;
// NULL when there is none. A model of this machine comes before one elsewhere of the same name. An
// empty name and "default" are the first model of this machine.
const struct model_entry *registry_find(const struct registry *r, str name);
static inline size_t registry_len(const struct registry *r)
{
    return atomic_load_explicit(&r->len, memory_order_acquire);
}
// An index for models that are not in the list (metrics).
uint32_t registry_reserve(struct registry *r);
