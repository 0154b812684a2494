#include "engine/scheduler.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/kernel/team.h"
#include "engine/residence.h"

#include "base/banned.h"

enum { IDLE_LOOK_MS = 1000 };

static size_t pow2_at_least(size_t n)
{
    size_t p = 64;
    while (p < n)
        p *= 2;
    return p;
}

void scheduler_init(struct scheduler *s, const struct engine_options *o)
{
    *s = (struct scheduler){.options = *o};
    s->door = door_new();
    ring_mpsc_init(&s->inbox, pow2_at_least(o->queue_max));
    pthread_mutex_init(&s->turn, NULL);
    pthread_mutex_init(&s->next_turn, NULL);
    tenants_init(&s->tenants);
    s->budget.bytes_max = o->kv_bytes_max;
    size_t rows = o->step_tokens_max > o->sequences_max + KV_BLOCK_TOKENS
                      ? o->step_tokens_max
                      : o->sequences_max + KV_BLOCK_TOKENS;
    rows += o->step_tokens_max; // held ones beside answers that came later
    s->step.rows = mem_array(rows, sizeof *s->step.rows);
    s->step.plans = mem_array(o->sequences_max, sizeof *s->step.plans);
    s->step.turn = mem_array(o->sequences_max, sizeof(struct engine_job *));
    s->step.tasks_max = o->sequences_max + SCORING_ROWS_MAX + DRAFT_ROWS_MAX;
    s->step.tasks = mem_array(s->step.tasks_max, sizeof *s->step.tasks);
    s->step.outcomes = mem_array(s->step.tasks_max, sizeof *s->step.outcomes);
    buf_init(&s->text, SIZE_MAX); // bounded by pieces and stop strings
    buf_init(&s->piece, SIZE_MAX);
    atomic_store(&s->counters.last_step_ms, clock_mono_ms());
}

void scheduler_done(struct scheduler *s)
{
    ring_mpsc_done(&s->inbox);
    pthread_mutex_destroy(&s->turn);
    pthread_mutex_destroy(&s->next_turn);
    tenants_done(&s->tenants);
    mem_free(s->step.rows);
    mem_free(s->step.plans);
    mem_free(s->step.turn);
    mem_free(s->step.logits);
    mem_free(s->step.hidden);
    mem_free(s->step.tasks);
    mem_free(s->step.outcomes);
    for (size_t i = 0; s->sampling && i < team_size(s->team); i++)
        sample_scratch_done(&s->sampling[i]);
    mem_free(s->sampling);
    buf_done(&s->text);
    buf_done(&s->piece);
    door_drop(s->door);
}

// --- Any thread

bool scheduler_take_place(struct lane *l)
{
    struct scheduler *s = l->scheduler;
    if (atomic_fetch_add(&s->n_queued, 1) < s->options.queue_max) {
        atomic_fetch_add(&l->counters.n_queued, 1);
        return true;
    }
    atomic_fetch_sub(&s->n_queued, 1);
    return false;
}

void scheduler_give_up_place(struct lane *l)
{
    atomic_fetch_sub(&l->counters.n_queued, 1);
    atomic_fetch_sub(&l->scheduler->n_queued, 1);
}

// From now on a step is due: the heart's age counts from here.
static void end_idle(struct scheduler *s)
{
    if (!atomic_load(&s->counters.idle))
        return;
    atomic_store(&s->counters.last_step_ms, clock_mono_ms());
    atomic_store(&s->counters.idle, false);
}

void scheduler_submit(struct scheduler *s, struct engine_job *j)
{
    bool pushed = ring_mpsc_push(&s->inbox, j);
    ASSERT(pushed); // a place was taken, and the ring has as many
    end_idle(s);
    park_signal(&s->door->park);
}

