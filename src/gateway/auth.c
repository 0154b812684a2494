#include "gateway/auth.h"

#include "base/clock.h"

#include "base/banned.h"

static str bearer(str authorization)
{
    if (authorization.len > 7 && str_eq_nocase(str_sub(authorization, 0, 7), STR("Bearer ")))
        return str_trim(str_sub(authorization, 7, SIZE_MAX));
    return STR_NONE;
}

static bool is_expired(const struct key *k, uint64_t wall_ms)
{
    return k->expires_ms && wall_ms >= (uint64_t)k->expires_ms;
}

static bool refuse_expired(const struct key *k, struct api_error *e)
{
    char when[25];
    clock_iso8601((uint64_t)k->expires_ms, when);
    return api_error_set(e, API_EXPIRED_KEY, NULL,
                         "The API key '" STR_FMT "' expired on %.10s. Ask for a new one.",
                         STR_ARG(k->name), when);
}

bool auth_check(const struct keyring *keys, const struct auth_headers *h, uint64_t wall_ms,
                struct key **ret, struct api_error *ret_error)
{
    str secret = bearer(h->authorization);
    if (!keyring_any(keys))
        return true;
    if (!secret.len)
        secret = h->x_api_key.len ? h->x_api_key : h->api_key;
    if (!secret.len)
        return api_error_set(ret_error, API_MISSING_KEY, NULL,
                             "No API key was given. Send it as 'Authorization: Bearer KEY'.");
    struct key *found = keyring_find(keys, secret);
    if (!found || atomic_load(&found->revoked))
        return api_error_set(ret_error, API_INVALID_KEY, NULL, "The API key is not known here.");
    if (is_expired(found, wall_ms))
        return refuse_expired(found, ret_error);
    *ret = found;
    return true;
}
