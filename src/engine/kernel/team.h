// A fixed team of compute threads with a light barrier. The caller's thread is member 0. Members
// wait for the next work or barrier as progress.h says: an idle team costs nothing. One caller at a
// time. Inside team_run every member has the floating-point mode that exactness asks for
// (fpmode.h); the caller's own mode is put back afterwards.
#pragma once

#include "base/err.h"

struct team;

enum err team_new(size_t threads, struct team **ret,
                  struct diag *d) MUST_USE; // threads ≥ 1; 1 = no extra thread
void team_free(struct team *t);
size_t team_size(const struct team *t);
// work(ctx, member, size) on every member; returns when all are done.
void team_run(struct team *t, void (*work)(void *ctx, size_t member, size_t size), void *ctx);
// Called by every member inside work: returns when all have arrived, and what each wrote before is
// seen by all.
void team_barrier(struct team *t);
