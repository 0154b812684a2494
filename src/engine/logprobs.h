// Log-probabilities of the model's own logits, at temperature 1, before anything is changed. The
// same bits on every machine. Pure functions.
#pragma once

#include "engine/engine.h"

struct kernel;

struct logprobs {
    float max;
    double log_sum;
};
struct logprobs logprobs_of(const struct kernel *k, const float *logits, uint32_t n_vocab);
// Natural logarithm of a positive, normal number from IEEE operations only; error below 1e-15.
double logprobs_log(double x);
float logprobs_get(const struct logprobs *l, float logit);
// The n likeliest in order (ties by the lower id); returns how many (n or n_vocab).
uint32_t logprobs_top(const struct logprobs *l, const float *logits, uint32_t n_vocab, uint32_t n,
                      struct engine_logprob *ret_top);
