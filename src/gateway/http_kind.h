// The kinds of providers over the network: which dialects each speaks, how it is addressed and who
// one says to be. Static tables.
#pragma once

#include "dialect/upstream.h"
#include "gateway/config.h"
#include "gateway/provider.h"

struct http_kind {
    struct provider_ops ops;                                 // its name is the kind's
    const char *base_url;                                    // NULL: must be configured
    const struct upstream_dialect *dialects[EXCHANGE_KINDS]; // NULL: not offered
    const char *key_header;                                  // "Authorization"
    const char *key_prefix;                                  // "Bearer "
    bool key_needed;
    const char *header, *header_value;                   // one that it always wants; may be NULL
    const char *models_path, *models_list, *models_name; // what it serves: "/models" "data" "id"
    const char *health_path, *metrics_path;              // http_health.h; may be NULL
};

const struct http_kind *http_kind_of(enum gateway_provider_kind kind);
