#include "engine/nucleus.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "engine/kernel/kernel.h"

#include "base/banned.h"

struct candidate {
    float logit;
    int32_t token;
    uint32_t weight;
};

void nucleus_reserve(struct nucleus_scratch *sc, uint32_t n_vocab)
{
    if (sc->vocab_cap >= n_vocab)
        return;
    sc->vocab_cap = n_vocab;
    sc->weights = mem_resize(sc->weights, n_vocab, sizeof *sc->weights);
    sc->selected = mem_resize(sc->selected, (size_t)n_vocab + 1, sizeof *sc->selected);
    sc->candidates = mem_resize(sc->candidates, n_vocab, sizeof *sc->candidates);
}

void nucleus_done(struct nucleus_scratch *sc)
{
    mem_free(sc->weights);
    mem_free(sc->selected);
    mem_free(sc->candidates);
    *sc = (struct nucleus_scratch){0};
}

// The random number's share of the total: 0 … total - 1.
static uint64_t ticket_below(uint64_t random, uint64_t total)
{
    return (uint64_t)(((unsigned __int128)random * total) >> 64);
}

// Tokens in the order of their ids; the sums of whole stretches are added first.
static int32_t draw_from_all(const uint32_t *weights, uint32_t n, uint64_t ticket)
{
    enum { STRETCH = 128 };
    uint32_t i = 0;
    for (; i + STRETCH <= n; i += STRETCH) {
        uint64_t sum = 0;
        for (uint32_t k = i; k < i + STRETCH; k++)
            sum += weights[k];
        if (ticket < sum)
            break;
        ticket -= sum;
    }
    for (; ticket >= weights[i]; i++)
        ticket -= weights[i];
    ASSERT(i < n);
    return (int32_t)i;
}

// What may be drawn: tokens at least as good as this one.
struct cut {
    float logit;
    int32_t token;
    uint64_t total; // of all weights kept
};

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

// A heap whose root is the best candidate: as many as are needed are taken off, and no more are
// sorted.
static void sift_down(struct candidate *heap, size_t n, size_t at)
{
    struct candidate moving = heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && is_better(&heap[child + 1], &heap[child]))
            child++;
        if (!is_better(&heap[child], &moving))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moving;
}

static void heap_make(struct candidate *heap, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
}

static struct candidate heap_take(struct candidate *heap, size_t *n)
{
    struct candidate best = heap[0];
    heap[0] = heap[--*n];
    if (*n)
        sift_down(heap, *n, 0);
    return best;
}

// Weights fall into buckets of an eighth of an octave. Only the bucket in which a limit is reached
// is ever looked at token by token.
enum { SELECT_STRETCH = 32, BUCKET_BITS = 3, BUCKETS = (WEIGHT_ONE_BITS + 1) << BUCKET_BITS };

struct bucket {
    uint64_t mass;
    size_t count;
};

static uint32_t bucket_of(uint32_t weight)
{
    uint32_t octave = 31 - (uint32_t)__builtin_clz(weight);
    uint32_t fraction = weight << (31 - octave) << 1 >> (32 - BUCKET_BITS);
    return octave << BUCKET_BITS | fraction;
}

static bool any_is_heavy(const uint32_t *weights, uint32_t least)
{
    int32_t any = 0; // weights are below 2^31, and processors compare signed numbers best
    for (uint32_t i = 0; i < SELECT_STRETCH; i++)
        any |= (int32_t)weights[i] >= (int32_t)least;
    return any;
}

static size_t select_range(struct nucleus_scratch *sc, size_t n, uint32_t from, uint32_t to,
                           uint32_t least)
{
    for (uint32_t i = from; i < to; i++) { // without a branch: a write too many costs less
        sc->selected[n] = i;
        n += sc->weights[i] >= least;
    }
    return n;
}

// The tokens of at least that weight, in the order of their ids.
static void select_tokens(struct nucleus_scratch *sc, uint32_t n_vocab, uint32_t least)
{
    size_t n = 0;
    uint32_t i = 0;
    for (; i + SELECT_STRETCH <= n_vocab; i += SELECT_STRETCH)
        if (any_is_heavy(sc->weights + i, least))
            n = select_range(sc, n, i, i + SELECT_STRETCH, least);
    sc->n_selected = select_range(sc, n, i, n_vocab, least);
}

