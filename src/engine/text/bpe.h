// Byte-level BPE of one word: bytes to tokens, merged by rank. Immutable after init.
#pragma once

#include "engine/text/merge.h"
#include "engine/text/vocab_index.h"

struct bpe_pair;

struct bpe {
    int32_t byte_ids[256]; // -1: the vocabulary has no such token
    struct bpe_pair *pairs;
    size_t mask;
    uint64_t seed;
};

enum err bpe_init(struct bpe *b, const struct vocab *v, const struct vocab_index *x,
                  struct diag *d) MUST_USE;
void bpe_done(struct bpe *b);
// The word's symbols, merged, are left in `work`: walk from symbol 0 by `next`. Ids of -1 are bytes
// that the vocabulary lacks.
enum err bpe_word(const struct bpe *b, str word, struct merge *work) MUST_USE;
