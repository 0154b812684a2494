// Writing a group of records in one transaction. For store.c alone, on its thread.
#pragma once

#include "store/request.h"
#include "store/shadow.h"
#include "store/spend.h"

#define BATCH_MAX 512

struct batch_writer {
    struct db *db;
    int64_t run;
    sqlite3_stmt *request, *attempt, *shadow, *note;
    struct spend_statement spend;
    int64_t records, records_max; // requests in the table; the bound
};

struct batch_item {
    uint64_t seq;
    struct store_request *request; // or
    struct store_shadow *shadow;
};

enum err batch_prepare(struct batch_writer *w, struct db *b, int64_t run, int64_t records_max,
                       struct diag *d) MUST_USE;
void batch_done(struct batch_writer *w);
// All of them or none. `seen`: the newest number given out; `written`: records of this run on disk
// when this batch is.
enum err batch_write(struct batch_writer *w, const struct batch_item *items, size_t len,
                     uint64_t seen, uint64_t written, struct diag *d) MUST_USE;
