// One model's share of the scheduler: its running sequences, its K and V, and what one step is made
// of. Rows of sequences that generate come first; what is left of the step's budget goes to prompts
// in chunks, so that no prompt stalls a stream. Blocks are promised at admission for all of a
// prompt; an answer's growth may preempt the youngest sequence, which is computed again later. By
// the model's exactness none of this changes a bit of any answer.
//
// Owner: the scheduler thread.
#pragma once

#include <stdatomic.h>

#include "engine/arch/model.h"
#include "engine/engine.h"
#include "engine/job.h"
#include "engine/kv.h"
#include "engine/pace.h"
#include "engine/sample.h"

struct scheduler;

enum {
    CHUNK_MIN = KV_BLOCK_TOKENS, // prompts advance by whole blocks
    CHUNK_LEAST = 4,             // but by fewer rows where streams run that would wait too long
    SCORING_ROWS_MAX = 64,       // rows a step whose logits only score a prompt
    // In a row; then one without prompts, so that it stays known what answers take alone.
    MIXED_STEPS_MAX = 32,
    KV_AHEAD_BYTES_MAX = 64 << 20,
    REST_MAX_MS = 250, // whose reader is away for longer makes room for those who wait
};

// What watchers read from any thread; the lane's own thread writes, but for n_queued.
struct lane_counters {
    _Atomic uint64_t prompt_tokens, generated_tokens, prefix_query_tokens, prefix_hit_tokens;
    _Atomic uint64_t drafted_tokens, accepted_tokens, preemptions;
    _Atomic uint64_t kv_total, kv_used, kv_cached; // blocks
    _Atomic uint32_t running, waiting;
    _Atomic uint32_t n_queued; // submitted for this model, not yet started
};

struct lane {
    struct scheduler *scheduler;
    const struct engine_model *engine_model;
    struct model *model;
    struct kv *kv;
    uint32_t blocks_ahead; // free ones to be touched before they are wanted
    uint32_t n_vocab, n_embd;
    uint32_t rows_max;           // of a step
    struct engine_job **running; // oldest first
    uint32_t n_running, running_cap;
    bool is_warm;              // has stepped since it got its weights
    struct step_speed speed;   // of steps that only answer …
    double speed_now;          // … and how those of late were beside it
    uint32_t mixed_steps;      // since the last of those
    struct pace alone, beside; // of prompts: their steps, and what they add to steps that answer
    // A prompt whose next rows are computed in stages, some each step (model_forward_until); NULL:
    // none. They have had `held_stage` of them.
    struct engine_job *held;
    uint32_t held_stage, held_rows;
    uint32_t draft_tokens_max; // 0: no guessing (speculate.h)
    struct drafter *drafter;   // NULL: guesses are looked up
    // residence.h. Without weights `model` is NULL and nothing runs.
    bool wanted;  // somebody waits for its weights
    bool closing; // takes in nobody: another model needs the room
    uint64_t wanted_ms, loaded_ms, used_ms;
    struct lane_counters counters;
};

// A stretch of rows of one sequence within a step.
struct plan {
    struct engine_job *job;
    uint32_t first_row, n_rows;
    uint32_t first_task, n_tasks; // its rows with logits
    bool answers;                 // the first row gives a token, the others go on from a guess
};

// What a step works with; one for all lanes, which step one after the other.
struct step {
    struct model_row *rows;
    struct plan *plans;
    struct engine_job **turn;  // the running ones as the step begins
    struct sample_task *tasks; // the rows with logits
    struct outcome *outcomes;  // what became of them
    float *logits, *hidden;    // room for all that one step may want
    size_t logits_floats, hidden_floats;
    uint32_t n_tasks, tasks_max, n_hidden;
    uint32_t n_rows, n_plans, n_turn;
    uint32_t decode_rows, draft_rows, prefill_rows, scoring_rows;
    bool chunks_are_small;  // beside streams: less than a block
    bool holds;             // the last plan is lane.held's, in stages …
    uint64_t holds_us;      // … as long as the step has not taken so long; 0: to its end
    uint32_t answer_tokens; // that the step brought
};

enum err lane_init(struct lane *l, struct scheduler *s, const struct engine_model *m,
                   struct model *model, struct diag *d) MUST_USE;
void lane_done(struct lane *l); // nothing runs
// The longest sequence that K and V of this model have room for.
uint32_t lane_positions_max(const struct lane *l);

// One iteration: leave out who has gone, admit, plan, compute, deliver. False when there was
// nothing to compute.
bool lane_step(struct lane *l);
// Out of the lane and the blocks; the job is ended already or goes back to its queue.
void lane_remove(struct lane *l, struct engine_job *j);

// Takes over whole blocks that others have computed of this sequence's prefix; the last token is
// always computed, for its logits.
void lane_adopt_prefix(struct lane *l, struct engine_job *j);
bool lane_may_reuse(const struct lane *l, const struct engine_job *j);
void lane_append_block(struct sequence *q, uint32_t block);
// Sends a sequence back to its queue, to be computed again later.
void lane_preempt(struct lane *l, struct engine_job *j);
// The same for one that can best be spared; returns it.
struct engine_job *lane_preempt_one(struct lane *l);

// All sequences give up what helps only to guess; false when nobody had any.
bool lane_spare_drafts(struct scheduler *s);

// plan.c: fills the step with rows; none when nobody can advance.
void lane_plan(struct lane *l, struct step *s);

// deliver.c: the step's results become tokens, events and ends. `failed`: what model_forward said.
// Position is where the text begins, so that a leading blank there is the encoding's.
bool lane_begins_text(const struct engine_job *j, uint32_t position);
// What a token at that position adds to the text: nothing when it is a control token.
str lane_token_text(const struct engine_job *j, uint32_t position, int32_t token, str piece);
void lane_deliver(struct lane *l, struct step *s, enum err failed, size_t bad_row);
// Ends a job of this lane, running or not.
void lane_end(struct lane *l, struct engine_job *j, enum engine_finish finish);
