// Metrics: counters, gauges and histograms declared in one table. A registry lives as long as the
// process. Each thread that counts has a shard of its own (owner: that thread alone) and no two
// threads write the same word: an update is a relaxed load and store, no lock and no atomic
// read-modify-write. A scrape (any thread, also several at once) adds the shards up.
//
// A series is a metric with one value a label. Finding one is a hash look-up in the shard; only the
// first time that a shard meets a series it takes the registry's lock, briefly. Keep the pointer
// where it is used often: it is valid for the registry's life.
//
// Limits: `series_max` series in all; what would pass it is counted and thrown away. So label
// values come from the configuration and from closed lists, never from a client.
#pragma once

#include "base/err.h"
#include "base/histogram.h"
#include "base/str.h"

#define METRICS_LABELS_MAX    4
#define METRICS_BUCKETS_MAX   32
#define METRICS_VALUE_MAX     200 // bytes of a label's value; longer or not UTF-8: "invalid"
#define METRICS_COLLECTOR_MAX 8

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric_label {
    const char *name; // NULL ends the list
    // The closed list of values, NULL-ended: all of them are exported, as 0, as soon as one is
    // known. NULL: open, any value.
    const char *const *values;
};

struct metric {
    const char *name; // as Prometheus text has it; NULL ends the table
    enum metric_type type;
    const char *unit; // "seconds", "bytes", "ratio" or NULL; the name's last word (before _total)
    const char *help; // one sentence
    struct metric_label labels[METRICS_LABELS_MAX + 1];
    const double *buckets; // HISTOGRAM: upper edges, ascending, without +Inf
    size_t buckets_len;
};

struct metrics;        // the registry
struct metrics_shard;  // one thread's share
struct metrics_series; // one series in one shard

// The table outlives the registry.
struct metrics *metrics_new(const struct metric *table, size_t series_max);
void metrics_free(struct metrics *m); // with all shards; no thread counts any more
// A new shard for the calling thread. Shards are given back only with the registry.
struct metrics_shard *metrics_shard(struct metrics *m);

// The series of row `metric` with these label values, one a declared label, in that order. Never
// NULL: past series_max it is one that nobody reads. A value outside a closed list is a programmer
// error.
struct metrics_series *metrics_series(struct metrics_shard *s, size_t metric, const str *values);
#define METRICS_VALUES(...) ((const str[]){__VA_ARGS__})

// All of these only on the shard's thread.
void metrics_add(struct metrics_series *s, double by);    // counter (by >= 0), gauge
void metrics_set(struct metrics_series *s, double value); // gauge; counter kept by someone else
void metrics_observe(struct metrics_series *s, double v); // histogram
// Histogram kept by someone else: replace all by what `h` holds, times `unit` (1e-6 for µs to s).
void metrics_mirror(struct metrics_series *s, const struct histogram *h, double unit);

// A collector is called at the start of each scrape, on the scraping thread and never twice at
// once, with a shard kept for collectors: the place to metrics_set what others count. A gauge is
// the sum over shards: set it in one place only, or add and subtract anywhere. Register before the
// first scrape.
typedef void (*metrics_collect_fn)(void *ctx, struct metrics_shard *s);
void metrics_collector(struct metrics *m, metrics_collect_fn fn, void *ctx);

// How many series there are, and how many look-ups were thrown away at the limit.
size_t metrics_series_count(const struct metrics *m);
uint64_t metrics_series_dropped(const struct metrics *m);
