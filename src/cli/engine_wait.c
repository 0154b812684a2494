#include "cli/engine_wait.h"

#include <errno.h>
#include <time.h>

#include "base/banned.h"

void engine_wait_init(struct engine_wait *w)
{
    sem_init(&w->bell, 0, 0);
}

void engine_wait_done(struct engine_wait *w)
{
    sem_destroy(&w->bell);
}

static void ring(void *ctx)
{
    struct engine_wait *w = ctx;
    sem_post(&w->bell);
}

void engine_wait_attach(struct engine_wait *w, struct engine_request *r)
{
    r->wake = ring;
    r->wake_ctx = w;
}

static void wait_a_little(struct engine_wait *w)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50 * 1000 * 1000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (sem_timedwait(&w->bell, &until) != 0 && errno == EINTR)
        ;
}

bool engine_wait_event(struct engine_wait *w, struct engine_job *j, const volatile int *interrupted,
                       struct engine_event *ret)
{
    while (!engine_job_poll(j, ret)) {
        if (interrupted && *interrupted)
            return false;
        wait_a_little(w);
    }
    return true;
}
