#include "engine/lane.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/scheduler.h"

#include "base/banned.h"

enum {
    CHUNK_MIN = KV_BLOCK_TOKENS, // prompts advance by whole blocks
    SCORING_ROWS_MAX = 64,       // rows a step whose logits only score a prompt
    STEP_TARGET_US = 50000,      // prompts are cut so that a step takes about so long
};

static uint32_t blocks_for(uint32_t positions)
{
    return (positions + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
}

// Each row of results begins on a cache line of its own.
static size_t padded(uint32_t floats)
{
    return ((size_t)floats + 15) & ~(size_t)15;
}

static uint32_t pending(const struct sequence *q)
{
    return q->n_tokens - q->n_done;
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
        .n_vocab = model_hparams(model)->n_vocab,
        .n_embd = model_hparams(model)->n_embd,
        .rows_max = want < rows_max ? want : (uint32_t)rows_max,
    };
    l->running_cap = l->rows_max - CHUNK_MIN;
    if (l->running_cap > s->options.sequences_max)
        l->running_cap = s->options.sequences_max;
    ERR_TRY(kv_new(&s->budget, model_kv_block_bytes(model), &l->kv, d));
    l->running = mem_array(l->running_cap, sizeof(struct engine_job *));
    return ERR_OK;
}

void lane_done(struct lane *l)
{
    ASSERT(l->n_running == 0);
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

static bool may_reuse(const struct lane *l, const struct engine_job *j)
{
    return l->scheduler->options.prefix_cache && !j->request.prompt_logprobs &&
           !j->request.embedding;
}

static void append_block(struct sequence *q, uint32_t block)
{
    if (q->n_blocks == q->blocks_cap) {
        q->blocks_cap = q->blocks_cap ? q->blocks_cap * 2 : 8;
        q->blocks = mem_resize(q->blocks, q->blocks_cap, sizeof *q->blocks);
    }
    q->blocks[q->n_blocks++] = block;
}

// Takes over whole blocks that others computed; the last token is always computed, for its logits.
static void adopt_prefix(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    uint32_t before = q->n_done, block;
    uint64_t serial;
    if (!may_reuse(l, j) || q->n_done % KV_BLOCK_TOKENS != 0 || q->n_published != q->n_blocks)
        return;
    while (q->n_done + KV_BLOCK_TOKENS < q->n_tokens &&
           kv_find(l->kv, q->serial, q->tokens + q->n_done, &block, &serial)) {
        if (q->n_promised > 0) {
            kv_unpromise(l->kv, 1);
            q->n_promised--;
        }
        append_block(q, block);
        q->n_done += KV_BLOCK_TOKENS;
        q->n_published++;
        q->serial = serial;
    }
    uint32_t hits = q->n_done - before;
    if (hits && q->n_tokens == q->n_prompt) {
        q->n_cached += hits;
        l->scheduler->counters.prefix_hit_tokens += hits;
    }
}

static void give_up_blocks(struct lane *l, struct sequence *q)
{
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
    l->scheduler->n_running++;
}

void lane_remove(struct lane *l, struct engine_job *j)
{
    uint32_t at = 0;
    while (l->running[at] != j)
        at++;
    l->n_running--;
    for (; at < l->n_running; at++)
        l->running[at] = l->running[at + 1];
    j->seq.is_running = false;
    l->scheduler->n_running--;
    give_up_blocks(l, &j->seq);
}

static void tell_started(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    struct scheduler *s = l->scheduler;
    q->was_started = true;
    q->started_us = clock_mono_us();
    scheduler_give_up_place(s);
    if (may_reuse(l, j))
        s->counters.prefix_query_tokens += q->n_prompt;
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
    adopt_prefix(l, j);
    uint32_t need = blocks_for(q->n_tokens) - q->n_blocks;
    if (kv_available(l->kv) < need + l->n_running) {
        l->scheduler->counters.prefix_hit_tokens -= q->n_cached - cached_before;
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

// Strictly in turn: a job that does not fit yet is not overtaken, or it might never fit.
static void admit(struct lane *l)
{
    struct scheduler *s = l->scheduler;
    if (s->starved && s->starved != l)
        return;
    s->starved = NULL;
    while (l->n_running < l->running_cap && s->n_running < s->options.sequences_max &&
           s->tenants.n_waiting > 0) {
        struct engine_job *j = tenants_next(&s->tenants, l->engine_model);
        if (!j)
            return;
        if (!start(l, j)) {
            s->starved = l->n_running == 0 ? l : NULL;
            return;
        }
    }
}

static void preempt(struct lane *l, struct engine_job *j)
{
    lane_remove(l, j);
    tenants_queue_first(&l->scheduler->tenants, j);
    l->scheduler->counters.preemptions++;
}

// The youngest, but first of all one that waits for its reader and would not advance anyway.
static struct engine_job *victim(const struct lane *l)
{
    for (uint32_t i = l->n_running; i-- > 0;)
        if (atomic_load(&l->running[i]->is_resting))
            return l->running[i];
    return l->running[l->n_running - 1];
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
            diag_set(&j->end.error, ERR_TIMEOUT, "the request's time was up");
            lane_end(l, j, ENGINE_FINISH_ERROR);
        }
    }
}

// --- Planning a step

static bool scores_prompt(const struct engine_job *j)
{
    return j->request.prompt_logprobs && j->seq.n_told < j->seq.n_prompt;
}

static size_t room_for_events(struct engine_job *j, size_t need)
{
    return job_room(j, engine_model_record_bytes(j->model, &j->request), need);
}

// Rows of positions whose logits nobody needs are computed for their K and V alone.
static bool wants_logits(const struct engine_job *j, uint32_t position)
{
    const struct sequence *q = &j->seq;
    if (position + 1 == q->n_tokens && q->n_tokens < q->n_tokens_max)
        return true;
    return j->request.prompt_logprobs && position + 1 < q->n_prompt && position + 1 >= q->n_told;
}

static float *logits_place(const struct lane *l, struct step *s)
{
    float *place = s->logits + s->logits_used;
    s->logits_used += padded(l->n_vocab);
    ASSERT(s->logits_used <= s->logits_floats);
    return place;
}

static float *hidden_place(const struct lane *l, struct step *s)
{
    float *place = s->hidden + s->hidden_used;
    s->hidden_used += padded(l->n_embd);
    return place;
}

static void add_rows(const struct lane *l, struct step *s, struct engine_job *j, uint32_t n)
{
    const struct sequence *q = &j->seq;
    bool embeds = j->request.embedding;
    s->plans[s->n_plans++] = (struct plan){j, s->n_rows, n};
    for (uint32_t p = q->n_done; p < q->n_done + n; p++)
        s->rows[s->n_rows++] = (struct model_row){
            .token = q->tokens[p],
            .position = p,
            .blocks = q->blocks,
            .logits = !embeds && wants_logits(j, p) ? logits_place(l, s) : NULL,
            .hidden = embeds ? hidden_place(l, s) : NULL,
        };
}

static bool grow_by_one(struct lane *l, struct engine_job *j)
{
    while (kv_available(l->kv) == 0) {
        struct engine_job *v = victim(l);
        preempt(l, v);
        if (v == j)
            return false;
    }
    uint32_t block;
    bool taken = kv_take(l->kv, &block);
    ASSERT(taken);
    append_block(&j->seq, block);
    return true;
}

static void take_promised_blocks(struct lane *l, struct sequence *q, uint32_t positions)
{
    uint32_t block;
    while (q->n_promised > 0 && q->n_blocks < blocks_for(positions)) {
        kv_unpromise(l->kv, 1);
        q->n_promised--;
        bool taken = kv_take(l->kv, &block);
        ASSERT(taken);
        append_block(q, block);
    }
}

static bool has_block_for_next(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    take_promised_blocks(l, q, q->n_done + 1);
    return q->n_done < q->n_blocks * KV_BLOCK_TOKENS || grow_by_one(l, j);
}

static bool generates_now(const struct engine_job *j)
{
    return j->seq.n_tokens > j->seq.n_prompt && pending(&j->seq) == 1;
}

static void plan_answers(struct lane *l, struct step *s)
{
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!j->seq.is_running || !generates_now(j) || room_for_events(j, 1) == 0)
            continue;
        if (!has_block_for_next(l, j))
            continue;
        add_rows(l, s, j, 1);
        s->decode_rows++;
    }
}

