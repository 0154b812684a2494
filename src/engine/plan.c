// Which rows the next step computes (lane.h): answers first, then chunks of prompts.
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_model.h"
#include "engine/scheduler.h"

#include "base/banned.h"

// --- Rows

// Each row of results begins on a cache line of its own.
static size_t padded(uint32_t floats)
{
    return ((size_t)floats + 15) & ~(size_t)15;
}

static bool scores_prompt(const struct engine_job *j)
{
    return j->request.prompt_logprobs && j->seq.n_told < j->seq.n_prompt;
}

static size_t room_for_events(struct engine_job *j, size_t need)
{
    size_t room = job_room(j, engine_model_record_bytes(j->model, &j->request), need);
    if (room > 0)
        j->seq.resting_since_ms = 0;
    else if (!j->seq.resting_since_ms)
        j->seq.resting_since_ms = clock_mono_ms();
    return room;
}

// Rows of positions whose logits nobody needs are computed for their K and V alone.
static bool wants_logits(const struct engine_job *j, uint32_t position)
{
    const struct sequence *q = &j->seq;
    if (position + 1 >= q->n_tokens && q->n_tokens < q->n_tokens_max)
        return true;
    return j->request.prompt_logprobs && position + 1 < q->n_prompt && position + 1 >= q->n_told;
}

static float *add_task(const struct lane *l, struct step *s, const struct engine_job *j,
                       uint32_t position)
{
    float *logits = s->logits + s->n_tasks * padded(l->n_vocab);
    ASSERT(s->n_tasks < s->tasks_max);
    s->tasks[s->n_tasks++] = (struct sample_task){j, logits, position};
    return logits;
}

static void add_rows(const struct lane *l, struct step *s, struct engine_job *j, uint32_t n)
{
    const struct sequence *q = &j->seq;
    bool embeds = j->request.embedding;
    struct plan *plan = &s->plans[s->n_plans++];
    *plan = (struct plan){.job = j, .first_row = s->n_rows, .n_rows = n, .first_task = s->n_tasks};
    for (uint32_t p = q->n_done; p < q->n_done + n; p++)
        s->rows[s->n_rows++] = (struct model_row){
            .token = q->tokens[p],
            .position = p,
            .blocks = q->blocks,
            .logits = !embeds && wants_logits(j, p) ? add_task(l, s, j, p) : NULL,
            .hidden = embeds ? s->hidden + s->n_hidden++ * padded(l->n_embd) : NULL,
        };
    plan->n_tasks = s->n_tasks - plan->first_task;
}

static bool grow_by_one(struct lane *l, struct engine_job *j)
{
    while (kv_available(l->kv) == 0) {
        if (lane_spare_drafts(l->scheduler))
            continue;
        if (lane_preempt_one(l) == j)
            return false;
    }
    uint32_t block;
    bool taken = kv_take(l->kv, &block);
    ASSERT(taken);
    lane_append_block(&j->seq, block);
    return true;
}

static void take_promised_blocks(struct lane *l, struct sequence *q, uint32_t positions)
{
    uint32_t block;
    while (q->n_promised > 0 && q->n_blocks < kv_blocks_for(positions)) {
        kv_unpromise(l->kv, 1);
        q->n_promised--;
        bool taken = kv_take(l->kv, &block);
        ASSERT(taken);
        lane_append_block(q, block);
    }
}

static bool has_block_for_next(struct lane *l, struct engine_job *j)
{
    struct sequence *q = &j->seq;
    take_promised_blocks(l, q, q->n_done + 1);
    return q->n_done < q->n_blocks * KV_BLOCK_TOKENS || grow_by_one(l, j);
}

// Guesses take what is free: room for their events, and blocks that nobody is about to need.
static uint32_t draft_rows(struct lane *l, struct engine_job *j, size_t room)
{
    struct sequence *q = &j->seq;
    uint32_t n = q->n_draft < room - 1 ? q->n_draft : (uint32_t)room - 1;
    take_promised_blocks(l, q, q->n_done + 1 + n);
    while (kv_blocks_for(q->n_done + 1 + n) > q->n_blocks) {
        if (kv_available(l->kv) <= l->n_running)
            return q->n_blocks * KV_BLOCK_TOKENS - q->n_done - 1;
        grow_by_one(l, j);
    }
    return n;
}

static void plan_answers(struct lane *l, struct step *s)
{
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!j->seq.is_running || !sequence_answers(&j->seq))
            continue;
        size_t room = room_for_events(j, 1);
        if (room == 0 || !has_block_for_next(l, j))
            continue;
        uint32_t n_draft = draft_rows(l, j, room);
        add_rows(l, s, j, 1 + n_draft);
        s->plans[s->n_plans - 1].answers = true;
        s->decode_rows++;
        s->draft_rows += n_draft;
    }
}

