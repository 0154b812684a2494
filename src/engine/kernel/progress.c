#include "engine/kernel/progress.h"

#include <limits.h>
#include <sched.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "base/base.h"
#include "base/clock.h"

#include "base/banned.h"

// How long a thread waits awake. To be woken takes some tens of microseconds, and whoever wakes it
// pays as much: far more than most steps of a pass with one row. So it is awake through the gaps of
// a busy engine. After the first microseconds it offers its CPU to others at each turn: where
// somebody took it (there are more threads than CPUs, maybe the awaited one was among them) it goes
// to sleep, and sooner the next times.
#define SPIN_NS        4000
#define AWAKE_NS_MAX   256000
#define SPIN_TURNS     16    // between two looks at the clock
#define YIELD_TAKEN_NS 10000 // longer than a yield that nobody takes

// A yield as long as this gave the CPU to somebody who has much to do, and who would get it again
// and again: a sleeper that is woken has precedence over him.
#define YIELD_LOST_NS 1000000
#define SHY_WAITS     64 // that many waits go without yielding then

static _Thread_local uint64_t awake_ns = AWAKE_NS_MAX;
static _Thread_local unsigned shy_waits;

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

static inline bool changed(const struct progress *p, unsigned old)
{
    return atomic_load_explicit(&p->value, memory_order_acquire) != old;
}

// Waits awake; false when it was in vain.
static bool wait_awake(struct progress *p, unsigned old)
{
    uint64_t start = clock_mono_ns(), now = start;
    while (now - start < SPIN_NS) {
        for (int i = 0; i < SPIN_TURNS; i++) {
            if (changed(p, old))
                return true;
            spin_pause();
        }
        now = clock_mono_ns();
    }
    if (shy_waits > 0) {
        shy_waits--;
        return false;
    }
    while (now - start < awake_ns) {
        uint64_t before = now;
        sched_yield();
        now = clock_mono_ns();
        if (now - before > YIELD_LOST_NS)
            shy_waits = SHY_WAITS;
        if (changed(p, old))
            return true;
        if (now - before > YIELD_TAKEN_NS)
            awake_ns = max_size(awake_ns / 2, SPIN_NS);
    }
    return false;
}

void progress_wait(struct progress *p, unsigned old)
{
    if (changed(p, old) || wait_awake(p, old))
        return;
    uint64_t start = clock_mono_ns();
    sleep_past(p, old);
    if (clock_mono_ns() - start < AWAKE_NS_MAX)
        awake_ns = min_size(2 * awake_ns, AWAKE_NS_MAX);
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