// Another sequence computes the same block in this very step: the next step finds it done.
static bool is_being_computed(const struct lane *l, const struct step *s,
                              const struct engine_job *j)
{
    const struct sequence *q = &j->seq;
    if (!may_reuse(l, j) || q->n_done % KV_BLOCK_TOKENS || pending(q) <= KV_BLOCK_TOKENS)
        return false;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        const struct sequence *other = &s->turn[i]->seq;
        if (other != q && other->chunk >= KV_BLOCK_TOKENS && other->serial == q->serial &&
            other->n_done == q->n_done && other->n_published == q->n_published &&
            memcmp(other->tokens + other->n_done, q->tokens + q->n_done,
                   KV_BLOCK_TOKENS * sizeof *q->tokens) == 0)
            return true;
    }
    return false;
}

static uint32_t whole_blocks(const struct sequence *q, uint32_t rows)
{
    uint32_t end = (q->n_done + rows) / KV_BLOCK_TOKENS * KV_BLOCK_TOKENS;
    return end > q->n_done ? end - q->n_done : 0;
}

// A row that scores a prompt makes one event, the first one two, and so does the last if it also
// begins the answer.
static uint32_t scoring_rows_left(const struct step *s, struct engine_job *j)
{
    uint32_t left = SCORING_ROWS_MAX - s->scoring_rows + j->seq.chunk;
    size_t room = room_for_events(j, min_size(CHUNK_MIN, pending(&j->seq)) + 1);
    return room <= left ? (uint32_t)room - (room > 0) : left;
}