// Another sequence computes the same block in this very step: the next step finds it done.
static bool is_being_computed(const struct lane *l, const struct step *s,
                              const struct engine_job *j)
{
    const struct sequence *q = &j->seq;
    if (!lane_may_reuse(l, j) || q->n_done % KV_BLOCK_TOKENS ||
        sequence_pending(q) <= KV_BLOCK_TOKENS)
        return false;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        const struct sequence *other = &s->turn[i]->seq;
        if (other != q && other->chunk > 0 && other->serial == q->serial &&
            other->n_published == q->n_published &&
            other->n_tokens >= q->n_done + KV_BLOCK_TOKENS &&
            memcmp(other->tokens + q->n_done, q->tokens + q->n_done,
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
    size_t room = room_for_events(j, min_size(CHUNK_MIN, sequence_pending(&j->seq)) + 1);
    return room <= left ? (uint32_t)room - (room > 0) : left;
}

// Gives j up to `rows` rows in all, in whole blocks unless its prompt ends or chunks are small;
// returns how many more it has than before.
static uint32_t widen_chunk(struct lane *l, struct step *s, struct engine_job *j, uint32_t rows)
{
    struct sequence *q = &j->seq;
    uint32_t had = q->chunk, n = rows < sequence_pending(q) ? rows : sequence_pending(q);
    if (scores_prompt(j)) {
        uint32_t left = scoring_rows_left(s, j);
        n = n < left ? n : left;
    } else if (room_for_events(j, 1) == 0) {
        return 0;
    }
    if (n < sequence_pending(q) && !s->chunks_are_small)
        n = whole_blocks(q, n);
    if (n <= had || (had == 0 && is_being_computed(l, s, j)))
        return 0;
    q->chunk = n;
    s->scoring_rows += scores_prompt(j) ? n - had : 0;
    return n - had;
}

static bool has_prompt_to_do(struct engine_job *j)
{
    return j->seq.is_running && sequence_pending(&j->seq) > 0 && !sequence_answers(&j->seq);
}

static struct engine_job *shortest_prompt(const struct step *s)
{
    struct engine_job *best = NULL;
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!has_prompt_to_do(j) || j->seq.is_considered)
            continue;
        if (!best || sequence_pending(&j->seq) < sequence_pending(&best->seq))
            best = j;
    }
    return best;
}

// A quarter; of a few rows all, every fourth time.
static uint32_t share_of_oldest(const struct lane *l, uint32_t rows)
{
    if (rows / 4 >= CHUNK_MIN)
        return rows / 4;
    return l->scheduler->counters.steps % 4 == 0 ? rows : 0;
}

static void add_chunk(struct lane *l, struct step *s, struct engine_job *j)
{
    take_promised_blocks(l, &j->seq, j->seq.n_done + j->seq.chunk);
    add_rows(l, s, j, j->seq.chunk);
    s->prefill_rows += j->seq.chunk;
}

// A quarter goes to the oldest prompt, so that it is never starved; the rest to the shortest first,
// so that a short prompt does not wait for a long one.
static void plan_prompts(struct lane *l, struct step *s, uint32_t rows)
{
    for (uint32_t i = 0; i < s->n_turn; i++) {
        struct engine_job *j = s->turn[i];
        if (!has_prompt_to_do(j))
            continue;
        lane_adopt_prefix(l, j);
        rows -= widen_chunk(l, s, j, share_of_oldest(l, rows));
        break;
    }
    for (struct engine_job *j; (j = shortest_prompt(s));) {
        j->seq.is_considered = true;
        lane_adopt_prefix(l, j);
        rows -= widen_chunk(l, s, j, rows + j->seq.chunk);
    }
    for (uint32_t i = 0; i < s->n_turn; i++)
        if (s->turn[i]->seq.is_running && s->turn[i]->seq.chunk > 0)
            add_chunk(l, s, s->turn[i]);
}

static uint32_t unfinished_prompts(const struct step *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_turn; i++)
        n += has_prompt_to_do(s->turn[i]);
    return n;
}

// What the step as planned so far would take; 0 when nobody answers, or it is not known.
static double usual_us(const struct lane *l, const struct step *s)
{
    double base, per_row;
    if (s->decode_rows == 0 || !speed_get(&l->speed, &base, &per_row))
        return 0;
    return (base + per_row * s->n_rows) * l->speed_now;
}

