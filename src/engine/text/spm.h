// SentencePiece-style BPE: characters merged by the score of the token that they make; what stays
// unknown falls back to byte tokens, else to the unknown token. Immutable after init.
#pragma once

#include "engine/text/merge.h"
#include "engine/text/vocab_index.h"

struct spm {
    const struct vocab_index *index;
    const float *scores;  // NULL: all equal
    const int32_t *types; // NULL: all normal
    int32_t byte_ids[256];
    int32_t unk;
    bool by_words; // no token has a blank behind other characters: words merge by themselves
};

#define SPM_BLANK "\xe2\x96\x81" // U+2581

// x must outlive *s.
enum err spm_init(struct spm *s, const struct vocab *v, const struct vocab_index *x,
                  struct diag *d) MUST_USE;
// The byte that a token stands for ("<0x0A>", strictly two hex digits), or -1.
int spm_byte(const struct spm *s, int32_t id);
// How many bytes at the front of the text merge without regard to what follows.
size_t spm_word(const struct spm *s, str text);
// text: with U+2581 for blanks. The merged symbols are left in `work`; ids of -1 are to be written
// as bytes of the text.
enum err spm_text(const struct spm *s, str text, struct merge *work) MUST_USE;
