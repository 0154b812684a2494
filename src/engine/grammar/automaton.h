// A graph at work: a pushdown automaton whose states are made when they are first reached, and
// kept. A state is the ordered set of the places in the graph where what was said so far may stand,
// each with the rules to go back to. Never a dead end: a place is only entered when from it the end
// can be reached within the depth allowed and by bytes that the vocabulary can say alone; so from
// every state but a finished one some byte goes on. What a state allows is a function of the bytes
// that led to it, never of what was asked before.
//
// Owner: one thread at a time (engine/constraint.h has the lock). Bounded: AUTOMATON_BYTES_MAX of
// states kept; beyond it all are forgotten but those in hand, the epoch counts up, and states of an
// earlier epoch are void: lead the bytes through again. More than AUTOMATON_PLACES_MAX places at
// once (a very ambiguous grammar), or rules more than AUTOMATON_DEPTH_MAX deep in each other: what
// is too much is not allowed; what is left is still within the grammar. A mask that would take a
// look at more than AUTOMATON_WORK_MAX places (some 5 ms; only grammars that are made for it do)
// allows nothing; work that earlier masks have done already counts the same, so that a state always
// allows the same. Tokens of a slice (slice.h) are taken without a look at the places on their way:
// with more than AUTOMATON_PLACES_MAX of these one may, after all, lead to a dead end.
#pragma once

#include "engine/grammar/graph.h"
#include "engine/grammar/token_trie.h"

enum {
    AUTOMATON_BYTES_MAX = 24 << 20,
    AUTOMATON_PLACES_MAX = 512,
    AUTOMATON_DEPTH_MAX = 96,
    AUTOMATON_WORK_MAX = 1 << 18,
    AUTOMATON_DEAD = 0,
};

struct automaton;

// ERR_LIMIT: the graph is full; ERR_INVALID: a rule begins with itself, or nothing can be said in
// the vocabulary. The graph is not kept; the trie outlives the automaton.
enum err automaton_new(const struct graph *g, uint32_t root, const struct token_trie *trie,
                       struct automaton **ret, struct diag *d) MUST_USE;
void automaton_free(struct automaton *a);

uint32_t automaton_epoch(const struct automaton *a);
uint32_t automaton_start(struct automaton *a);
// Where the byte leads; AUTOMATON_DEAD when it is not allowed.
uint32_t automaton_step(struct automaton *a, uint32_t state, uint8_t byte);
uint32_t automaton_feed(struct automaton *a, uint32_t state, str bytes);
bool automaton_accepts(const struct automaton *a, uint32_t state); // the text may end here
bool automaton_goes_on(struct automaton *a, uint32_t state);       // … or some byte may follow
// A bit for each token that may come next: token_mask_words of them, valid until the next call.
// *state is renewed when the epoch has changed within.
const uint64_t *automaton_mask(struct automaton *a, uint32_t *state);
// The same where tokens say other texts than usual, none longer; not kept.
void automaton_mask_of(struct automaton *a, const struct token_trie *texts, uint32_t *state,
                       uint64_t *ret_mask);
size_t automaton_bytes(const struct automaton *a); // kept