// When about an eighth of the queue should have drained.
uint32_t scheduler_retry_ms(const struct scheduler *s)
{
    double ms = atomic_load(&s->counters.ms_between_ends) * s->options.queue_max / 8;
    return ms < 100 ? 100 : ms > 30000 ? 30000 : (uint32_t)ms;
}

// Two locks make it a queue of two: the thread, about to begin its next turn, lets a waiting caller
// go first.
static void lock_turn(struct scheduler *s)
{
    pthread_mutex_lock(&s->next_turn);
    pthread_mutex_lock(&s->turn);
    pthread_mutex_unlock(&s->next_turn);
}

void scheduler_pause(struct scheduler *s)
{
    atomic_fetch_add(&s->n_pausing, 1);
    lock_turn(s);
}

void scheduler_resume(struct scheduler *s)
{
    pthread_mutex_unlock(&s->turn);
    atomic_store(&s->counters.last_step_ms, clock_mono_ms());
    atomic_fetch_sub(&s->n_pausing, 1);
    park_signal(&s->door->park);
}

// --- The thread

static struct lane *lane_of(struct scheduler *s, const struct engine_job *j)
{
    for (size_t i = 0; i < s->n_lanes; i++)
        if (s->lanes[i]->engine_model == j->model)
            return s->lanes[i];
    ASSERT(!"a job's model is loaded");
    return NULL;
}

static void take_inbox(struct scheduler *s)
{
    for (struct engine_job *j; (j = ring_mpsc_pop(&s->inbox));) {
        struct sequence *q = &j->seq;
        q->order = ++s->last_order;
        q->tenant = tenants_enter(&s->tenants, j->request.tenant, kv_new_serial(&s->budget));
        q->serial = q->tenant->root;
        tenants_queue(&s->tenants, j);
        if (j->end.error) // found while its text was made tokens
            lane_end(lane_of(s, j), j, ENGINE_FINISH_ERROR);
        else
            sampler_see_prompt(&q->sampler, q->tokens, q->n_prompt);
    }
}

static void leave_out_one(struct scheduler *s, struct engine_job *j, uint64_t now_ms)
{
    uint64_t deadline = j->request.deadline_ms;
    if (atomic_load(&j->is_cancelled)) {
        lane_end(lane_of(s, j), j, ENGINE_FINISH_CANCELLED);
    } else if (deadline && now_ms >= deadline) {
        diag_set(job_diag(j), ERR_TIMEOUT, "the request's time was up while it waited");
        lane_end(lane_of(s, j), j, ENGINE_FINISH_ERROR);
    }
}

static void leave_out_the_gone(struct scheduler *s)
{
    uint64_t now_ms = clock_mono_ms();
    for (size_t i = 0; s->tenants.n_waiting && i < s->tenants.n; i++)
        for (struct engine_job *j = s->tenants.all[i]->first, *next; j; j = next) {
            next = j->seq.next;
            leave_out_one(s, j, now_ms);
        }
}

static void publish_gauges(struct scheduler *s)
{
    for (size_t i = 0; i < s->n_lanes; i++) {
        struct lane *l = s->lanes[i];
        struct lane_counters *c = &l->counters;
        struct kv_counts k = kv_counts(l->kv);
        uint32_t waiting = s->tenants.n_waiting ? tenants_waiting(&s->tenants, l->engine_model) : 0;
        atomic_store_explicit(&c->kv_total, k.total, memory_order_relaxed);
        atomic_store_explicit(&c->kv_used, k.used, memory_order_relaxed);
        atomic_store_explicit(&c->kv_cached, k.cached, memory_order_relaxed);
        atomic_store_explicit(&c->running, l->n_running, memory_order_relaxed);
        atomic_store_explicit(&c->waiting, waiting, memory_order_relaxed);
    }
    atomic_store_explicit(&s->counters.last_step_ms, clock_mono_ms(), memory_order_relaxed);
}

