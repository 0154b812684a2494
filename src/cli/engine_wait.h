// Waiting for a job's events from straight-line code: a semaphore as the job's doorbell. One
// consumer thread.
#pragma once

#include <pthread.h>

#include "engine/engine.h"

struct engine_wait {
    pthread_mutex_t lock;
    pthread_cond_t rung;
    bool ringing;
};

void engine_wait_init(struct engine_wait *w);
void engine_wait_done(struct engine_wait *w); // after the job was released
// Set r->wake so that the job rings w.
void engine_wait_attach(struct engine_wait *w, struct engine_request *r);
// Sleep until some job rings, at most 50 ms.
void engine_wait_bell(struct engine_wait *w);
// Next event of j, waiting for it; false when `interrupted` (may be NULL) became non-zero
// meanwhile: asked at least every 50 ms.
bool engine_wait_event(struct engine_wait *w, struct engine_job *j, const volatile int *interrupted,
                       struct engine_event *ret);
