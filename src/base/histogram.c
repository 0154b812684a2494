#include "base/histogram.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

#define VALUE_MAX (((uint64_t)1 << 41) - 1)

void histogram_init(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

// Values below 64 have a bucket each; above, every power of two is cut in 64.
static size_t bucket_of(uint64_t value)
{
    if (value > VALUE_MAX)
        value = VALUE_MAX;
    if (value < SUB_COUNT)
        return (size_t)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

static uint64_t upper_edge(size_t bucket)
{
    if (bucket < 2 * SUB_COUNT)
        return bucket;
    size_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t mantissa = (bucket & (SUB_COUNT - 1)) + SUB_COUNT;
    return ((mantissa + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->min = h->count == 0 || value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->sum += value;
    h->count++;
    h->buckets[bucket_of(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    if (from->count == 0)
        return;
    into->min = into->count == 0 || from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    into->sum += from->sum;
    into->count += from->count;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    if (h->count == 0)
        return 0;
    if (!(q > 0))
        return h->min;
    if (q >= 1)
        return h->max;
    uint64_t rank = (uint64_t)ceil(q * (double)h->count); // nearest rank, 1-based
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            uint64_t edge = upper_edge(i);
            return i == HISTOGRAM_BUCKETS - 1 || edge > h->max ? h->max : edge;
        }
    }
    return h->max;
}

uint64_t histogram_count_to(const struct histogram *h, double value)
{
    if (!(value >= 0))
        return 0;
    if (value >= (double)h->max)
        return h->count;
    size_t last = bucket_of((uint64_t)value); // below max, so it fits
    uint64_t seen = 0;
    for (size_t i = 0; i <= last; i++)
        seen += h->buckets[i];
    return seen;
}

double histogram_mean(const struct histogram *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
