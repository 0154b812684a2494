#include "net/watchdog.h"

#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/symbol.h"

#include "base/banned.h"

struct watched {
    struct loop *loop;
    uint64_t last_us; // what the last look saw
    bool told;        // of the callback that runs now
};

struct watchdog {
    struct thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t roused;
    bool stopping, stirred; // a loop has begun a turn since they were all found waiting
    uint32_t limit_ms;
    _Atomic uint64_t stalls;
    size_t len;
    struct watched watched[];
};

static void look_at(struct watchdog *w, struct watched *at)
{
    void (*function)(void);
    uint64_t us;
    char name[128];
    if (!loop_running(at->loop, &function, &us)) {
        at->last_us = 0;
        at->told = false;
        return;
    }
    if (us < at->last_us)
        at->told = false; // another callback than the one before
    at->last_us = us;
    if (us < (uint64_t)w->limit_ms * 1000 || at->told)
        return;
    at->told = true;
    atomic_fetch_add(&w->stalls, 1);
    log_write(LOG_WARN, "loop stalled",
              LOG_Z("callback", function ? symbol_name(function, name, sizeof name) : "?"),
              LOG_I("for_ms", us / 1000));
}

// On a loop's thread.
static void stir(void *ctx)
{
    struct watchdog *w = ctx;
    pthread_mutex_lock(&w->mutex);
    w->stirred = true;
    pthread_cond_signal(&w->roused);
    pthread_mutex_unlock(&w->mutex);
}

// While no loop does anything there is nothing to look at.
static void sleep_while_all_wait(struct watchdog *w)
{
    bool all_wait = true;
    pthread_mutex_lock(&w->mutex);
    w->stirred = false;
    pthread_mutex_unlock(&w->mutex);
    for (size_t i = 0; all_wait && i < w->len; i++)
        all_wait = loop_stir_once(w->watched[i].loop, stir, w);
    pthread_mutex_lock(&w->mutex);
    while (all_wait && !w->stirred && !w->stopping)
        pthread_cond_wait(&w->roused, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
}

// Wait for `ms`; true when it is time to stop.
static bool wait_ms(struct watchdog *w, uint32_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->mutex);
    int waited = 0;
    while (!w->stopping && waited == 0)
        waited = pthread_cond_timedwait(&w->roused, &w->mutex, &until);
    bool stopping = w->stopping;
    pthread_mutex_unlock(&w->mutex);
    return stopping;
}

static void watch(void *ctx)
{
    struct watchdog *w = ctx;
    uint32_t period_ms = w->limit_ms / 2 ? w->limit_ms / 2 : 1;
    do {
        for (size_t i = 0; i < w->len; i++)
            look_at(w, &w->watched[i]);
        sleep_while_all_wait(w);
    } while (!wait_ms(w, period_ms));
    for (size_t i = 0; i < w->len; i++)
        loop_stir_quiet(w->watched[i].loop);
}

static void watchdog_free(struct watchdog *w)
{
    pthread_cond_destroy(&w->roused);
    pthread_mutex_destroy(&w->mutex);
    mem_free(w);
}

enum err watchdog_start(struct loop *const *loops, size_t len, uint32_t limit_ms,
                        struct watchdog **ret, struct diag *d)
{
    struct watchdog *w = mem_zalloc(sizeof *w + len * sizeof w->watched[0]);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->roused, NULL);
    w->limit_ms = limit_ms;
    w->len = len;
    for (size_t i = 0; i < len; i++)
        w->watched[i].loop = loops[i];
    enum err e = thread_start(&w->thread, "watchdog", watch, w, d);
    if (e != ERR_OK) {
        watchdog_free(w);
        return e;
    }
    *ret = w;
    return ERR_OK;
}

void watchdog_stop(struct watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    w->stopping = true;
    pthread_cond_signal(&w->roused);
    pthread_mutex_unlock(&w->mutex);
    thread_join(&w->thread);
    watchdog_free(w);
}

uint64_t watchdog_stalls(const struct watchdog *w)
{
    return atomic_load(&w->stalls);
}
