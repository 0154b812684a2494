#include "engine/sampler.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/softmax.h"

#include "base/banned.h"

#define GREEDY_BELOW 1e-5f

struct token_count {
    int32_t token_plus_1; // 0 = empty slot
    uint32_t in_answer;
    bool in_prompt;
};

struct candidate {
    float logit;
    int32_t token;
    uint32_t weight;
};

struct changed_logit {
    int32_t token;
    float was;
};

// --- Tokens seen

static bool counts_are_needed(const struct sampler_options *o)
{
    return o->presence_penalty != 0 || o->frequency_penalty != 0 || o->repetition_penalty != 1;
}

void sampler_init(struct sampler *s, const struct sampler_options *o)
{
    *s = (struct sampler){.options = *o};
    if (counts_are_needed(o)) {
        s->counts_cap = 64;
        s->counts = mem_array(s->counts_cap, sizeof *s->counts);
    }
}

void sampler_done(struct sampler *s)
{
    mem_free(s->counts);
    s->counts = NULL;
}

static struct token_count *slot_of(const struct sampler *s, int32_t token)
{
    size_t at = (uint32_t)token * 0x9e3779b9u;
    for (;; at++) {
        struct token_count *c = &s->counts[at & (s->counts_cap - 1)];
        if (c->token_plus_1 == 0 || c->token_plus_1 == token + 1)
            return c;
    }
}

static void double_counts(struct sampler *s)
{
    struct token_count *old = s->counts;
    size_t old_cap = s->counts_cap;
    s->counts_cap *= 2;
    s->counts = mem_array(s->counts_cap, sizeof *s->counts);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i].token_plus_1)
            *slot_of(s, old[i].token_plus_1 - 1) = old[i];
    mem_free(old);
}

static struct token_count *count_of(struct sampler *s, int32_t token)
{
    if (s->counts_len * 2 >= s->counts_cap)
        double_counts(s);
    struct token_count *c = slot_of(s, token);
    if (!c->token_plus_1) {
        c->token_plus_1 = token + 1;
        s->counts_len++;
    }
    return c;
}

void sampler_see_prompt(struct sampler *s, const int32_t *tokens, size_t n)
{
    if (s->options.repetition_penalty == 1)
        return;
    for (size_t i = 0; i < n; i++)
        count_of(s, tokens[i])->in_prompt = true;
}

void sampler_accept(struct sampler *s, int32_t token)
{
    if (s->counts)
        count_of(s, token)->in_answer++;
}

// --- Changing logits in place, and back

static void reserve_scratch(struct sampler_scratch *sc, uint32_t n_vocab, size_t changes)
{
    if (sc->vocab_cap < n_vocab) {
        sc->vocab_cap = n_vocab;
        sc->weights = mem_resize(sc->weights, n_vocab, sizeof *sc->weights);
        sc->candidates = mem_resize(sc->candidates, n_vocab, sizeof *sc->candidates);
    }
    if (sc->changed_cap < changes) {
        sc->changed_cap = changes * 2;
        sc->changed = mem_resize(sc->changed, sc->changed_cap, sizeof *sc->changed);
    }
    sc->changed_len = 0;
}

void sampler_scratch_done(struct sampler_scratch *scratch)
{
    mem_free(scratch->weights);
    mem_free(scratch->candidates);
    mem_free(scratch->changed);
    *scratch = (struct sampler_scratch){0};
}

static void change(struct sampler_scratch *sc, float *logits, int32_t token, float to)
{
    sc->changed[sc->changed_len++] = (struct changed_logit){token, logits[token]};
    logits[token] = to;
}

static float penalized(const struct sampler_options *o, const struct token_count *c, float logit)
{
    if (o->repetition_penalty != 1)
        logit = logit > 0 ? logit / o->repetition_penalty : logit * o->repetition_penalty;
    if (c->in_answer)
        logit -= o->presence_penalty + o->frequency_penalty * (float)c->in_answer;
    return logit;
}

