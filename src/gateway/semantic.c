#include "gateway/semantic.h"

#include <math.h>

#include "base/mem.h"

#include "base/banned.h"

#define SLOTS 1024
#define LANES 8 // partial sums, so that a product need not wait for the one before

const char *const semantic_mode_names[] = {"off", "shadow", "on", NULL};

struct semantic_entry {
    struct semantic_entry *newer, *older; // of its slot
    struct semantic_question question;    // but for its vector
    float *vector;
    uint8_t key[CACHE_KEY_BYTES];
    char request_id[SEMANTIC_ID_MAX];
};

void semantic_init(struct semantic *s, const struct gateway_semantic *options)
{
    *s = (struct semantic){.options = *options};
    if (options->mode == SEMANTIC_OFF)
        return;
    s->entries = mem_array((size_t)options->entries_max, sizeof *s->entries);
    s->slots = mem_array(SLOTS, sizeof(void *));
}

static struct semantic_entry **slot_of(const struct semantic *s, const uint8_t *bucket)
{
    size_t hash;
    memcpy(&hash, bucket, sizeof hash);
    return &s->slots[hash % SLOTS];
}

static void drop(struct semantic *s, struct semantic_entry *e)
{
    if (!e->vector)
        return;
    if (e->older)
        e->older->newer = e->newer;
    *(e->newer ? &e->newer->older : slot_of(s, e->question.bucket)) = e->older;
    mem_free(e->vector);
    *e = (struct semantic_entry){0};
    s->len--;
}

void semantic_done(struct semantic *s)
{
    for (size_t i = 0; s->entries && i < (size_t)s->options.entries_max; i++)
        drop(s, &s->entries[i]);
    mem_free(s->entries);
    mem_free(s->slots);
    *s = (struct semantic){0};
}

static bool is_in_bucket(const struct semantic_entry *e, const struct semantic_question *q)
{
    return e->question.dimensions == q->dimensions &&
           memcmp(e->question.bucket, q->bucket, CACHE_KEY_BYTES) == 0;
}

void semantic_forget(struct semantic *s, const struct semantic_question *q,
                     const uint8_t key[static CACHE_KEY_BYTES])
{
    struct semantic_entry *e = *slot_of(s, q->bucket);
    while (e && memcmp(e->key, key, CACHE_KEY_BYTES) != 0)
        e = e->older;
    if (e)
        drop(s, e);
}

void semantic_put(struct semantic *s, const struct semantic_question *q,
                  const uint8_t key[static CACHE_KEY_BYTES], str request_id)
{
    ASSERT(q->dimensions && q->dimensions <= SEMANTIC_DIMENSIONS_MAX);
    semantic_forget(s, q, key);
    struct semantic_entry *e = &s->entries[s->next], **slot = slot_of(s, q->bucket);
    s->next = (s->next + 1) % (size_t)s->options.entries_max;
    drop(s, e);
    e->question = *q;
    e->vector = mem_array(q->dimensions, sizeof *e->vector);
    memcpy(e->vector, q->vector, q->dimensions * sizeof *e->vector);
    memcpy(e->key, key, CACHE_KEY_BYTES);
    memcpy(e->request_id, request_id.ptr, min_size(request_id.len, SEMANTIC_ID_MAX - 1));
    e->older = *slot;
    if (*slot)
        (*slot)->newer = e;
    *slot = e;
    s->len++;
}

static double product(const float *a, const float *b, size_t len)
{
    float sums[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= len; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            sums[k] += a[i + k] * b[i + k];
    for (size_t k = 0; i < len; i++, k++)
        sums[k] += a[i] * b[i];
    double sum = 0;
    for (size_t k = 0; k < LANES; k++)
        sum += (double)sums[k];
    return sum > 1 ? 1 : sum;
}

bool semantic_find(const struct semantic *s, const struct semantic_question *q,
                   struct semantic_match *ret, double *ret_guarded)
{
    const struct semantic_entry *best = NULL;
    double nearest = -1, guarded = -1;
    size_t left = SEMANTIC_PRODUCTS_MAX;
    for (const struct semantic_entry *e = *slot_of(s, q->bucket); e; e = e->older) {
        if (!is_in_bucket(e, q))
            continue;
        if (left < q->dimensions)
            break;
        left -= q->dimensions;
        double similarity = product(e->vector, q->vector, q->dimensions);
        bool same = e->question.facts == q->facts;
        if (same && similarity > nearest) {
            nearest = similarity;
            best = e;
        } else if (!same && similarity > guarded) {
            guarded = similarity;
        }
    }
    *ret_guarded = guarded;
    if (!best)
        return false;
    memcpy(ret->key, best->key, CACHE_KEY_BYTES);
    memcpy(ret->request_id, best->request_id, SEMANTIC_ID_MAX);
    ret->similarity = nearest;
    return true;
}

bool semantic_normalise(float *vector, size_t len)
{
    double square = 0;
    for (size_t i = 0; i < len; i++)
        square += (double)vector[i] * (double)vector[i];
    if (!isfinite(square) || square <= 0)
        return false;
    double length = sqrt(square);
    for (size_t i = 0; i < len; i++)
        vector[i] = (float)((double)vector[i] / length);
    return true;
}
