#include "cli/engine_wait.h"

#include <time.h>

#include "base/banned.h"

void engine_wait_init(struct engine_wait *w)
{
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->rung, NULL);
    w->ringing = false;
}

void engine_wait_done(struct engine_wait *w)
{
    pthread_cond_destroy(&w->rung);
    pthread_mutex_destroy(&w->lock);
}

static void ring(void *ctx)
{
    struct engine_wait *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->ringing = true;
    pthread_cond_signal(&w->rung);
    pthread_mutex_unlock(&w->lock);
}

void engine_wait_attach(struct engine_wait *w, struct engine_request *r)
{
    r->wake = ring;
    r->wake_ctx = w;
}

void engine_wait_bell(struct engine_wait *w)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50 * 1000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&w->lock);
    if (!w->ringing)
        pthread_cond_timedwait(&w->rung, &w->lock, &until);
    w->ringing = false;
    pthread_mutex_unlock(&w->lock);
}

bool engine_wait_event(struct engine_wait *w, struct engine_job *j, const volatile int *interrupted,
                       struct engine_event *ret)
{
    while (!engine_job_poll(j, ret)) {
        if (interrupted && *interrupted)
            return false;
        engine_wait_bell(w);
    }
    return true;
}
