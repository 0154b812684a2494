#include "gateway/metrics_page.h"

#include "gateway/gateway_internal.h"
#include "telemetry/exposition.h"

#include "base/banned.h"

bool metrics_page_work(struct call *c)
{
    enum exposition_format format = exposition_negotiate(c->in.accept);
    c->content_type = exposition_content_type(format);
    if (exposition_write(c->gateway->account.registry, format, &c->out) == ERR_OK)
        return true;
    return api_error_set(call_error(c), API_INTERNAL_ERROR, NULL, "The metrics page is too large.");
}