static void tally(const struct nucleus_scratch *sc, struct bucket *buckets)
{
    memset(buckets, 0, BUCKETS * sizeof *buckets);
    for (size_t i = 0; i < sc->n_selected; i++) {
        uint32_t weight = sc->weights[sc->selected[i]];
        struct bucket *b = &buckets[bucket_of(weight)];
        b->mass += weight;
        b->count++;
    }
}

static size_t gather(const float *logits, const struct nucleus_scratch *sc, uint32_t bucket)
{
    size_t n = 0;
    for (size_t i = 0; i < sc->n_selected; i++) {
        uint32_t token = sc->selected[i], weight = sc->weights[token];
        if (bucket_of(weight) == bucket)
            sc->candidates[n++] = (struct candidate){logits[token], (int32_t)token, weight};
    }
    return n;
}

// The cut after the best of the selected tokens whose count reaches `count_max` or whose mass
// reaches `mass_max`: false when all of them together do not.
static bool find_cut(const float *logits, size_t count_max, uint64_t mass_max,
                     struct nucleus_scratch *sc, struct cut *ret)
{
    struct bucket buckets[BUCKETS];
    tally(sc, buckets);
    size_t count = 0;
    uint64_t mass = 0;
    for (uint32_t b = BUCKETS; b-- > 0;) {
        if (count + buckets[b].count < count_max && mass + buckets[b].mass < mass_max) {
            count += buckets[b].count;
            mass += buckets[b].mass;
            continue;
        }
        size_t n = gather(logits, sc, b);
        struct candidate last = {0};
        heap_make(sc->candidates, n);
        for (; count < count_max && mass < mass_max; count++) {
            last = heap_take(sc->candidates, &n);
            mass += last.weight;
        }
        *ret = (struct cut){last.logit, last.token, mass};
        return true;
    }
    *ret = (struct cut){-INFINITY, 0, mass};
    return false;
}

// Most often a handful of tokens carries all that is asked for: the light ones are looked at only
// when the heavy ones turn out too few.
static struct cut find_best(const float *logits, uint32_t n_vocab, uint32_t least, size_t count_max,
                            uint64_t mass_max, struct nucleus_scratch *sc)
{
    struct cut cut;
    for (uint32_t limit = WEIGHT_ONE >> 10;; limit >>= 8) {
        limit = limit > least ? limit : least;
        select_tokens(sc, n_vocab, limit);
        if (find_cut(logits, count_max, mass_max, sc, &cut) || limit == least)
            return cut;
    }
}

static uint64_t share_of(float p, uint64_t total)
{
    uint64_t share = (uint64_t)((double)total * (double)p);
    return share ? share : 1;
}

static int32_t draw_from_selected(const float *logits, const struct nucleus_scratch *sc,
                                  const struct cut *cut, uint64_t ticket)
{
    const struct candidate worst = {cut->logit, cut->token, 0};
    for (size_t i = 0;; i++) {
        ASSERT(i < sc->n_selected);
        const struct candidate c = {logits[sc->selected[i]], (int32_t)sc->selected[i], 0};
        uint32_t weight = is_better(&worst, &c) ? 0 : sc->weights[c.token];
        if (ticket < weight)
            return c.token;
        ticket -= weight;
    }
}

static int32_t draw_filtered(const struct nucleus_options *o, const float *logits, uint32_t n_vocab,
                             uint64_t total, uint64_t random, struct nucleus_scratch *sc)
{
    struct cut cut = {-INFINITY, 0, total};
    uint32_t least = (uint32_t)((double)o->min_p * WEIGHT_ONE);
    if (least > 0) {
        select_tokens(sc, n_vocab, least);
        find_cut(logits, SIZE_MAX, UINT64_MAX, sc, &cut); // all of them: for the total
    } else {
        least = 1;
    }
    if (o->top_k)
        cut = find_best(logits, n_vocab, least, o->top_k, UINT64_MAX, sc);
    if (o->top_k && o->top_p < 1) // of what that left, which stands selected
        find_cut(logits, SIZE_MAX, share_of(o->top_p, cut.total), sc, &cut);
    else if (o->top_p < 1)
        cut = find_best(logits, n_vocab, least, SIZE_MAX, share_of(o->top_p, cut.total), sc);
    return draw_from_selected(logits, sc, &cut, ticket_below(random, cut.total));
}

int32_t nucleus_draw(const struct nucleus_options *o, const float *logits, uint32_t n_vocab,
                     uint64_t total, uint64_t random, struct nucleus_scratch *sc)
{
    if (o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0)
        return draw_from_all(sc->weights, n_vocab, ticket_below(random, total));
    return draw_filtered(o, logits, n_vocab, total, random, sc);
}
