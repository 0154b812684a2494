#include "gateway/learned.h"

#include "base/banned.h"

#define ENOUGH 20   // answers, before anything is said
#define FADE   4096 // at so many all counts are halved

// Bucket 4e + q ends at 2^e + (q + 1) · 2^e / 4.
static uint64_t end_of(unsigned bucket)
{
    uint64_t power = 1ull << (bucket / 4);
    return power + (bucket % 4 + 1) * power / 4;
}

static unsigned bucket_of(uint64_t tokens)
{
    unsigned b = 0;
    while (b < LEARNED_BUCKETS - 1 && tokens > end_of(b))
        b++;
    return b;
}

void learned_add(struct learned *l, uint64_t tokens)
{
    l->counts[bucket_of(tokens)]++;
    if (++l->total < FADE)
        return;
    l->total = 0;
    for (unsigned b = 0; b < LEARNED_BUCKETS; b++)
        l->total += l->counts[b] /= 2;
}

uint64_t learned_p95(const struct learned *l)
{
    uint32_t seen = 0;
    if (l->total < ENOUGH)
        return 0;
    for (unsigned b = 0; b < LEARNED_BUCKETS; b++) {
        seen += l->counts[b];
        if ((uint64_t)seen * 100 >= (uint64_t)l->total * 95)
            return end_of(b);
    }
    return end_of(LEARNED_BUCKETS - 1);
}
