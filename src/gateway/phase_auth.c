// Who is it?
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

enum phase_result phase_auth(struct call *c)
{
    const struct keyring *keys = &c->gateway->shared->keys;
    uint64_t now_ms = c->world->wall_ms(c->world->ctx);
    struct api_error e;
    if (!c->in.open && !auth_check(keys, &c->in.auth, now_ms, &c->key, &e)) {
        *call_error(c) = e;
        return call_refuse(c);
    }
    c->phase = CALL_READ;
    return PHASE_NEXT;
}
