// The gateway's HTTP side: the one table of routes, who may ask (Host, Origin, CORS), and calls
// over http/server.h. Loop thread.
#pragma once

#include "gateway/gateway_internal.h"

extern const struct http_handler server_handler; // ctx: struct gateway
// The options for http_server_new, from the configuration.
void server_options(const struct gateway_config *c, struct http_server_options *ret);

// --- For handlers that answer at once.
void server_answer(struct gateway *g, struct http_call *hc, int status, const char *type,
                   const struct answer_headers *h, str body);
void server_refuse(struct gateway *g, struct http_call *hc, const struct api_error *e,
                   const struct answer_headers *more);

// Who asks, on a route that wants a key; NULL where nobody needs one.
const struct key *server_key(const struct gateway *g, struct http_call *hc);

// server.c, health.c, models.c
void server_index(struct gateway *g, struct http_call *hc);
void health_live(struct gateway *g, struct http_call *hc);
void health_ready(struct gateway *g, struct http_call *hc);
void health_version(struct gateway *g, struct http_call *hc);
void models_list(struct gateway *g, struct http_call *hc);
void prompts_page(struct gateway *g, struct http_call *hc); // phase_prompt.c
void models_one(struct gateway *g, struct http_call *hc, str id);
