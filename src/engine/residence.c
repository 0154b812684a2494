#include "engine/residence.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/internal.h"

#include "base/banned.h"

enum { STAY_MS_DEFAULT = 2000, LOOK_AGAIN_MS = 10 };

static bool is_waited_for(const struct lane *l)
{
    return tenants_next(&l->scheduler->tenants, l->engine_model) != NULL;
}

// The least recently used of those that may go: idle ones first, and of the busy ones those that
// have had their time.
static struct lane *choose(const struct residence *r, const struct engine_model *of, bool busy)
{
    const struct scheduler *s = &r->engine->scheduler;
    uint64_t now = clock_mono_ms();
    struct lane *oldest = NULL;
    for (size_t i = 0; i < s->n_lanes; i++) {
        struct lane *l = s->lanes[i];
        if (!l->model || l->engine_model == of)
            continue;
        if (busy && l->closing) // once chosen it stays so: two that are in use must not both close
            return l;
        bool used = l->n_running > 0 || is_waited_for(l);
        if (used && (!busy || now - l->loaded_ms < r->stay_ms))
            continue;
        if (!oldest || l->used_ms < oldest->used_ms)
            oldest = l;
    }
    return oldest;
}

static uint64_t bytes_of_drafts(const struct engine *e)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < e->scheduler.n_lanes; i++)
        if (e->scheduler.lanes[i]->drafter)
            bytes += drafter_weight_bytes(e->scheduler.lanes[i]->drafter);
    return bytes;
}

static uint64_t bytes_in_memory(const struct engine *e)
{
    uint64_t bytes = bytes_of_drafts(e);
    for (size_t i = 0; i < e->scheduler.n_lanes; i++)
        if (e->scheduler.lanes[i]->model)
            bytes += model_weight_bytes(e->scheduler.lanes[i]->model);
    return bytes;
}

static struct model *take_weights(struct engine *e, struct lane *l)
{
    struct engine_model *m = lane_owner(l);
    struct model *taken = l->model;
    l->model = m->model = NULL;
    l->closing = false;
    if (e->scheduler.starved == l)
        e->scheduler.starved = NULL;
    atomic_store(&m->is_loaded, false);
    log_write(LOG_INFO, "model unloaded", LOG_S("model", m->info.name),
              LOG_I("weight_bytes", m->info.weight_bytes));
    return taken;
}

// What runs ends; but who has not read for long is put back, and computed again when he reads on.
static void close_lane(struct lane *l)
{
    uint64_t now = clock_mono_ms();
    l->closing = true;
    for (uint32_t i = l->n_running; i-- > 0;) {
        struct engine_job *j = l->running[i];
        uint64_t since = j->seq.resting_since_ms;
        if (since && atomic_load(&j->is_resting) && now - since >= REST_MAX_MS)
            lane_preempt(l, j);
    }
}

// Takes one model's weights if the bytes have no room yet: *ret_room says whether they have now.
static struct model *take_one(struct residence *r, const struct engine_model *of, uint64_t bytes,
                              bool *ret_room)
{
    struct engine *e = r->engine;
    struct model *taken = NULL;
    scheduler_pause(&e->scheduler);
    *ret_room = bytes_in_memory(e) + bytes <= r->bytes_max;
    struct lane *l = *ret_room ? NULL : choose(r, of, false);
    if (!l && !*ret_room)
        l = choose(r, of, true);
    if (l && l->n_running == 0)
        taken = take_weights(e, l);
    else if (l)
        close_lane(l);
    scheduler_resume(&e->scheduler);
    return taken;
}

