// From logits to one token. A pure function of the logits, the options, the tokens seen and the
// position: the random number is random_counter(seed, choice, position), so neither batching nor
// preemption nor replay disturbs it. Order of the steps: logit bias, repetition penalty (prompt and
// answer), presence and frequency penalty (answer), banned tokens, temperature (below 1e-5:
// greedy), min-p, top-k, top-p over what those left. Tokens are ordered by logit, ties by the lower
// id. What is 2^31 times less likely than the likeliest is never drawn.
//
// The exponentials and their sums are the kernels' (kernel/kernel.h): the same bits everywhere.
// A struct sampler belongs to one sequence; the scratch belongs to the thread that samples.
#pragma once

#include "base/err.h"
#include "engine/engine.h"
#include "engine/nucleus.h"

struct sampler_options {
    float temperature; // 0 = greedy
    uint32_t top_k;    // 0 = off
    float top_p;       // 1 = off
    float min_p;       // 0 = off
    float presence_penalty, frequency_penalty, repetition_penalty;
    const struct engine_bias *bias; // outlives the sampler
    size_t bias_len;
    uint64_t seed, choice;
};

struct token_count; // a token seen, how often in the answer, and whether in the prompt

struct sampler {
    struct sampler_options options;
    struct token_count *counts; // open addressing; only when a penalty is on
    size_t counts_len, counts_cap;
};

struct sampler_scratch {
    const struct kernel *kernel; // set by the owner
    struct nucleus_scratch nucleus;
    struct changed_logit *changed;
    size_t changed_len, changed_cap;
    // Tokens of the answer that are taken for granted behind those accepted: the caller's, for the
    // next pick.
    const int32_t *ahead;
    size_t ahead_len;
};

void sampler_init(struct sampler *s, const struct sampler_options *o);
void sampler_done(struct sampler *s);
void sampler_see_prompt(struct sampler *s, const int32_t *tokens, size_t n);
void sampler_accept(struct sampler *s, int32_t token);

void sampler_scratch_done(struct sampler_scratch *scratch);

// Leaves the logits as they were. -1 when nothing may be chosen (a logit is not finite, or all are
// banned).
int32_t sampler_pick(const struct sampler *s, float *logits, uint32_t n_vocab, uint64_t position,
                     const int32_t *banned, size_t banned_len, struct sampler_scratch *scratch);
