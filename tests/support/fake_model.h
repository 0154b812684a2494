// A double for a model's file, tokenizer and forward pass: link-time stand-ins for engine/format,
// engine/text and engine/arch, so that the scheduler can be tested alone. A test that calls
// fake_model_reset gets them instead of the real ones.
//
// The forward pass keeps in each K/V slot the position, the token and a hash of the whole history
// up to it; each row reads its predecessor through the block table it was given. So logits (a
// function of that hash) are right only if the table really held the sequence's own history,
// whatever was shared, evicted or computed again; a wrong position aborts at once. Tokens: 0–255
// are bytes, then bos, eos, and the rest are two-letter pieces.
//
// "fake" is the model, "fake-twin" the same that takes no time, "fake-draft" a twin of the same
// habits but another mind, "fake-other" one of another vocabulary.
#pragma once

#include "base/base.h"

enum { FAKE_BOS = 256, FAKE_EOS = 257, FAKE_STAGES = 4 };

struct fake_model {
    uint32_t n_vocab, n_ctx, n_embd, rows_max, held_rows_max;
    uint32_t block_pad_bytes; // a block is this much larger than it must be
    _Atomic uint32_t step_us; // a forward pass takes so long, and for each row
    _Atomic uint32_t row_us;  // this more
    int32_t poison_token;     // its logits are not finite; -1 = none
    // The token that habitually follows the last one has this much more: text that repeats itself
    // where it is large (speculation).
    float habit;
    int32_t eos_one_in; // eos is the likeliest in one of so many histories; 0 = never
    // What the passes saw (written by the engine's thread)
    _Atomic uint32_t passes, rows, rows_largest, logits_rows, poisoned, stages;
};

// The defaults: 300 tokens, context 512, 8 dimensions, 256 rows, 64 of them in stages.
struct fake_model *fake_model_reset(void);
struct fake_model *fake_model_config(void); // the one that counts

// What the model answers to a history: the oracle of all tests.
void fake_model_logits(const int32_t *tokens, size_t n, float *ret_logits);
int32_t fake_model_greedy(const int32_t *tokens, size_t n);
float fake_model_hidden(const int32_t *tokens, size_t n, uint32_t dimension);
