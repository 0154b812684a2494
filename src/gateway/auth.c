#include "gateway/auth.h"

#include <openssl/crypto.h>

#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

#define DIGEST_BYTES 32

static void digest(str secret, uint8_t out[static DIGEST_BYTES])
{
    struct sha256 *h = sha256_new();
    sha256_update(h, secret.ptr, secret.len);
    sha256_finish(h, out);
}

void auth_init(struct auth *a, const struct gateway_config *config)
{
    const struct gateway_key *keys = gateway_config_keys(config);
    a->config = config;
    a->len = config->keys.len;
    a->digests = mem_array(a->len ? a->len : 1, DIGEST_BYTES);
    for (size_t i = 0; i < a->len; i++)
        digest(keys[i].secret, a->digests + i * DIGEST_BYTES);
}

void auth_done(struct auth *a)
{
    mem_free(a->digests);
}

static str bearer(str authorization)
{
    if (authorization.len > 7 && str_eq_nocase(str_sub(authorization, 0, 7), STR("Bearer ")))
        return str_trim(str_sub(authorization, 7, SIZE_MAX));
    return STR_NONE;
}

// Every key is compared, in constant time, by its hash.
bool auth_check(const struct auth *a, const struct auth_headers *h, const struct gateway_key **ret,
                struct api_error *ret_error)
{
    uint8_t offered[DIGEST_BYTES];
    str secret = bearer(h->authorization);
    if (!a->len)
        return true;
    if (!secret.len)
        secret = h->x_api_key.len ? h->x_api_key : h->api_key;
    if (!secret.len)
        return api_error_set(ret_error, API_MISSING_KEY, NULL,
                             "No API key was given. Send it as 'Authorization: Bearer KEY'.");
    digest(secret, offered);
    const struct gateway_key *found = NULL;
    for (size_t i = 0; i < a->len; i++)
        if (CRYPTO_memcmp(offered, a->digests + i * DIGEST_BYTES, DIGEST_BYTES) == 0)
            found = &gateway_config_keys(a->config)[i];
    if (!found)
        return api_error_set(ret_error, API_INVALID_KEY, NULL, "The API key is not known here.");
    *ret = found;
    return true;
}
