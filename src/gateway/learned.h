// How long a model's answers are: the 95th percentile of those seen, in steps of a quarter of a
// power of two. Older ones fade. One loop's.
#pragma once

#include "base/base.h"

#define LEARNED_BUCKETS 80 // up to a million tokens

struct learned {
    uint32_t counts[LEARNED_BUCKETS], total;
};

void learned_add(struct learned *l, uint64_t tokens);
// An upper bound; 0 while too few were seen to say anything.
uint64_t learned_p95(const struct learned *l);
