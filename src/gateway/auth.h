// API keys. Only hashes are held for comparing; the configuration keeps the secrets it resolved.
// Immutable after auth_init; any thread.
#pragma once

#include "dialect/api_error.h"
#include "gateway/config.h"

struct auth {
    const struct gateway_config *config;
    uint8_t *digests;
    size_t len;
};

struct auth_headers {
    str authorization, x_api_key, api_key;
};

void auth_init(struct auth *a, const struct gateway_config *config);
void auth_done(struct auth *a);
// True when no keys are configured (then *ret is left alone) or one of them was given.
bool auth_check(const struct auth *a, const struct auth_headers *h, const struct gateway_key **ret,
                struct api_error *ret_error) MUST_USE;
