// The semantic cache's index: which answers of the exact cache were given to questions that mean
// nearly the same as this one. Two questions are compared only where all but the words of their
// last user's turn is equal to the byte (their bucket), and the answer is that of the nearest, by
// the cosine of their embeddings, whose facts (semantic_facts) are the same. It holds no answers:
// those are found by their key in the exact cache, which forgets them by its own rules.
//
// Bounds: entries_max entries, the oldest go first; one search makes SEMANTIC_PRODUCTS_MAX products
// at most, the newest entries first (a fraction of a millisecond). One loop's.
#pragma once

#include "gateway/cache.h"

#define SEMANTIC_DIMENSIONS_MAX 8192
#define SEMANTIC_PRODUCTS_MAX   (1u << 20)
#define SEMANTIC_ID_MAX         64

enum semantic_mode { SEMANTIC_OFF, SEMANTIC_SHADOW, SEMANTIC_ON };
extern const char *const semantic_mode_names[]; // NULL-ended

struct semantic_entry;

struct semantic {
    struct gateway_semantic options;
    struct semantic_entry *entries; // a ring: `next` is the oldest when all are used
    struct semantic_entry **slots;  // by the bucket's first bytes
    size_t next, len;
};

struct semantic_question {
    uint8_t bucket[CACHE_KEY_BYTES];
    uint64_t facts;
    const float *vector; // of length 1
    size_t dimensions;
};

struct semantic_match {
    uint8_t key[CACHE_KEY_BYTES]; // in the exact cache
    double similarity;
    char request_id[SEMANTIC_ID_MAX]; // of the call that made the answer
};

void semantic_init(struct semantic *s, const struct gateway_semantic *options);
void semantic_done(struct semantic *s);
// The exact cache has this question's answer under `key`. What it had of that key goes.
void semantic_put(struct semantic *s, const struct semantic_question *q,
                  const uint8_t key[static CACHE_KEY_BYTES], str request_id);
// False: there is none with the same facts. *ret_guarded: the nearest of those whose facts differ
// (-1: none), which no threshold lets through.
bool semantic_find(const struct semantic *s, const struct semantic_question *q,
                   struct semantic_match *ret, double *ret_guarded);
// The exact cache has it no more.
void semantic_forget(struct semantic *s, const struct semantic_question *q,
                     const uint8_t key[static CACHE_KEY_BYTES]);
// To length 1. False: it has none, or it is not finite.
bool semantic_normalise(float *vector, size_t len);

// --- What embeddings are bad at (semantic_facts.c). Pure; any thread.
// Numbers, also those written as words; what stands between them (+ - * / = < > …); negations, in
// a handful of languages that are written in Latin letters; names, that is words with a capital
// that begin no sentence; what stands in double quotes or backticks; and every word in other
// letters. In the order of the text, as one number: where it differs, two texts do not mean the
// same, however near they are.
uint64_t semantic_facts(str text);
// How much two answers agree: the share of words in common (F1 over their words without case, the
// first SEMANTIC_WORDS_MAX of each), 1 for the same; *ret_equal: to the byte, with their calls.
#define SEMANTIC_WORDS_MAX 2048
double semantic_agreement(const struct tape *a, const struct tape *b, bool *ret_equal);