// Gives j up to `rows` rows in all, in whole blocks unless its prompt ends; returns how many more
// it has than before.
static uint32_t widen_chunk(struct lane *l, struct step *s, struct engine_job *j, uint32_t rows)
{
    struct sequence *q = &j->seq;
    uint32_t had = q->chunk, n = rows < pending(q) ? rows : pending(q);
    if (scores_prompt(j)) {
        uint32_t left = scoring_rows_left(s, j);
        n = n < left ? n : left;
    } else if (room_for_events(j, 1) == 0) {
        return 0;
    }
    if (n < pending(q))
        n = whole_blocks(q, n);
    if (n <= had || (had == 0 && is_being_computed(l, s, j)))
        return 0;
    q->chunk = n;
    s->scoring_rows += scores_prompt(j) ? n - had : 0;
    return n - had;
}

static bool has_prompt_to_do(struct engine_job *j)
{
    return j->seq.is_running && pending(&j->seq) > 0 && !generates_now(j);
}

static struct engine_job *shortest_prompt(const struct step *s)
{
    struct engine_job *best = NULL;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!has_prompt_to_do(j) || j->seq.is_considered)
            continue;
        if (!best || pending(&j->seq) < pending(&best->seq))
            best = j;
    }
    return best;
}

// A quarter goes to the oldest prompt, so that it is never starved; the rest to the shortest first,
// so that a short prompt does not wait for a long one.
static void plan_prompts(struct lane *l, struct step *s, uint32_t rows)
{
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!has_prompt_to_do(j))
            continue;
        adopt_prefix(l, j);
        uint32_t quarter = rows / 4 > CHUNK_MIN ? rows / 4 : CHUNK_MIN;
        rows -= widen_chunk(l, s, j, quarter < rows ? quarter : rows);
        break;
    }
    for (struct engine_job *j; (j = shortest_prompt(s));) {
        j->seq.is_considered = true;
        adopt_prefix(l, j);
        rows -= widen_chunk(l, s, j, rows + j->seq.chunk);
    }
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (j->seq.is_running && j->seq.chunk > 0) {
            take_promised_blocks(l, &j->seq, j->seq.n_done + j->seq.chunk);
            add_rows(l, s, j, j->seq.chunk);
            s->prefill_rows += j->seq.chunk;
        }
    }
}

