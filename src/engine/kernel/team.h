// A fixed team of compute threads with a light barrier. The caller's thread is member 0. Sleeps
// when idle (spins briefly first).
#pragma once

#include "base/err.h"

struct team;

enum err team_new(size_t threads, struct team **ret,
                  struct diag *d) MUST_USE; // threads ≥ 1; 1 = no extra thread
void team_free(struct team *t);
size_t team_size(const struct team *t);
// work(ctx, member, size) on every member; returns when all are done. Members set FP rounding and
// subnormal mode themselves.
void team_run(struct team *t, void (*work)(void *ctx, size_t member, size_t size), void *ctx);
