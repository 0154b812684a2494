// Liveness, readiness, version. Liveness never depends on a model or a provider.
#include "gateway/server.h"

#include "base/banned.h"

void health_live(struct gateway *g, struct http_call *hc)
{
    server_answer(g, hc, 200, "application/json", NULL, STR("{\"status\":\"ok\"}"));
}

void health_ready(struct gateway *g, struct http_call *hc)
{
    bool ready = registry_find(&g->registry, STR_NONE) && !g->draining;
    str body = ready         ? STR("{\"status\":\"ready\"}")
               : g->draining ? STR("{\"status\":\"draining\"}")
                             : STR("{\"status\":\"loading\"}");
    server_answer(g, hc, ready ? 200 : 503, "application/json", NULL, body);
}

void health_version(struct gateway *g, struct http_call *hc)
{
    server_answer(g, hc, 200, "application/json", NULL,
                  STR("{\"name\":\"weir\",\"version\":\"" WEIR_VERSION "\"}"));
}