static bool looks_at_answers_alone(const struct lane *l, const struct step *s)
{
    return s->decode_rows > 0 && l->mixed_steps >= MIXED_STEPS_MAX;
}

static struct pace_step time_of(const struct lane *l, const struct step *s)
{
    return (struct pace_step){
        .alone = &l->alone,
        .beside = &l->beside,
        .usual_us = usual_us(l, s),
        .n_prompts = unfinished_prompts(s),
    };
}

static uint32_t budget_left(const struct lane *l, const struct step *s)
{
    uint32_t budget = l->scheduler->options.step_tokens_max;
    uint32_t answers = s->decode_rows + s->draft_rows;
    return budget > answers ? budget - answers : 0;
}

// As many prompt rows as fit the step's budget, its rows, and its time (pace.h).
static uint32_t prompt_rows(const struct lane *l, struct step *s, const struct pace_step *in_time)
{
    uint32_t rows = budget_left(l, s);
    uint32_t bearable = pace_prompt_rows(in_time), least = CHUNK_MIN;
    s->chunks_are_small = in_time->usual_us > 0 && bearable < CHUNK_MIN;
    if (s->chunks_are_small)
        least = bearable > CHUNK_LEAST ? bearable : CHUNK_LEAST;
    rows = rows < bearable ? rows : bearable;
    rows = rows > least ? rows : least;
    uint32_t left = l->rows_max - s->n_rows;
    return rows < left ? rows : left;
}

// --- In stages

// A long prompt alone beside streams, of which a step would take a few rows only. A short one goes
// with the answers' rows: a pass of its own reads all weights again.
static struct engine_job *worth_holding(const struct lane *l, const struct step *s,
                                        const struct pace_step *in_time)
{
    size_t most = model_held_rows_max(l->model);
    uint32_t rows = in_time->usual_us > 0 ? pace_prompt_rows(in_time) : UINT32_MAX;
    if (in_time->n_prompts != 1 || rows >= most)
        return NULL;
    struct engine_job *j = shortest_prompt(s);
    bool is_long = j->seq.n_tokens - j->seq.n_cached > 2 * most;
    return is_long && !scores_prompt(j) && sequence_pending(&j->seq) > rows ? j : NULL;
}

// What the model holds and the budget leaves now: answers may come to it later.
static uint32_t rows_to_hold(const struct lane *l, const struct step *s)
{
    size_t left = min_size(budget_left(l, s), l->rows_max - s->n_rows);
    return (uint32_t)min_size(max_size(left, CHUNK_MIN), model_held_rows_max(l->model));
}

// Its next rows are those that have had some stages, or as many as can be held. False: nobody's
// are, and what was held is forgotten.
static bool plan_held(struct lane *l, struct step *s, const struct pace_step *in_time)
{
    struct engine_job *j = l->held;
    if (!j) {
        j = worth_holding(l, s, in_time);
        l->held_stage = 0;
        l->held_rows = rows_to_hold(l, s);
    }
    l->held = NULL;
    if (!j)
        return false;
    if (l->held_stage == 0)
        lane_adopt_prefix(l, j);
    if (widen_chunk(l, s, j, l->held_rows) == 0)
        return false;
    add_chunk(l, s, j);
    l->held = j;
    s->holds = true;
    s->holds_us = pace_step_us(in_time);
    return true;
}

// --- The step

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
    reserve_floats(&s->logits, &s->logits_floats, s->tasks_max * padded(l->n_vocab));
    reserve_floats(&s->hidden, &s->hidden_floats, l->rows_max * padded(l->n_embd));
}

static void begin_step(struct lane *l, struct step *s)
{
    reserve_results(l, s);
    s->n_rows = s->n_plans = s->n_tasks = s->n_hidden = 0;
    s->decode_rows = s->draft_rows = s->answer_tokens = s->prefill_rows = s->scoring_rows = 0;
    s->holds = s->chunks_are_small = false;
    s->n_turn = l->n_running;
    for (uint32_t i = 0; i < l->n_running; i++) {
        s->turn[i] = l->running[i];
        s->turn[i]->seq.chunk = 0;
        s->turn[i]->seq.is_considered = false;
    }
}

void lane_plan(struct lane *l, struct step *s)
{
    begin_step(l, s);
    speculate(l, s);
    plan_answers(l, s);
    if (looks_at_answers_alone(l, s))
        return;
    struct pace_step in_time = time_of(l, s);
    if (!plan_held(l, s, &in_time))
        plan_prompts(l, s, prompt_rows(l, s, &in_time));
}
