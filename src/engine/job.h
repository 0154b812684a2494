// One request on its way through the engine. Shared by its consumer and the scheduler, each with
// one reference; the last to let go frees it. Four kinds of members, each with its one writer:
// atomics (both sides), the request (immutable after submit), the consumer's, the scheduler's.
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "engine/constraint.h"
#include "engine/drafter.h"
#include "engine/engine.h"
#include "engine/event_ring.h"
#include "engine/park.h"
#include "engine/prediction.h"
#include "engine/sampler.h"
#include "engine/stops.h"

// The scheduler's sleeping place. Outlives the engine while jobs may still knock.
struct door {
    _Atomic uint32_t refs;
    struct park park;
};
struct door *door_new(void);
struct door *door_share(struct door *d);
void door_drop(struct door *d);

// The scheduler's view of a job: tokens, where their keys and values are, and how to go on.
struct sequence {
    int32_t *tokens; // prompt, then answer
    uint32_t n_tokens, tokens_cap;
    uint32_t n_prompt;
    uint32_t n_tokens_max; // prompt and answer together
    uint32_t n_done;       // keys and values of positions below are in blocks
    uint32_t n_told;       // prompt tokens reported
    uint32_t n_reached;    // the most of them before it was put back: found again, they are no hits
    uint32_t n_cached;     // prompt tokens that the prefix cache gave
    uint32_t n_forced;     // bytes of request.forced that are said
    uint32_t chunk;        // rows planned for this step
    uint32_t n_draft;      // guessed tokens of this step: they stand behind n_tokens

    uint32_t *blocks;
    uint32_t n_blocks, blocks_cap;
    uint32_t n_promised;  // blocks promised at admission and not yet taken
    uint32_t n_published; // blocks that stand in the prefix tree
    uint64_t serial;      // of the last of them; the tenant's root before

    struct tenant *tenant;
    struct engine_job *next; // in its tenant's queue
    uint64_t order;          // age: the lower the older
    bool is_running;         // stands in its lane
    bool was_started;        // left the queue once
    bool is_considered;      // for a chunk of this step
    bool has_news;           // events were written and the bell not yet rung

    struct guesser guesser;
    struct prediction prediction;
    struct draft_state draft;
    struct sampler sampler;
    struct constraint *constraint; // NULL: the answer is free
    struct stops stops;            // answer
    struct stops echo;             // prompt: whole characters only
    double *hidden_sum;            // embedding
    uint64_t submitted_us, started_us, first_token_us;
    uint64_t resting_since_ms; // it waits for its reader; 0: it does not
};

// Tokens whose keys and values are yet to be computed.
static inline uint32_t sequence_pending(const struct sequence *q)
{
    return q->n_tokens - q->n_done;
}

// Its next row gives a token of the answer.
static inline bool sequence_answers(const struct sequence *q)
{
    return q->n_tokens > q->n_prompt && sequence_pending(q) == 1;
}

// Room for so many tokens.
void sequence_reserve(struct sequence *q, uint32_t n);

struct job_end {
    enum engine_finish finish;
    struct buf text;
    str stop_matched;
    uint32_t completion_tokens;
    uint64_t queue_us, prefill_us, decode_us;
    struct diag *error; // NULL: it did not fail
};

struct engine_job {
    _Atomic uint32_t refs;
    _Atomic int bell;
    _Atomic bool is_cancelled;
    _Atomic bool is_resting; // no room for events: the scheduler wants to hear of reading
    _Atomic bool is_ended;   // `end` is written and no more events come
    struct door *door;
    struct event_ring events;

    struct engine_model *model;
    struct engine_request request; // what it points to is in the arena; prompt_ids is not used
    struct arena arena;
    char *prompt_text; // until it is tokenised

    bool has_peeked, end_was_read; // consumer

    struct sequence seq;
    struct job_end end;
};

// Copies the request; the prompt's tokens when it has them, else its text. Two references.
struct engine_job *job_new(struct engine_model *m, const struct engine_request *r,
                           struct door *door);
void job_drop(struct engine_job *j);
// Copies the request's grammar, too: it is to be compiled by another thread.
void job_keep_grammar(struct engine_job *j, const struct engine_request *r);
// Space for events, in records of up to `record_bytes_max`: when it leaves the queue, so that what
// waits holds little. Once, before the first event.
void job_open_events(struct engine_job *j, size_t record_bytes_max);
// Where the reason of a failure goes; made on first use.
struct diag *job_diag(struct engine_job *j);

// --- The scheduler's side of the events
struct event_record {
    uint32_t type;
    int32_t token;
    float logprob;
    uint32_t prompt_tokens, cached_tokens;
    uint32_t text_len, piece_len, top_len, embedding_len;
    uint64_t seed;
    // then: top, embedding, text, piece
};
// An upper bound for records with texts of `text_max` and pieces of `piece_max` bytes.
size_t job_record_bytes(size_t text_max, size_t piece_max, size_t top_len, size_t embedding_len);
// How many records of that size may be written. Fewer than `need`: the job rests, and the door is
// knocked when the consumer has read.
size_t job_room(struct engine_job *j, size_t record_bytes, size_t need);
// e's slices are copied. There is room (job_room told so).
void job_tell(struct engine_job *j, const struct engine_event *e);
// The end: j->end is filled in.
void job_tell_end(struct engine_job *j);
// Calls the consumer's wake, unless it has released the job.
void job_ring(struct engine_job *j);
