// A grammar that holds one answer: where the answer stands in it, and which tokens may come next.
// Compiled grammars are shared: by the choices of a request, and by later requests with the same
// one, with all that was learnt of them. What is allowed is a function of the answer's bytes alone,
// so neither batches nor guesses nor the sharing change a bit.
//
// Threads: constraint_new any; the others the scheduler and its team (the grammar has a lock of its
// own). Bounded: GRAMMARS_KEPT compiled ones a model, GRAMMARS_KEPT_BYTES_MAX in all.
#pragma once

#include "engine/engine.h"
#include "engine/grammar/grammar.h"

struct constraint;
struct engine_job;
struct grammars; // of one model: its vocabulary as a tree, and what is compiled

enum { GRAMMARS_KEPT = 16, GRAMMARS_KEPT_BYTES_MAX = 64 << 20 };

struct grammars *grammars_new(void);
void grammars_free(struct grammars *g); // no constraint is left

// The grammar is compiled already and nobody is at work on the list of those: takes no time. False:
// constraint_new would have to compile or wait; not on a loop.
bool constraint_at_hand(const struct engine_model *m, const struct engine_request *r,
                        struct constraint **ret);
// ERR_INVALID also when r->grammar_said does not fit.
enum err constraint_new(const struct engine_model *m, const struct engine_request *r,
                        struct constraint **ret, struct diag *d) MUST_USE;
void constraint_free(struct constraint *c);

// The tokens that may follow the answer and the n tokens ahead of it: a bit each, of n_vocab.
// False: those ahead do not fit, so that nothing follows them.
bool constraint_mask(struct constraint *c, const struct engine_job *j, const int32_t *ahead,
                     size_t n, uint64_t *mask);
// The answer goes on by this text, which the mask allowed.
void constraint_accept(struct constraint *c, str text);
// The answer is complete: nothing could follow.
bool constraint_is_over(struct constraint *c);
