// The registry's insides, for metrics.c and exposition.c alone.
//
// Publication: a family's entries and an entry's cells are singly linked lists that only grow,
// under the lock, with release stores; a scrape walks them with acquire loads and needs no lock.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/map.h"
#include "telemetry/metrics.h"

// One series in one shard. `value` holds the bits of a double: a counter's or gauge's value, a
// histogram's sum.
struct metrics_series {
    const struct metric *metric;
    struct metrics_series *next; // of the same entry; written before publication
    _Atomic uint64_t value;
    _Atomic uint64_t buckets[]; // buckets_len + 1, the last is +Inf
};

// One series in all shards.
struct metrics_entry {
    struct metrics_entry *_Atomic next;
    struct metrics_series *_Atomic cells;
    char *labels; // rendered: a="x",b="y"
};

struct metrics_family {
    struct metrics_entry *_Atomic first;
    struct metrics_entry *last; // under the lock
};

struct metrics_shard {
    struct metrics *metrics;
    struct metrics_shard *next;
    struct map cells;                // key to struct metrics_series, of this thread alone
    struct metrics_series **nowhere; // a metric's series past the limit, made when needed
};

struct metrics_collector {
    metrics_collect_fn fn;
    void *ctx;
};

struct metrics {
    const struct metric *table;
    size_t len, series_max;
    pthread_mutex_t lock; // entries, cells' publication, shards
    struct map entries;   // key to struct metrics_entry
    struct metrics_family *families;
    struct metrics_shard *shards;
    _Atomic uint64_t dropped;
    _Atomic size_t series_count;
    pthread_mutex_t collecting; // only ever tried
    struct metrics_shard *collect_shard;
    struct metrics_collector collectors[METRICS_COLLECTOR_MAX];
    size_t collectors_len;
};

double metrics_value(const struct metrics_series *s);
