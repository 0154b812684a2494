// Groups: what was written in one commit is one row, because a row of its own costs a record more
// than the request it tells of. A group's message has its records in order, each a field numbered
// by its kind.
#pragma once

#include "base/buf.h"
#include "store/record.h"

// Groups are numbered by their first record: run << GROUP_RUN_SHIFT | seq.
#define GROUP_RUN_SHIFT 40

struct group_writer {
    struct db *db;
    int64_t run;
    sqlite3_stmt *insert, *oldest, *forget;
    struct buf message; // kept for its memory
    int64_t requests;   // on disk
};

enum err group_prepare(struct group_writer *w, struct db *b, int64_t run, struct diag *d) MUST_USE;
void group_done(struct group_writer *w);
// In the caller's transaction. Records are in the order of their seq; at least one.
enum err group_write(struct group_writer *w, struct record *const *records, size_t len,
                     struct diag *d) MUST_USE;
// Forgets the oldest groups, so that at least requests_max requests stay; *ret_forgotten: how many
// went. Some groups a call, so that no commit takes long.
enum err group_prune(struct group_writer *w, int64_t requests_max, int64_t *ret_forgotten,
                     struct diag *d) MUST_USE;

// The newest record of that kind that tells of the request: its message, in the arena. An id that
// tells its time is found at once, another one by looking through the groups from the newest.
// ERR_NOT_FOUND.
enum err group_find(struct db *b, enum record_kind kind, str request_id, struct arena *a,
                    str *ret_message, struct diag *d) MUST_USE;
