// Text to token ids and back, exactly as the model's own tokenizer: byte-level BPE (GPT-2 family
// and its pre-tokenizers) and SentencePiece-style BPE. Immutable after creation: any thread.
// Linear-ish time in the text (n log n), bounded memory.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "engine/format/model_file.h"

struct tokenizer;

enum {
    // recognise control tokens written in the text, but not in its literal ranges (literal.h)
    TOKENIZE_SPECIAL = 1u << 0,
    TOKENIZE_BOS = 1u << 1 /* add bos if the model wants it */
};

// The vocabulary's slices must outlive the tokenizer. WordPiece and unknown pre-tokenizers are
// refused by name.
enum err tokenizer_new(const struct vocab *v, struct tokenizer **ret, struct diag *d) MUST_USE;
void tokenizer_free(struct tokenizer *t);

struct token_ids {
    int32_t *ids; // mem_alloc'd
    size_t len, cap;
};
void token_ids_done(struct token_ids *ids);

// Appends. ERR_LIMIT when more than max_tokens would be in `ids` (ids then hold the first
// max_tokens).
enum err tokenizer_encode(const struct tokenizer *t, str text, uint32_t flags, size_t max_tokens,
                          struct token_ids *ids) MUST_USE;
// The bytes one token stands for (may be a part of a UTF-8 character). `special`: write control
// tokens as their text, else as nothing. SPM's leading blank is the caller's affair:
// tokenizer_strip_leading_space tells.
enum err tokenizer_piece(const struct tokenizer *t, int32_t id, bool special,
                         struct buf *out) MUST_USE;
bool tokenizer_strip_leading_space(const struct tokenizer *t);
enum err tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool special,
                          struct buf *out) MUST_USE;

uint32_t tokenizer_size(const struct tokenizer *t);
bool tokenizer_is_control(const struct tokenizer *t, int32_t id);
bool tokenizer_is_eog(
    const struct tokenizer *t,
    int32_t id); // ends a generation: eos, eot, <|im_end|>, <|endoftext|>, </s>, <|eot_id|> …
int32_t tokenizer_bos(const struct tokenizer *t);
int32_t tokenizer_find(const struct tokenizer *t, str piece); // exact stored token, or -1
