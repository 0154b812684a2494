#include "engine/lane.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/scheduler.h"

#include "base/banned.h"

// As many blocks as a whole context takes, within reason. On a device they are not this machine's
// pages.
static uint32_t blocks_ahead(const struct model *m)
{
    uint64_t most = KV_AHEAD_BYTES_MAX / model_kv_block_bytes(m);
    uint32_t context = kv_blocks_for(model_hparams(m)->n_ctx);
    return model_is_on_device(m) ? 0 : context < most ? context : (uint32_t)most;
}

enum err lane_init(struct lane *l, struct scheduler *s, const struct engine_model *m,
                   struct model *model, struct diag *d)
{
    size_t rows_max = model_rows_max(model);
    ASSERT(rows_max > CHUNK_MIN);
    uint32_t want = s->options.sequences_max + CHUNK_MIN;
    want = want > s->options.step_tokens_max ? want : s->options.step_tokens_max;
    *l = (struct lane){
        .scheduler = s,
        .engine_model = m,
        .model = model,
        .blocks_ahead = blocks_ahead(model),
        .n_vocab = model_hparams(model)->n_vocab,
        .n_embd = model_hparams(model)->n_embd,
        .speed_now = 1,
        .rows_max = want < rows_max ? want : (uint32_t)rows_max,
    };
    l->loaded_ms = l->used_ms = clock_mono_ms();
    l->running_cap = l->rows_max - CHUNK_MIN;
    if (l->running_cap > s->options.sequences_max)
        l->running_cap = s->options.sequences_max;
    ERR_TRY(kv_new(&s->budget, model_kv_block_bytes(model), model_kv_room(model), &l->kv, d));
    l->running = mem_array(l->running_cap, sizeof(struct engine_job *));
    return ERR_OK;
}

void lane_done(struct lane *l)
{
    ASSERT(l->n_running == 0);
    drafter_free(l->drafter);
    l->drafter = NULL;
    kv_free(l->kv);
    mem_free(l->running);
    l->kv = NULL;
    l->running = NULL;
}

uint32_t lane_positions_max(const struct lane *l)
{
    uint64_t positions = (uint64_t)kv_counts(l->kv).total * KV_BLOCK_TOKENS;
    return positions < UINT32_MAX ? (uint32_t)positions : UINT32_MAX;
}

// --- Coming and going

bool lane_may_reuse(const struct lane *l, const struct engine_job *j)
{
    return l->scheduler->options.prefix_cache && !j->request.prompt_logprobs &&
           !j->request.embedding;
}

void lane_append_block(struct sequence *q, uint32_t block)
{
    if (q->n_blocks == q->blocks_cap) {
        q->blocks_cap = q->blocks_cap ? q->blocks_cap * 2 : 8;
        q->blocks = mem_resize(q->blocks, q->blocks_cap, sizeof *q->blocks);
    }
    q->blocks[q->n_blocks++] = block;
}

void lane_adopt_prefix(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    uint32_t before = q->n_done, block;
    uint64_t serial;
    if (!lane_may_reuse(l, j) || q->n_done % KV_BLOCK_TOKENS != 0 || q->n_published != q->n_blocks)
        return;
    while (q->n_done + KV_BLOCK_TOKENS < q->n_tokens &&
           kv_find(l->kv, q->serial, q->tokens + q->n_done, &block, &serial)) {
        if (q->n_promised > 0) {
            kv_unpromise(l->kv, 1);
            q->n_promised--;
        }
        lane_append_block(q, block);
        q->n_done += KV_BLOCK_TOKENS;
        q->n_published++;
        q->serial = serial;
    }
    uint32_t known = before > q->n_reached ? before : q->n_reached;
    uint32_t hits = q->n_done > known ? q->n_done - known : 0;
    if (hits && q->n_tokens == q->n_prompt) {
        q->n_cached += hits;
        l->counters.prefix_hit_tokens += hits;
    }
}

static void give_up_blocks(struct lane *l, struct sequence *q)
{
    if (l->drafter)
        drafter_forget(l->drafter, q);
    kv_unpromise(l->kv, q->n_promised);
    while (q->n_blocks > 0)
        kv_drop(l->kv, q->blocks[--q->n_blocks]);
    q->n_promised = q->n_done = q->n_published = 0;
    q->serial = q->tenant->root;
}

static void insert_by_age(struct lane *l, struct engine_job *j)
{
    uint32_t at = l->n_running++;
    for (; at > 0 && l->running[at - 1]->seq.order > j->seq.order; at--)
        l->running[at] = l->running[at - 1];
    l->running[at] = j;
    j->seq.is_running = true;
    j->seq.resting_since_ms = 0;
    l->scheduler->n_running++;
}

