// The embedded engine as a provider. The only file of this room that sees engine.h is
// provider_local.c and its two helpers local_*.c.
#pragma once

#include "gateway/registry.h"
#include "net/loop.h"

struct engine;
struct engine_model;
struct provider_local;

struct metrics;

struct provider_local *provider_local_new(struct loop *l);
void provider_local_free(struct provider_local *p);
// An entry (without aliases) for a loaded model; its strings live as long as the model.
void provider_local_describe(struct provider_local *p, struct engine_model *m,
                             struct model_entry *ret);
// Let the registry show what the engine counts: gauges at each scrape, steps as they happen. Once,
// before the first model. local_metrics.c.
void provider_local_watch(struct provider_local *p, struct engine *e, struct metrics *m);
