// Log-linear histogram of durations or sizes: relative error ≤ 1/64, 1 unit … 2^40 units. Not
// thread-safe: one a thread, merged by a reader.
#pragma once

#include "base/base.h"

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_BUCKETS  ((41 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count, sum, min, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
// The value at quantile q in [0,1] (upper edge of its bucket, never above max); 0 when empty.
uint64_t histogram_quantile(const struct histogram *h, double q);
// How many values are at most `value`, to the histogram's precision.
uint64_t histogram_count_to(const struct histogram *h, double value);
double histogram_mean(const struct histogram *h);
