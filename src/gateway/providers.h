// The providers of a gateway: those of the configuration, and those that the environment unlocks.
// Made before the loop runs; the set never changes, what they list may. Look-ups: any thread.
#pragma once

#include "gateway/http_discover.h"
#include "gateway/http_health.h"
#include "gateway/provider_fault.h"
#include "gateway/provider_http.h"
#include "telemetry/names.h"

#define PROVIDERS_MAX 32

struct providers {
    struct http_client *client; // shared by all without certificates of their own
    struct http_provider *items[PROVIDERS_MAX];
    struct http_discover *discoveries[PROVIDERS_MAX]; // NULL where models are configured
    struct http_health *healths[PROVIDERS_MAX];       // NULL where there is nothing to ask
    size_t len;
    struct provider_fault *faults[PROVIDERS_MAX]; // behind those of that kind
    size_t faults_len;
    struct registry *registry;
    struct arena arena; // of what the environment gave
    bool full;          // the registry was, once: said once
    struct metrics_shard *shard;
};

enum err providers_init(struct providers *p, struct loop *l, const struct gateway_config *config,
                        struct registry *registry, struct metrics_shard *shard,
                        struct diag *d) MUST_USE;
void providers_done(struct providers *p); // no attempt may be left
// The entry for "PROVIDER/anything", made in the arena; NULL when there is no such provider.
const struct model_entry *providers_find(const struct providers *p, str name, struct arena *arena);
