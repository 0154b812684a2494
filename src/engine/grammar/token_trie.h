// The texts of a vocabulary as a tree over bytes, flat and in the order of a walk: a grammar goes
// through it once to see which tokens may come next, and leaves out whole branches. Immutable once
// built: any thread.
#pragma once

#include "engine/grammar/slice.h"

struct trie_node {
    uint32_t past; // the node behind all that begin with this one
    int32_t token; // the first token that ends here, or -1
    uint16_t depth;
    uint8_t byte;
    bool shared; // another token has the same text
};

// What is said with the characters of a slice alone, and all else as a tree.
struct token_slice {
    uint64_t *mask;
    struct trie_node *nodes;
    size_t len;
};

struct token_trie {
    struct trie_node *nodes;
    size_t len;
    struct token_slice slices[SLICES];
    int32_t *also; // by token: the next one with the same text, or -1
    uint32_t n_tokens;
    uint32_t depth_max;
    bool has_byte[256]; // some token is that byte alone
};

// texts[i] is what token i says; an empty text leaves it out. Texts of 65535 bytes at most.
void token_trie_init(struct token_trie *t, const str *texts, uint32_t n);
void token_trie_done(struct token_trie *t);
static inline size_t token_mask_words(uint32_t n_tokens)
{
    return ((size_t)n_tokens + 63) / 64;
}
// The logits of the tokens whose bits are set; minus infinity for the others.
void token_mask_apply(const uint64_t *mask, const float *logits, uint32_t n_tokens, float *ret);