void lane_remove(struct lane *l, struct engine_job *j)
{
    uint32_t at = 0;
    while (l->running[at] != j)
        at++;
    l->n_running--;
    l->held = l->held == j ? NULL : l->held;
    for (; at < l->n_running; at++)
        l->running[at] = l->running[at + 1];
    j->seq.is_running = false;
    l->scheduler->n_running--;
    give_up_blocks(l, &j->seq);
}

static void tell_started(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    q->was_started = true;
    q->started_us = clock_mono_us();
    scheduler_give_up_place(l);
    if (lane_may_reuse(l, j))
        l->counters.prefix_query_tokens += q->n_prompt;
    job_open_events(j, engine_model_record_bytes(j->model, &j->request));
    job_tell(j, &(struct engine_event){.type = ENGINE_STARTED,
                                       .prompt_tokens = q->n_prompt,
                                       .cached_tokens = q->n_cached,
                                       .seed = j->request.seed});
    job_ring(j);
}

// Blocks for all its tokens are promised, and one more must be free for each sequence that runs:
// else it would soon be preempted again.
static bool start(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    uint32_t cached_before = q->n_cached;
    lane_adopt_prefix(l, j);
    uint32_t need = kv_blocks_for(q->n_tokens) - q->n_blocks;
    if (kv_available(l->kv) < need + l->n_running) {
        l->counters.prefix_hit_tokens -= q->n_cached - cached_before;
        q->n_cached = cached_before;
        give_up_blocks(l, q);
        return false;
    }
    q->n_promised = need;
    kv_promise(l->kv, need);
    tenants_unqueue(&l->scheduler->tenants, j);
    insert_by_age(l, j);
    if (!q->was_started)
        tell_started(l, j);
    return true;
}

static bool has_seat(const struct lane *l)
{
    const struct scheduler *s = l->scheduler;
    return l->n_running < l->running_cap && s->n_running < s->options.sequences_max;
}

static struct engine_job *longest_resting(const struct lane *l, struct engine_job *than)
{
    for (uint32_t i = 0; i < l->n_running; i++) {
        struct engine_job *j = l->running[i];
        uint64_t since = j->seq.resting_since_ms;
        if (since && atomic_load(&j->is_resting) && (!than || since < than->seq.resting_since_ms))
            than = j;
    }
    return than;
}

// A sequence whose reader has been away for long gives up its seat and its blocks, and goes on when
// it is read again. A seat in this lane only helps if it is this lane that is full.
static bool give_place_of_resting(struct lane *l)
{
    struct scheduler *s = l->scheduler;
    struct engine_job *j = longest_resting(l, NULL);
    struct lane *of = l;
    for (size_t i = 0; i < s->n_lanes && l->n_running < l->running_cap; i++) {
        struct engine_job *longer = longest_resting(s->lanes[i], j);
        if (longer != j) {
            j = longer;
            of = s->lanes[i];
        }
    }
    if (!j || clock_mono_ms() - j->seq.resting_since_ms < REST_MAX_MS)
        return false;
    lane_preempt(of, j);
    return true;
}

bool lane_spare_drafts(struct scheduler *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n_lanes; i++) {
        struct lane *l = s->lanes[i];
        for (uint32_t k = 0; l->drafter && k < l->n_running; k++)
            any |= drafter_forget(l->drafter, &l->running[k]->seq);
    }
    return any;
}

// Strictly in turn: a job that does not fit yet is not overtaken, or it might never fit.
static void admit(struct lane *l)
{
    struct scheduler *s = l->scheduler;
    if (l->closing || (s->starved && s->starved != l))
        return;
    s->starved = NULL;
    while (s->tenants.n_waiting > 0) {
        struct engine_job *j = tenants_next(&s->tenants, l->engine_model);
        if (!j)
            return;
        bool seated = has_seat(l);
        if (seated && start(l, j))
            continue;
        if (seated && lane_spare_drafts(s))
            continue;
        if (give_place_of_resting(l))
            continue;
        s->starved = seated && l->n_running == 0 ? l : NULL;
        return;
    }
}

// Waits for its reader: not one that has read and is about to say so, which may have rows in this
// step already.
static bool is_at_rest(const struct engine_job *j)
{
    return j->seq.resting_since_ms && atomic_load(&j->is_resting);
}

// The youngest, but first of all one that waits for its reader and would not advance anyway.
static struct engine_job *victim(const struct lane *l)
{
    for (uint32_t i = l->n_running; i-- > 0;)
        if (is_at_rest(l->running[i]))
            return l->running[i];
    return l->running[l->n_running - 1];
}

void lane_preempt(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    q->n_reached = q->n_done > q->n_reached ? q->n_done : q->n_reached;
    lane_remove(l, j);
    tenants_queue_first(&l->scheduler->tenants, j);
    l->counters.preemptions++;
}

struct engine_job *lane_preempt_one(struct lane *l)
{
    struct engine_job *j = victim(l);
    lane_preempt(l, j);
    return j;
}

