#include "engine/kernel/team.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "base/thread.h"
#include "engine/kernel/fpmode.h"
#include "engine/kernel/progress.h"

#include "base/banned.h"

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
    struct progress job;   // a new work (or stop) is there
    struct progress phase; // the barrier opened
    _Alignas(64) atomic_uint arrived;
};

void team_barrier(struct team *t)
{
    if (t->size == 1)
        return;
    unsigned phase = atomic_load_explicit(&t->phase.value, memory_order_relaxed);
    if (atomic_fetch_add(&t->arrived, 1) + 1 < t->size) {
        progress_wait(&t->phase, phase);
        return;
    }
    atomic_store(&t->arrived, 0);
    progress_advance(&t->phase);
}

static void member_main(void *arg)
{
    struct member *me = arg;
    struct team *t = me->team;
    fpmode_enter();
    for (unsigned seen = 0;; seen++) {
        progress_wait(&t->job, seen);
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
        progress_advance(&t->job);
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
    progress_init(&t->job);
    progress_init(&t->phase);
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
    progress_advance(&t->job);
    for (size_t i = 1; i < t->size; i++)
        thread_join(&t->members[i].thread);
    progress_done(&t->job);
    progress_done(&t->phase);
    mem_free(t->members);
    mem_free(t);
}

size_t team_size(const struct team *t)
{
    return t->size;
}
