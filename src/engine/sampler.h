// From logits to one token. A pure function of the logits, the options, the tokens seen and the
// position: the random number is random_counter(seed, choice, position), so neither batching nor
// preemption nor replay disturbs it. Order of the steps: logit bias, repetition penalty (prompt and
// answer), presence and frequency penalty (answer), banned tokens, temperature (below 1e-5:
// greedy), min-p, top-k, top-p over what those left. Candidates are ordered by logit, ties by the
// lower id. What is 2^31 times less likely than the likeliest is never drawn.
//
// A struct sampler belongs to one sequence; the scratch belongs to the thread that samples.
#pragma once

#include "base/err.h"
#include "engine/engine.h"

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
    uint32_t *weights;
    struct candidate *candidates;
    struct changed_logit *changed;
    size_t vocab_cap, changed_len, changed_cap;
};

void sampler_init(struct sampler *s, const struct sampler_options *o);
void sampler_done(struct sampler *s);
void sampler_see_prompt(struct sampler *s, const int32_t *tokens, size_t n);
void sampler_accept(struct sampler *s, int32_t token);

void sampler_scratch_done(struct sampler_scratch *scratch); // a zeroed one is fine

// Leaves the logits as they were. -1 when nothing may be chosen (a logit is not finite, or all are
// banned).
int32_t sampler_pick(const struct sampler *s, float *logits, uint32_t n_vocab, uint64_t position,
                     const int32_t *banned, size_t banned_len, struct sampler_scratch *scratch);

// --- Log-probabilities, of the model's own logits at temperature 1
struct logprobs {
    float max;
    double log_sum;
};
struct logprobs logprobs_of(const float *logits, uint32_t n_vocab);
float logprobs_get(const struct logprobs *l, float logit);
// The n likeliest in order (ties by the lower id); returns how many (n or n_vocab).
uint32_t logprobs_top(const struct logprobs *l, const float *logits, uint32_t n_vocab, uint32_t n,
                      struct engine_logprob *ret_top);
