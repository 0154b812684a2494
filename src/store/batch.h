// Writing a batch: its records as one group, the money they cost, and the old ones that go, in one
// transaction. For store.c alone, on its thread.
#pragma once

#include "store/group.h"
#include "store/spend.h"

#define BATCH_MAX       4096
#define BATCH_BYTES_MAX (4u << 20) // a batch ends with the record that passes it

struct batch_writer {
    struct db *db;
    struct group_writer groups;
    sqlite3_stmt *note;
    struct spend_statement spend;
    int64_t records_max; // requests on disk
};

enum err batch_prepare(struct batch_writer *w, struct db *b, int64_t run, int64_t records_max,
                       struct diag *d) MUST_USE;
void batch_done(struct batch_writer *w);
// How many records one batch may have, so that whole groups can go without many too few.
size_t batch_max(const struct batch_writer *w);
// All of them or none. `seen`: the newest number given out; `written`: records of this run on disk
// when this batch is.
enum err batch_write(struct batch_writer *w, struct record *const *records, size_t len,
                     uint64_t seen, uint64_t written, struct diag *d) MUST_USE;
