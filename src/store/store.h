// The store: records of requests, keys and spend, in one SQLite file. One thread of it writes; the
// rest of the program hands records over and never waits. Records are numbered in the order in
// which they came; they are written in groups, of what comes within some 50 ms, and those up to
// store_durable are on disk: a crash or a power cut loses none of them. A full queue drops the
// record and counts it.
//
// Owner: whoever opened it; any thread may put. Keys are made by other processes (`weir key`),
// which open the file themselves; the store's thread sees them and tells its watcher.
#pragma once

#include "store/key.h"
#include "store/request.h"
#include "store/shadow.h"

struct store;

struct store_options {
    const char *path;
    int64_t records_max; // the oldest go when there are more
    // On the store's thread, and once inside store_open: all keys, whenever any has changed. They
    // and what they point to last until it returns. `spend`: the money that each has spent in its
    // budget's current period, by the same index.
    void (*keys)(void *ctx, const struct store_key *keys, const int64_t *spent_nano_usd,
                 size_t len);
    void *ctx;
};

struct store_stats {
    uint64_t written;  // records on disk
    uint64_t dropped;  // the queue was full, or the disk refused until the end
    uint64_t missing;  // records that earlier runs had taken and never wrote
    uint64_t failures; // writes that did not succeed (and are tried again)
    uint64_t waiting;  // in the queue
};

#define STORE_QUEUE_MAX 16384

// Makes the file where it is not there. Blocks.
enum err store_open(const struct store_options *o, struct store **ret, struct diag *d) MUST_USE;
// Writes what waits, and ends. NULL is fine.
void store_close(struct store *s);
// A copy is taken. False: the queue is full, and the record is dropped (and counted).
bool store_put(struct store *s, const struct store_request *r) MUST_USE;
// The same for the record of a copy; it is one of those that are numbered and counted.
bool store_put_shadow(struct store *s, const struct store_shadow *r) MUST_USE;
// Records up to this number are on disk (or were dropped).
uint64_t store_durable(const struct store *s);
// Waits until all that was put before is on disk; false after timeout_ms.
bool store_flush(struct store *s, uint64_t timeout_ms) MUST_USE;
void store_stats(const struct store *s, struct store_stats *ret);
