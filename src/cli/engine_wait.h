// Waiting for a job's events from straight-line code: a semaphore as the job's doorbell. One
// consumer thread.
#pragma once

#include <semaphore.h>

#include "engine/engine.h"

struct engine_wait {
    sem_t bell;
};

void engine_wait_init(struct engine_wait *w);
void engine_wait_done(struct engine_wait *w); // after the job was released
// Set r->wake so that the job rings w.
void engine_wait_attach(struct engine_wait *w, struct engine_request *r);
// Next event of j, waiting for it; false when `interrupted` (may be NULL) became non-zero
// meanwhile: asked at least every 50 ms.
bool engine_wait_event(struct engine_wait *w, struct engine_job *j, const volatile int *interrupted,
                       struct engine_event *ret);
