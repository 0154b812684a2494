// Who is it?
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

enum phase_result phase_auth(struct call *c)
{
    if (!c->in.open && !auth_check(&c->gateway->auth, &c->in.auth, &c->key, &c->error))
        return call_refuse(c);
    c->phase = CALL_READ;
    return PHASE_NEXT;
}