static void leave_out_the_gone(struct lane *l)
{
    uint64_t now_ms = clock_mono_ms();
    for (uint32_t i = l->n_running; i-- > 0;) {
        struct engine_job *j = l->running[i];
        uint64_t deadline = j->request.deadline_ms;
        if (atomic_load(&j->is_cancelled)) {
            lane_end(l, j, ENGINE_FINISH_CANCELLED);
        } else if (deadline && now_ms >= deadline) {
            diag_set(job_diag(j), ERR_TIMEOUT, "the request's time was up");
            lane_end(l, j, ENGINE_FINISH_ERROR);
        }
    }
}

// --- Computing it

// The line remembers hundreds of steps; machines change within some.
static void note_answers(struct lane *l, const struct step *s, double us)
{
    double base, per_row;
    if (speed_get(&l->speed, &base, &per_row)) {
        double now = us / (base + per_row * s->n_rows);
        now = now < 1.5 * l->speed_now ? now : 1.5 * l->speed_now;
        l->speed_now += (now - l->speed_now) * 0.3;
    }
    speed_note(&l->speed, s->n_rows, us);
    l->mixed_steps = 0;
}

static void note_beside(struct lane *l, const struct step *s, double us)
{
    double base, per_row;
    l->mixed_steps++;
    if (!speed_get(&l->speed, &base, &per_row))
        return;
    double usual = (base + per_row * (s->n_rows - s->prefill_rows)) * l->speed_now;
    pace_note(&l->beside, s->prefill_rows, us - usual);
}

static void note_speed(struct lane *l, const struct step *s, uint64_t us)
{
    if (!l->is_warm)
        l->is_warm = true; // the first pass touches its memory for the first time
    else if (s->holds)
        l->mixed_steps++;
    else if (s->prefill_rows == 0)
        note_answers(l, s, (double)us);
    else if (s->decode_rows == 0)
        pace_note(&l->alone, s->prefill_rows, (double)us);
    else
        note_beside(l, s, (double)us);
    if (s->decode_rows && us) {
        _Atomic double *rate = &l->scheduler->counters.decode_tokens_per_s;
        double now = s->answer_tokens * 1e6 / (double)us, before = atomic_load(rate);
        atomic_store(rate, before > 0 ? before + (now - before) * 0.05 : now);
    }
}

// The last plan comes again in the next step.
static void put_off_held(struct step *s)
{
    const struct plan *p = &s->plans[--s->n_plans];
    s->n_rows -= p->n_rows;
    s->n_tasks -= p->n_tasks;
}

// The stages of the held rows that the clock allows for, after the answers'.
static enum err forward_held(struct lane *l, struct step *s, uint64_t from_us, size_t *ret_bad_row)
{
    uint64_t until_us = s->holds_us ? from_us + s->holds_us : UINT64_MAX;
    const struct plan *p = &s->plans[s->n_plans - 1];
    size_t bad_row = SIZE_MAX;
    enum err e = model_forward_until(l->model, kv_pool(l->kv), s->rows + p->first_row, p->n_rows,
                                     until_us, &l->held_stage, &bad_row);
    if (bad_row != SIZE_MAX)
        *ret_bad_row = p->first_row + bad_row;
    if (e == ERR_OK && l->held_stage != MODEL_STAGE_DONE)
        put_off_held(s);
    else
        l->held = NULL;
    return e;
}

static enum err forward(struct lane *l, struct step *s, uint64_t from_us, size_t *ret_bad_row)
{
    size_t n = s->holds ? s->plans[s->n_plans - 1].first_row : s->n_rows;
    enum err e = ERR_OK;
    if (n > 0)
        e = model_forward(l->model, kv_pool(l->kv), s->rows, n, ret_bad_row);
    if (s->holds && e == ERR_OK)
        return forward_held(l, s, from_us, ret_bad_row);
    if (s->holds)
        put_off_held(s);
    return e;
}

static void compute(struct lane *l, struct step *s)
{
    struct scheduler *sched = l->scheduler;
    size_t bad_row = SIZE_MAX;
    uint64_t from_us = clock_mono_us();
    enum err e = forward(l, s, from_us, &bad_row);
    sample_step(l, s);
    lane_deliver(l, s, e, bad_row);
    uint64_t us = clock_mono_us() - from_us;
    note_speed(l, s, us);
    if (sched->observer.step)
        sched->observer.step(sched->observer.ctx, l->engine_model, s->prefill_rows, s->decode_rows,
                             us);
}

bool lane_step(struct lane *l)
{
    struct step *s = &l->scheduler->step;
    leave_out_the_gone(l);
    admit(l);
    lane_plan(l, s);
    if (s->n_rows == 0)
        return false;
    compute(l, s);
    l->used_ms = clock_mono_ms();
    l->scheduler->counters.steps++;
    return true;
}
