// Sets of characters that forms allow most often: plain text between quotes, and words. What a
// vocabulary says with these alone is found once (token_trie.h); where so many of them may follow
// that each such token fits (network.h), a mask is all of these and a walk through the others: the
// same mask, made sooner. Pure functions; any thread.
#pragma once

#include "engine/grammar/charset.h"

enum {
    SLICES = 4,                // the wider first
    SLICE_CHARACTERS_MAX = 16, // of a token
};

// All characters of the slice are in the settled set.
bool slice_is_within(uint32_t slice, const struct charset *s);
// The text is whole characters of the slice: one at least, SLICE_CHARACTERS_MAX at most.
bool slice_says(uint32_t slice, str text);
