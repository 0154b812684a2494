// The pre-tokenizers: cutting text into the pieces inside which BPE merges. Each is a list of
// stages; a stage cuts every piece of the one before into matches of its pattern and what lies
// between them, as the regular expressions of the models' own tokenizers do. Linear time.
#pragma once

#include "base/err.h"
#include "base/str.h"

// Classes of code points (Unicode general category, White_Space).
enum {
    SPLIT_LETTER = 1u << 0, // L*
    SPLIT_NUMBER = 1u << 1, // N*
    SPLIT_SPACE = 1u << 2,  // \s
    SPLIT_PUNCT = 1u << 3,  // P*
    SPLIT_SYMBOL = 1u << 4, // S*
    SPLIT_MARK = 1u << 5    // M*
};

// What a matcher sees: the code points of the whole text; a byte that is not UTF-8 is a code point
// of no class.
struct split_text {
    const uint32_t *cp;
    const uint8_t *cls;
};

// How many code points match at `at` (none past `end`, which counts as the end of the text). When
// 0, *skip may be raised: so many can be passed over, as nothing matches there either.
typedef uint32_t (*split_match_fn)(const struct split_text *t, uint32_t at, uint32_t end,
                                   uint32_t *skip);

enum { SPLIT_STAGES_MAX = 7 };
struct split_rules {
    const char *name; // as GGUF's tokenizer.ggml.pre
    bool nfc;         // the model's tokenizer normalises to NFC first
    split_match_fn stages[SPLIT_STAGES_MAX];
};

// By the pre-tokenizer's name; "" is gpt-2. NULL when unknown.
const struct split_rules *split_rules_find(str name);

struct split {
    uint32_t *cp, *offsets; // code points, and where each begins; offsets has one more
    uint8_t *cls;
    uint32_t n;
    uint32_t *ends, *spare; // pieces: code point indices where they end
    uint32_t n_pieces;
};

// ERR_LIMIT from 2^32 bytes on, ERR_NOMEM. Call split_done in any case.
enum err split_run(const struct split_rules *r, str text, struct split *ret) MUST_USE;
void split_done(struct split *s);
// Bytes of piece i.
str split_piece(const struct split *s, str text, uint32_t i);
