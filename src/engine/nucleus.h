// Drawing a token from weights under min-p, top-k and top-p without sorting the vocabulary: weights
// fall into buckets, and only the bucket in which a limit is reached is looked at token by token.
// Weights are whole numbers (kernel/kernel.h, exp_weights), so every sum is exact in any order. The
// token is the one in whose stretch the random number falls, tokens laid end to end by their ids.
#pragma once

#include "base/base.h"

struct nucleus_options {
    uint32_t top_k; // 0 = off
    float top_p;    // 1 = off
    float min_p;    // 0 = off
};

// Of the thread that samples; begins zeroed.
struct nucleus_scratch {
    uint32_t *weights;  // of every token: the caller fills them in
    uint32_t *selected; // ids of the tokens that are heavy enough, ascending
    size_t n_selected;
    struct candidate *candidates;
    size_t vocab_cap;
};

void nucleus_reserve(struct nucleus_scratch *sc, uint32_t n_vocab);
void nucleus_done(struct nucleus_scratch *sc);

// total: of all weights, above 0. Equal weights are told apart by their logits, then by the lower
// id.
int32_t nucleus_draw(const struct nucleus_options *o, const float *logits, uint32_t n_vocab,
                     uint64_t total, uint64_t random, struct nucleus_scratch *sc);
