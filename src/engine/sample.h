// From the rows of logits of one step to tokens and log-probabilities: each row by itself, on all
// members of the compute team when there is enough of it. What a row turns into depends on nothing
// but its own sequence (sampler.h), so the split changes nothing.
#pragma once

#include "engine/sampler.h"

struct engine_job;
struct lane;
struct step;

// A row of logits and whom it is for. The last row of a sequence is drawn from, and so are all
// that go on from guesses; rows before score the prompt's next token.
struct sample_task {
    const struct engine_job *job;
    float *logits;
    uint32_t position; // of the row
};

struct outcome {
    int32_t token; // drawn or scored; -1 when none may be drawn
    float logprob; // if the request wants it
    uint32_t top_len;
    struct engine_logprob top[ENGINE_TOP_LOGPROBS_MAX];
};

// What one member of the team works with.
struct sample_scratch {
    struct sampler_scratch sampler;
    int32_t *banned;
    size_t banned_len, banned_cap;
    float *masked; // the logits of the tokens that a grammar allows
    uint64_t *mask;
    uint32_t masked_cap;
};
void sample_scratch_done(struct sample_scratch *s);

// The token after t's row; -1 when none may be drawn. What stands behind the sequence's tokens up
// to that row is taken for granted.
int32_t sample_draw(const struct sample_task *t, struct sample_scratch *scratch);
// Fills in s->outcomes for all of s->tasks.
void sample_step(struct lane *l, struct step *s);