static void change_logits(const struct sampler *s, float *logits, const int32_t *banned,
                          size_t banned_len, struct sampler_scratch *sc)
{
    const struct sampler_options *o = &s->options;
    for (size_t i = 0; i < o->bias_len; i++)
        change(sc, logits, o->bias[i].token, logits[o->bias[i].token] + o->bias[i].bias);
    for (size_t i = 0; s->counts && i < s->counts_cap; i++) {
        int32_t token = s->counts[i].token_plus_1 - 1;
        if (token >= 0)
            change(sc, logits, token, penalized(o, &s->counts[i], logits[token]));
    }
    for (size_t i = 0; i < banned_len; i++)
        change(sc, logits, banned[i], -INFINITY);
}

static void restore_logits(float *logits, struct sampler_scratch *sc)
{
    while (sc->changed_len > 0) {
        struct changed_logit *c = &sc->changed[--sc->changed_len];
        logits[c->token] = c->was;
    }
}

// --- Choosing

static int32_t first_with(const float *logits, uint32_t n, float value)
{
    uint32_t i = 0;
    while (i < n && logits[i] != value)
        i++;
    return i < n ? (int32_t)i : -1;
}

static uint64_t ticket_below(const struct sampler *s, uint64_t position, uint64_t total)
{
    uint64_t r = random_counter(s->options.seed, s->options.choice, position);
    return (uint64_t)(((unsigned __int128)r * total) >> 64);
}