static bool take_turn(struct scheduler *s)
{
    bool worked = false;
    for (size_t i = 0; i < s->n_lanes; i++) {
        take_inbox(s);
        leave_out_the_gone(s);
        if (s->lanes[i]->model)
            worked |= lane_step(s->lanes[i]);
        else
            residence_want(s->residence, s->lanes[i]);
    }
    publish_gauges(s);
    return worked;
}

// While nobody wants anything: who is the first to touch a page waits for it, for long where the
// machine is a guest that has to ask its host for the page. One block, so that who comes now waits
// no longer than for that.
static bool touch_ahead(struct scheduler *s)
{
    for (size_t i = 0; i < s->n_lanes; i++)
        if (s->lanes[i]->model && kv_touch_ahead(s->lanes[i]->kv, s->lanes[i]->blocks_ahead))
            return true;
    return false;
}

static uint64_t sooner(const struct engine_job *j, uint64_t than)
{
    uint64_t deadline = j->request.deadline_ms;
    return deadline && deadline < than ? deadline : than;
}

// When it has rested for long, should others wait for its place.
static uint64_t sooner_if_resting(const struct engine_job *j, uint64_t now, uint64_t than)
{
    uint64_t since = j->seq.resting_since_ms, until = since + REST_MAX_MS;
    return since && until > now && until < than ? until : than;
}

// Until the next deadline, or the next look; with nobody to look after, until somebody comes.
static uint32_t rest_ms(const struct scheduler *s)
{
    if (s->n_running == 0 && s->tenants.n_waiting == 0)
        return PARK_FOREVER;
    uint64_t now = clock_mono_ms(), until = now + IDLE_LOOK_MS;
    for (size_t i = 0; i < s->tenants.n; i++)
        for (struct engine_job *j = s->tenants.all[i]->first; j; j = j->seq.next)
            until = sooner(j, until);
    for (size_t i = 0; i < s->n_lanes; i++)
        for (uint32_t k = 0; k < s->lanes[i]->n_running; k++)
            until = sooner_if_resting(s->lanes[i]->running[k], now,
                                      sooner(s->lanes[i]->running[k], until));
    return until > now ? (uint32_t)(until - now) : 0;
}

static void end_all(struct scheduler *s)
{
    take_inbox(s);
    for (size_t i = 0; i < s->tenants.n; i++)
        while (s->tenants.all[i]->first) {
            struct engine_job *j = s->tenants.all[i]->first;
            lane_end(lane_of(s, j), j, ENGINE_FINISH_CANCELLED);
        }
    for (size_t i = 0; i < s->n_lanes; i++)
        while (s->lanes[i]->n_running)
            lane_end(s->lanes[i], s->lanes[i]->running[0], ENGINE_FINISH_CANCELLED);
}

static void rest(struct scheduler *s, uint32_t ms)
{
    atomic_store(&s->counters.idle, ms == PARK_FOREVER);
    park_wait(&s->door->park, ms);
    end_idle(s);
}

static void run(void *arg)
{
    struct scheduler *s = arg;
    while (!atomic_load(&s->stop)) {
        lock_turn(s);
        bool worked = take_turn(s);
        uint32_t ms = worked ? 0 : rest_ms(s);
        worked = worked || (ms == PARK_FOREVER && touch_ahead(s));
        pthread_mutex_unlock(&s->turn);
        if (!worked)
            rest(s, ms);
    }
    end_all(s);
    publish_gauges(s);
}

enum err scheduler_start(struct scheduler *s, struct team *team, const struct kernel *k,
                         struct diag *d)
{
    s->team = team;
    s->sampling = mem_array(team_size(team), sizeof *s->sampling);
    for (size_t i = 0; i < team_size(team); i++)
        s->sampling[i].sampler.kernel = k;
    return thread_start(&s->thread, "weir-engine", run, s, d);
}

void scheduler_stop(struct scheduler *s)
{
    atomic_store(&s->stop, true);
    park_signal(&s->door->park);
    thread_join(&s->thread);
}
