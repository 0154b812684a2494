// For tests of grammars: a vocabulary of all bytes and some longer pieces, and what a compiled
// grammar says of whole texts.
#pragma once

#include "engine/grammar/automaton.h"

extern const char *const grammar_words[]; // beyond the 256 bytes
enum { GRAMMAR_WORDS = 40, GRAMMAR_TOKENS = 256 + GRAMMAR_WORDS };

str grammar_word(uint32_t token);
void grammar_words_trie(struct token_trie *ret);
bool grammar_fits(struct automaton *a, str text);   // the whole text may be said
bool grammar_begins(struct automaton *a, str text); // … or begun with it
// Random tokens among those allowed until nothing is, or `tokens_max` are said. How it ended.
struct random;
struct buf;
bool grammar_ramble(struct automaton *a, struct random *r, size_t tokens_max, struct buf *out);
