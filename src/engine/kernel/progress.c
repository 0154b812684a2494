#include "engine/kernel/progress.h"

#include <limits.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/base.h"

#include "base/banned.h"

// Turns of the spin loop before sleeping. At most some tens of microseconds: longer than the gap
// between two steps of a busy engine, shorter than anybody would notice. Each thread spins less
// when spinning was in vain (the machine is shared, the other members do not run) and more when it
// was nearly too short.
#define SPIN_TURNS_MIN 100
#define SPIN_TURNS_MAX 4000

static _Thread_local unsigned spin_turns = SPIN_TURNS_MAX;

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#if defined(__linux__)
void progress_init(struct progress *p)
{
    atomic_init(&p->value, 0);
    atomic_init(&p->sleepers, 0);
}

void progress_done(struct progress *p)
{
    (void)p;
}

static void sleep_past(struct progress *p, unsigned old)
{
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->value) == old)
        syscall(SYS_futex, &p->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&p->sleepers, 1);
}

void progress_advance(struct progress *p)
{
    atomic_fetch_add(&p->value, 1);
    if (atomic_load(&p->sleepers) > 0)
        syscall(SYS_futex, &p->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
void progress_init(struct progress *p)
{
    atomic_init(&p->value, 0);
    atomic_init(&p->sleepers, 0);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
}

void progress_done(struct progress *p)
{
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->changed);
}

static void sleep_past(struct progress *p, unsigned old)
{
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->value) == old)
        pthread_cond_wait(&p->changed, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

void progress_advance(struct progress *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->value, 1);
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}
#endif

void progress_wait(struct progress *p, unsigned old)
{
    for (unsigned i = 0; i < spin_turns; i++) {
        if (atomic_load_explicit(&p->value, memory_order_acquire) != old) {
            if (i > spin_turns / 2 && spin_turns < SPIN_TURNS_MAX)
                spin_turns *= 2;
            return;
        }
        spin_pause();
    }
    if (spin_turns > SPIN_TURNS_MIN)
        spin_turns /= 2;
    sleep_past(p, old);
}

void progress_reach(struct progress *p, unsigned least)
{
    for (unsigned v; (v = atomic_load_explicit(&p->value, memory_order_acquire)) < least;)
        progress_wait(p, v);
}

void progress_reset(struct progress *p)
{
    atomic_store_explicit(&p->value, 0, memory_order_relaxed);
}
