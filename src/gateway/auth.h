// Who is asking? Any thread.
#pragma once

#include "dialect/api_error.h"
#include "gateway/key.h"

struct auth_headers {
    str authorization, x_api_key, api_key;
};

// True when nobody needs a key (then *ret is left alone) or a good one was given.
bool auth_check(const struct keyring *keys, const struct auth_headers *h, uint64_t wall_ms,
                struct key **ret, struct api_error *ret_error) MUST_USE;