static double megabytes(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

// Each model must have room beside all draft models, for these are never unloaded.
static enum err check_bound(const struct residence *r, uint64_t bytes, uint64_t draft_bytes,
                            struct diag *d)
{
    const struct scheduler *s = &r->engine->scheduler;
    uint64_t drafts = bytes_of_drafts(r->engine) + draft_bytes, most = bytes;
    for (size_t i = 0; i < s->n_lanes; i++) {
        uint64_t other = s->lanes[i]->engine_model->info.weight_bytes;
        most = other > most ? other : most;
    }
    if (bytes > r->bytes_max)
        return diag_set(d, ERR_LIMIT,
                        "its weights take %.1f MB, more than all models may have "
                        "(weights_bytes_max: %.1f MB)",
                        megabytes(bytes), megabytes(r->bytes_max));
    if (most + drafts > r->bytes_max)
        return diag_set(d, ERR_LIMIT,
                        "the largest model takes %.1f MB, and draft models, which stay in memory, "
                        "%.1f MB: more than all models may have (weights_bytes_max: %.1f MB)",
                        megabytes(most), megabytes(drafts), megabytes(r->bytes_max));
    return ERR_OK;
}

static enum err wait_for_room(struct residence *r, const struct engine_model *of, uint64_t bytes)
{
    bool room = r->bytes_max == 0;
    while (!room && !atomic_load(&r->stop)) {
        struct model *taken = take_one(r, of, bytes, &room);
        model_free(taken); // megabytes: not while the scheduler waits
        if (!room && !taken)
            usleep(LOOK_AGAIN_MS * 1000);
    }
    return room ? ERR_OK : ERR_CANCELLED;
}

enum err residence_make_room(struct residence *r, const struct engine_model *of, uint64_t bytes,
                             uint64_t draft_bytes, struct diag *d)
{
    if (r->bytes_max)
        ERR_TRY(check_bound(r, bytes, draft_bytes, d));
    return wait_for_room(r, of, bytes + draft_bytes);
}

enum err residence_make_room_for_guess(struct residence *r, const struct engine_model *of,
                                       uint64_t bytes)
{
    uint64_t drafts = bytes_of_drafts(r->engine);
    uint64_t most = r->bytes_max > drafts ? r->bytes_max - drafts : 0;
    return wait_for_room(r, of, bytes < most ? bytes : most);
}

void residence_want(struct residence *r, struct lane *l)
{
    if (l->wanted || !is_waited_for(l))
        return;
    l->wanted = true;
    l->wanted_ms = clock_mono_ms();
    park_signal(&r->park);
}

// --- The thread

// The one that has waited longest. Nobody is kept closed for one that nobody waits for any more.
static struct lane *next_wanted(struct engine *e)
{
    struct scheduler *s = &e->scheduler;
    struct lane *first = NULL;
    scheduler_pause(s);
    for (size_t i = 0; i < s->n_lanes; i++) {
        struct lane *l = s->lanes[i];
        l->closing = false;
        if (l->wanted && !is_waited_for(l))
            l->wanted = false;
        if (l->wanted && (!first || l->wanted_ms < first->wanted_ms))
            first = l;
    }
    scheduler_resume(s);
    return first;
}

static void give_weights(struct engine *e, struct lane *l, struct model *model)
{
    struct engine_model *m = lane_owner(l);
    scheduler_pause(&e->scheduler);
    l->model = m->model = model;
    l->wanted = l->is_warm = false;
    l->loaded_ms = l->used_ms = clock_mono_ms();
    atomic_store(&m->is_loaded, true);
    scheduler_resume(&e->scheduler);
    log_write(LOG_INFO, "model loaded", LOG_S("model", m->info.name),
              LOG_I("weight_bytes", m->info.weight_bytes),
              LOG_I("waited_ms", clock_mono_ms() - l->wanted_ms));
}

// It was loaded before; something is wrong with its file now. Who waits is told.
static void tell_failure(struct engine *e, struct lane *l, enum err why, const struct diag *d)
{
    struct engine_job *j;
    scheduler_pause(&e->scheduler);
    while ((j = tenants_next(&e->scheduler.tenants, l->engine_model))) {
        diag_set(job_diag(j), why, "the model could not be loaded again: %s", d->text);
        lane_end(l, j, ENGINE_FINISH_ERROR);
    }
    l->wanted = false;
    scheduler_resume(&e->scheduler);
}

static void load(struct residence *r, struct lane *l)
{
    struct engine *e = r->engine;
    struct engine_model *m = lane_owner(l);
    struct model *model = NULL;
    struct diag d = {0};
    pthread_mutex_lock(&e->loading); // one at a time, or two would fill one room
    enum err err = residence_make_room(r, m, m->info.weight_bytes, 0, &d);
    if (err == ERR_OK)
        err = engine_model_open_weights(m, e, &model, &d);
    if (err == ERR_OK)
        give_weights(e, l, model);
    else if (err != ERR_CANCELLED)
        tell_failure(e, l, err, &d);
    pthread_mutex_unlock(&e->loading);
}

static void run(void *arg)
{
    struct residence *r = arg;
    while (!atomic_load(&r->stop)) {
        struct lane *l = next_wanted(r->engine);
        if (l)
            load(r, l);
        else
            park_wait(&r->park, PARK_FOREVER);
    }
}

enum err residence_start(struct residence *r, struct engine *e, const struct engine_options *o,
                         struct diag *d)
{
    r->engine = e;
    r->bytes_max = o->weights_bytes_max;
    r->stay_ms = o->weights_stay_ms ? o->weights_stay_ms : STAY_MS_DEFAULT;
    park_init(&r->park);
    return r->bytes_max ? thread_start(&r->thread, "weir-residence", run, r, d) : ERR_OK;
}

void residence_stop(struct residence *r)
{
    atomic_store(&r->stop, true);
    park_signal(&r->park);
    thread_join(&r->thread);
}
