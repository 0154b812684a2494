// From a token's stored text to its id. Open addressing over the vocabulary's own strings (nothing
// is copied), keyed by the process's random seed, so that a hostile vocabulary cannot make it slow.
// Immutable after init.
#pragma once

#include "base/err.h"
#include "engine/format/model_file.h"

struct vocab_index {
    const str *tokens;
    int32_t *slots; // id, or -1
    size_t mask;
    size_t longest_bytes; // of all tokens
};

// ERR_INVALID, naming the two ids, when two tokens have one text.
enum err vocab_index_init(struct vocab_index *x, const struct vocab *v, struct diag *d) MUST_USE;
void vocab_index_done(struct vocab_index *x);
int32_t vocab_index_find(const struct vocab_index *x, str text); // -1 when absent
