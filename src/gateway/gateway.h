// The gateway: an OpenAI-compatible surface over the models it was given. One gateway a loop; all
// functions on the loop's thread (or before it runs). Lifetime: the configuration, the loop and the
// engine outlive it.
#pragma once

#include "gateway/config.h"
#include "net/loop.h"

struct gateway;
struct gateway_shared;
struct metrics;
struct engine;
struct engine_model;

// `metrics`: the process's registry (telemetry/names.h); outlives the gateway.
enum err gateway_new(struct loop *l, const struct gateway_config *config,
                     struct gateway_shared *shared, struct metrics *metrics, struct gateway **ret,
                     struct diag *d) MUST_USE;
// Listens at config->listen. Refuses an open listener without keys (gateway_config_check).
enum err gateway_listen(struct gateway *g, uint16_t *ret_port, struct diag *d) MUST_USE;
// The embedded engine, for its metrics; once, before any model is added.
void gateway_set_engine(struct gateway *g, struct engine *e);
// A model that has loaded. The first one is also "default". Ready from the first one on.
enum err gateway_add_local_model(struct gateway *g, struct engine_model *m,
                                 const struct option_strings *aliases, struct diag *d) MUST_USE;
// SIGHUP: the listener's certificates are read again. What is no good changes nothing.
void gateway_reload(struct gateway *g);
// /readyz says 503 from now on; everything is served as before.
void gateway_unready(struct gateway *g);
// Not ready, and no new connections: what is on its way ends, each connection after its answer.
void gateway_drain(struct gateway *g);
size_t gateway_calls(const struct gateway *g); // running now
// Whether a request is still coming in or running, or an answer is not all sent yet.
bool gateway_busy(const struct gateway *g);
void gateway_free(struct gateway *g); // not while the loop runs; cancels what is left
