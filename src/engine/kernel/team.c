#include "engine/kernel/team.h"

#include <limits.h>
#include <stdatomic.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#include <pthread.h>
#endif

#include "base/mem.h"
#include "base/thread.h"
#include "engine/kernel/fpmode.h"

#include "base/banned.h"

// Turns of the spin loop before sleeping. At most some tens of microseconds: longer than the gap
// between two steps of a busy engine, shorter than anybody would notice. Each thread spins less
// when spinning was in vain (the machine is shared, the other members do not run) and more when it
// was nearly too short.
#define SPIN_TURNS_MIN 100
#define SPIN_TURNS_MAX 4000

static _Thread_local unsigned spin_turns = SPIN_TURNS_MAX;

// A counter that members wait on: when it changes, whoever slept is woken.
struct signal {
    _Alignas(64) atomic_uint value;
    atomic_uint sleepers;
#if !defined(__linux__)
    pthread_mutex_t lock;
    pthread_cond_t changed;
#endif
};

struct member {
    struct team *team;
    struct thread thread;
    size_t index;
};

struct team {
    size_t size;
    struct member *members; // [1 .. size-1] are threads
    void (*work)(void *ctx, size_t member, size_t size);
    void *ctx;
    bool stop;
    struct signal job;   // a new work (or stop) is there
    struct signal phase; // the barrier opened
    _Alignas(64) atomic_uint arrived;
};

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

#if defined(__linux__)
static void signal_init(struct signal *s)
{
    atomic_init(&s->value, 0);
    atomic_init(&s->sleepers, 0);
}

static void signal_done(struct signal *s)
{
    (void)s;
}

static void signal_sleep(struct signal *s, unsigned old)
{
    atomic_fetch_add(&s->sleepers, 1);
    while (atomic_load(&s->value) == old)
        syscall(SYS_futex, &s->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&s->sleepers, 1);
}

static void signal_bump(struct signal *s)
{
    atomic_fetch_add(&s->value, 1);
    if (atomic_load(&s->sleepers) > 0)
        syscall(SYS_futex, &s->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
static void signal_init(struct signal *s)
{
    atomic_init(&s->value, 0);
    atomic_init(&s->sleepers, 0);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
}

static void signal_done(struct signal *s)
{
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
}

static void signal_sleep(struct signal *s, unsigned old)
{
    pthread_mutex_lock(&s->lock);
    while (atomic_load(&s->value) == old)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void signal_bump(struct signal *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_fetch_add(&s->value, 1);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}
#endif

static void signal_wait(struct signal *s, unsigned old)
{
    for (unsigned i = 0; i < spin_turns; i++) {
        if (atomic_load_explicit(&s->value, memory_order_acquire) != old) {
            if (i > spin_turns / 2 && spin_turns < SPIN_TURNS_MAX)
                spin_turns *= 2;
            return;
        }
        spin_pause();
    }
    if (spin_turns > SPIN_TURNS_MIN)
        spin_turns /= 2;
    signal_sleep(s, old);
}

void team_barrier(struct team *t)
{
    if (t->size == 1)
        return;
    unsigned phase = atomic_load_explicit(&t->phase.value, memory_order_relaxed);
    if (atomic_fetch_add(&t->arrived, 1) + 1 < t->size) {
        signal_wait(&t->phase, phase);
        return;
    }
    atomic_store(&t->arrived, 0);
    signal_bump(&t->phase);
}

static void member_main(void *arg)
{
    struct member *me = arg;
    struct team *t = me->team;
    fpmode_enter();
    for (unsigned seen = 0;; seen++) {
        signal_wait(&t->job, seen);
        if (t->stop)
            return;
        t->work(t->ctx, me->index, t->size);
        team_barrier(t);
    }
}

void team_run(struct team *t, void (*work)(void *ctx, size_t member, size_t size), void *ctx)
{
    uint64_t mode = fpmode_enter();
    t->work = work;
    t->ctx = ctx;
    if (t->size > 1)
        signal_bump(&t->job);
    work(ctx, 0, t->size);
    team_barrier(t);
    fpmode_leave(mode);
}

enum err team_new(size_t threads, struct team **ret, struct diag *d)
{
    if (threads < 1 || threads > 1024)
        return diag_set(d, ERR_INVALID, "%zu compute threads: between 1 and 1024 are possible",
                        threads);
    struct team *t = mem_aligned(64, sizeof *t);
    *t = (struct team){.size = threads};
    signal_init(&t->job);
    signal_init(&t->phase);
    t->members = mem_array(threads, sizeof *t->members);
    for (size_t i = 1; i < threads; i++) {
        struct member *m = &t->members[i];
        m->team = t;
        m->index = i;
        enum err e = thread_start(&m->thread, "weir-compute", member_main, m, d);
        if (e != ERR_OK) {
            team_free(t);
            return e;
        }
    }
    *ret = t;
    return ERR_OK;
}

void team_free(struct team *t)
{
    if (!t)
        return;
    t->stop = true;
    signal_bump(&t->job);
    for (size_t i = 1; i < t->size; i++)
        thread_join(&t->members[i].thread);
    signal_done(&t->job);
    signal_done(&t->phase);
    mem_free(t->members);
    mem_free(t);
}

size_t team_size(const struct team *t)
{
    return t->size;
}