// What may be drawn: tokens at least as good as the cut, and of at least that weight.
struct cut {
    float logit;
    int32_t token;   // the worst one kept
    uint32_t weight; // the least
    uint64_t total;  // of all weights kept
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
enum { BUCKET_BITS = 3, BUCKETS = (WEIGHT_ONE_BITS + 1) << BUCKET_BITS };

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

static void tally(const uint32_t *weights, uint32_t n, uint32_t least, struct bucket *buckets)
{
    memset(buckets, 0, BUCKETS * sizeof *buckets);
    for (uint32_t i = 0; i < n; i++)
        if (weights[i] >= least) {
            struct bucket *b = &buckets[bucket_of(weights[i])];
            b->mass += weights[i];
            b->count++;
        }
}

static size_t gather(const float *logits, const struct sampler_scratch *sc, uint32_t n_vocab,
                     uint32_t least, uint32_t bucket)
{
    size_t n = 0;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (sc->weights[i] >= least && bucket_of(sc->weights[i]) == bucket)
            sc->candidates[n++] = (struct candidate){logits[i], (int32_t)i, sc->weights[i]};
    return n;
}

// The cut after the best tokens whose count reaches `count_max` or whose mass reaches `mass_max`:
// false when all of at least that weight together do not.
static bool find_cut(const float *logits, uint32_t n_vocab, uint32_t least, size_t count_max,
                     uint64_t mass_max, struct sampler_scratch *sc, struct cut *ret)
{
    struct bucket buckets[BUCKETS];
    tally(sc->weights, n_vocab, least, buckets);
    size_t count = 0;
    uint64_t mass = 0;
    for (uint32_t b = BUCKETS; b-- > 0;) {
        if (count + buckets[b].count < count_max && mass + buckets[b].mass < mass_max) {
            count += buckets[b].count;
            mass += buckets[b].mass;
            continue;
        }
        size_t n = gather(logits, sc, n_vocab, least, b);
        struct candidate last = {0};
        heap_make(sc->candidates, n);
        for (; count < count_max && mass < mass_max; count++) {
            last = heap_take(sc->candidates, &n);
            mass += last.weight;
        }
        *ret = (struct cut){last.logit, last.token, least, mass};
        return true;
    }
    *ret = (struct cut){-INFINITY, 0, least, mass};
    return false;
}

// Most often a handful of tokens carries all that is asked for: the light ones are looked at only
// when the heavy ones turn out too few.
static struct cut find_best(const float *logits, uint32_t n_vocab, uint32_t least, size_t count_max,
                            uint64_t mass_max, struct sampler_scratch *sc)
{
    const uint32_t heavy = WEIGHT_ONE >> 12;
    struct cut cut;
    if (least >= heavy || !find_cut(logits, n_vocab, heavy, count_max, mass_max, sc, &cut))
        find_cut(logits, n_vocab, least, count_max, mass_max, sc, &cut);
    return cut;
}

static uint64_t share_of(float p, uint64_t total)
{
    uint64_t share = (uint64_t)((double)total * (double)p);
    return share ? share : 1;
}

static struct cut cut_by_options(const struct sampler_options *o, const float *logits,
                                 uint32_t n_vocab, uint64_t total, struct sampler_scratch *sc)
{
    uint32_t least = (uint32_t)((double)o->min_p * WEIGHT_ONE);
    least = least ? least : 1;
    struct cut cut = {-INFINITY, 0, least, total};
    if (o->top_k || least > 1)
        cut = find_best(logits, n_vocab, least, o->top_k ? o->top_k : SIZE_MAX, UINT64_MAX, sc);
    if (o->top_p < 1) // of what those left
        cut = find_best(logits, n_vocab, least, SIZE_MAX, share_of(o->top_p, cut.total), sc);
    return cut;
}

static inline uint32_t kept_weight(const float *logits, const uint32_t *weights, uint32_t i,
                                   const struct cut *c)
{
    bool kept = logits[i] > c->logit || (logits[i] == c->logit && i <= (uint32_t)c->token);
    return kept && weights[i] >= c->weight ? weights[i] : 0;
}

// Tokens in the order of their ids; the sums of whole stretches are added first.
static int32_t draw(const float *logits, const uint32_t *weights, uint32_t n, const struct cut *c,
                    uint64_t ticket)
{
    enum { STRETCH = 128 };
    uint32_t i = 0;
    for (; i + STRETCH <= n; i += STRETCH) {
        uint64_t sum = 0;
        for (uint32_t k = i; k < i + STRETCH; k++)
            sum += kept_weight(logits, weights, k, c);
        if (ticket < sum)
            break;
        ticket -= sum;
    }
    for (;; i++) {
        ASSERT(i < n);
        uint32_t weight = kept_weight(logits, weights, i, c);
        if (ticket < weight)
            return (int32_t)i;
        ticket -= weight;
    }
}

static int32_t pick_changed(const struct sampler *s, const float *logits, uint32_t n_vocab,
                            uint64_t position, struct sampler_scratch *sc)
{
    const struct sampler_options *o = &s->options;
    float max = softmax_max(logits, n_vocab);
    if (!isfinite(max))
        return -1;
    if (o->temperature < GREEDY_BELOW || o->top_k == 1)
        return first_with(logits, n_vocab, max);
    uint64_t total = softmax_weights(logits, n_vocab, max, 1.0f / o->temperature, sc->weights);
    struct cut cut = cut_by_options(o, logits, n_vocab, total, sc);
    return draw(logits, sc->weights, n_vocab, &cut, ticket_below(s, position, cut.total));
}

int32_t sampler_pick(const struct sampler *s, float *logits, uint32_t n_vocab, uint64_t position,
                     const int32_t *banned, size_t banned_len, struct sampler_scratch *scratch)
{
    reserve_scratch(scratch, n_vocab, s->options.bias_len + s->counts_len + banned_len);
    change_logits(s, logits, banned, banned_len, scratch);
    int32_t token = pick_changed(s, logits, n_vocab, position, scratch);
    restore_logits(logits, scratch);
    return token;
}

// --- Log-probabilities

struct logprobs logprobs_of(const float *logits, uint32_t n_vocab)
{
    float max = softmax_max(logits, n_vocab);
    return (struct logprobs){max, softmax_log_sum(logits, n_vocab, max)};
}

float logprobs_get(const struct logprobs *l, float logit)
{
    return (float)((double)logit - (double)l->max - l->log_sum);
}

uint32_t logprobs_top(const struct logprobs *l, const float *logits, uint32_t n_vocab, uint32_t n,
                      struct engine_logprob *ret_top)
{
    uint32_t len = 0;
    for (uint32_t i = 0; n > 0 && i < n_vocab; i++) {
        if (len == n && !(logits[i] > ret_top[len - 1].logprob))
            continue;
        uint32_t at = len < n ? len++ : n - 1;
        for (; at > 0 && logits[i] > ret_top[at - 1].logprob; at--)
            ret_top[at] = ret_top[at - 1];
        ret_top[at] = (struct engine_logprob){(int32_t)i, logits[i]};
    }
    for (uint32_t i = 0; i < len; i++)
        ret_top[i].logprob = logprobs_get(l, ret_top[i].logprob);
    return len;
}