// As many prompt rows as fit the step's budget, its rows, and its time by the speed seen so far.
static uint32_t prompt_rows(const struct lane *l, const struct step *s)
{
    uint32_t budget = l->scheduler->options.step_tokens_max;
    if (l->us_per_row > 0 && STEP_TARGET_US / l->us_per_row < budget)
        budget = (uint32_t)(STEP_TARGET_US / l->us_per_row);
    uint32_t rows = budget > s->decode_rows ? budget - s->decode_rows : 0;
    rows = rows > CHUNK_MIN ? rows : CHUNK_MIN;
    uint32_t left = l->rows_max - s->n_rows;
    return rows < left ? rows : left;
}

// --- Computing it

static void note_speed(struct lane *l, const struct step *s, uint64_t us)
{
    if (s->n_rows >= 2 * CHUNK_MIN) {
        double now = (double)us / s->n_rows;
        l->us_per_row = l->us_per_row > 0 ? l->us_per_row + (now - l->us_per_row) * 0.2 : now;
    }
    if (s->decode_rows && us) {
        _Atomic double *rate = &l->scheduler->counters.decode_tokens_per_s;
        double now = s->decode_rows * 1e6 / (double)us, before = atomic_load(rate);
        atomic_store(rate, before > 0 ? before + (now - before) * 0.05 : now);
    }
}

static void compute(struct lane *l, struct step *s)
{
    struct scheduler *sched = l->scheduler;
    size_t bad_row = SIZE_MAX;
    uint64_t from_us = clock_mono_us();
    enum err e = model_forward(l->model, kv_pool(l->kv), s->rows, s->n_rows, &bad_row);
    lane_deliver(l, s, e, bad_row);
    uint64_t us = clock_mono_us() - from_us;
    note_speed(l, s, us);
    if (sched->observer.step)
        sched->observer.step(sched->observer.ctx, l->engine_model, s->prefill_rows, s->decode_rows,
                             us);
}

static void reserve_floats(float **mem, size_t *floats, size_t need)
{
    if (need <= *floats)
        return;
    mem_free(*mem);
    *mem = mem_aligned(64, need * sizeof **mem);
    *floats = need;
}

// All that a step of this lane may want: memory only where it is written.
static void reserve_results(const struct lane *l, struct step *s)
{
    size_t logits = (size_t)l->running_cap + SCORING_ROWS_MAX;
    reserve_floats(&s->logits, &s->logits_floats, logits * padded(l->n_vocab));
    reserve_floats(&s->hidden, &s->hidden_floats, l->rows_max * padded(l->n_embd));
    s->logits_used = s->hidden_used = 0;
}

static void begin_step(struct lane *l, struct step *s)
{
    reserve_results(l, s);
    s->n_rows = s->n_plans = s->decode_rows = s->prefill_rows = s->scoring_rows = 0;
    s->n_turn = l->n_running;
    for (uint32_t i = 0; i < l->n_running; i++) {
        s->turn[i] = l->running[i];
        s->turn[i]->seq.chunk = 0;
        s->turn[i]->seq.is_considered = false;
    }
}

bool lane_step(struct lane *l)
{
    struct step *s = &l->scheduler->step;
    leave_out_the_gone(l);
    admit(l);
    begin_step(l, s);
    plan_answers(l, s);
    plan_prompts(l, s, prompt_rows(l, s));
    if (s->n_rows == 0)
        return false;
    compute(l, s);
    l->scheduler->counters.steps++;
    return true;
}
