// A run: one process that writes records, numbered 1, 2, 3 … in its own sequence. What it had
// seen and what it wrote stand in its row, so that the next start can say how many records a crash,
// or a queue that was full, has cost.
#pragma once

#include "store/db.h"

// *ret_missing: records that earlier runs had taken and never wrote, counted once.
enum err run_begin(struct db *b, int64_t *ret_run, int64_t *ret_missing, struct diag *d) MUST_USE;
// What the batches of a run note of it: prepared once, finalized by whoever holds it.
enum err run_note_prepare(struct db *b, sqlite3_stmt **ret, struct diag *d) MUST_USE;
// Part of the batch's transaction.
enum err run_note(struct db *b, sqlite3_stmt *s, int64_t run, uint64_t seen, uint64_t written,
                  struct diag *d) MUST_USE;
enum err run_end(struct db *b, int64_t run, struct diag *d) MUST_USE;
