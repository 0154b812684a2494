// The engine as its own files see it. Members are immutable after engine_new but for the list of
// models, which only grows (under `loading`; readers see the count), and what scheduler.h and
// prep.h say.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/kernel/team.h"
#include "engine/prep.h"
#include "engine/residence.h"
#include "engine/scheduler.h"

struct engine {
    struct team *team;
    char *isa;    // NULL = best
    char *device; // NULL = the processor
    struct scheduler scheduler;
    struct prep prep;
    struct residence residence;
    pthread_mutex_t loading;
    struct engine_model *models[KV_POOLS_MAX];
    _Atomic size_t n_models;
};

// Loaded and described: the scheduler and engine_model_find see it from now on.
void engine_add_model(struct engine *e, struct engine_model *m);
// A half-loaded one.
void engine_discard_model(struct engine *e, struct engine_model *m);
