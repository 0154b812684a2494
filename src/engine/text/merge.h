// Merging neighbours, best pair first, leftmost among equals, until no pair can merge: the heart of
// both tokenizers. A linked list of symbols and a binary heap: n log n for n symbols, however
// hostile the text.
#pragma once

#include "base/err.h"

struct merge_symbol {
    int32_t id;          // token, or -1
    uint32_t start, len; // bytes of the text; len 0: merged away
    uint32_t prev, next; // MERGE_END at the ends
};
#define MERGE_END UINT32_MAX

// Whether two neighbours merge: then the rank (lower first) and the token they become.
typedef bool (*merge_pair_fn)(const void *ctx, const struct merge_symbol *left,
                              const struct merge_symbol *right, uint32_t *ret_rank,
                              int32_t *ret_id);

// Work space, reused from word to word. Zero it to begin.
struct merge {
    struct merge_symbol *symbols;
    size_t n, cap;
    uint64_t *heap; // rank << 32 | left symbol
    size_t heap_n, heap_cap;
};

void merge_done(struct merge *m);
void merge_clear(struct merge *m);
// ERR_NOMEM or ERR_LIMIT (2^32 symbols) leave the work space usable.
enum err merge_add(struct merge *m, int32_t id, uint32_t start, uint32_t len) MUST_USE;
// Afterwards the symbols left are those reached from symbol 0 by `next`.
enum err merge_run(struct merge *m, merge_pair_fn pair, const void *ctx) MUST_USE;
