#include "engine/sampler.h"

#include <math.h>

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

static uint64_t draw_below(const struct sampler *s, uint64_t position, uint64_t total)
{
    uint64_t r = random_counter(s->options.seed, s->options.choice, position);
    return (uint64_t)(((unsigned __int128)r * total) >> 64);
}

// Tokens in the order of their ids; the sums of whole stretches are added first.
static int32_t walk_all(const uint32_t *weights, uint32_t n, uint64_t ticket)
{
    enum { STRETCH = 128 };
    uint32_t i = 0;
    for (; i + STRETCH <= n; i += STRETCH) {
        uint64_t sum = 0;
        for (uint32_t j = 0; j < STRETCH; j++)
            sum += weights[i + j];
        if (ticket < sum)
            break;
        ticket -= sum;
    }
    while (ticket >= weights[i])
        ticket -= weights[i++];
    ASSERT(i < n);
    return (int32_t)i;
}

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

// The best goes to the end of the shrinking heap, so that the array ends up worst to best from
// `n - taken` on.
static struct candidate *heap_take(struct candidate *heap, size_t *n)
{
    struct candidate best = heap[0];
    heap[0] = heap[--*n];
    if (*n)
        sift_down(heap, *n, 0);
    heap[*n] = best;
    return &heap[*n];
}

static size_t gather(const float *logits, const struct sampler_scratch *sc, uint32_t n_vocab,
                     uint32_t weight_min)
{
    size_t n = 0;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (sc->weights[i] >= weight_min)
            sc->candidates[n++] = (struct candidate){logits[i], (int32_t)i, sc->weights[i]};
    return n;
}

static uint64_t total_above(const uint32_t *weights, uint32_t n, uint32_t least)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += weights[i] >= least ? weights[i] : 0;
    return total;
}

static uint64_t share_of(float p, uint64_t total)
{
    uint64_t share = (uint64_t)((double)total * (double)p);
    return share ? share : 1;
}

// What will be drawn from: the last `kept` of `n` candidates, the best at the end.
struct nucleus {
    size_t n, kept;
    uint64_t total; // of the weights kept
};

// The best candidates until there are top_k or their weights reach `mass`; false when the
// candidates ran out first.
static bool take_nucleus(struct candidate *c, size_t n, size_t top_k, uint64_t mass,
                         struct nucleus *ret)
{
    struct nucleus u = {.n = n};
    heap_make(c, n);
    for (size_t left = n; left > 0 && u.kept < top_k && u.total < mass; u.kept++)
        u.total += heap_take(c, &left)->weight;
    *ret = u;
    return u.kept == top_k || u.total >= mass;
}

static void cut_to_mass(const struct candidate *c, struct nucleus *u, uint64_t mass)
{
    uint64_t total = 0;
    size_t kept = 0;
    while (kept < u->kept && total < mass)
        total += c[u->n - ++kept].weight;
    u->kept = kept;
    u->total = total;
}

// Most often a handful of tokens carries all that top-k and top-p ask for: candidates are gathered
// from a weight limit that is lowered only when they turn out too few.
static struct nucleus find_nucleus(const struct sampler_options *o, const float *logits,
                                   uint32_t n_vocab, uint64_t total, struct sampler_scratch *sc)
{
    uint32_t least = (uint32_t)((double)o->min_p * WEIGHT_ONE);
    least = least ? least : 1;
    size_t top_k = o->top_k ? o->top_k : SIZE_MAX;
    uint64_t mass = UINT64_MAX;
    if (o->top_p < 1 && !o->top_k)
        mass = share_of(o->top_p, least > 1 ? total_above(sc->weights, n_vocab, least) : total);
    struct nucleus u;
    for (int shift = WEIGHT_ONE_BITS - 8;; shift -= 8) {
        uint32_t limit = shift > 0 && 1u << shift > least ? 1u << shift : least;
        size_t n = gather(logits, sc, n_vocab, limit);
        if (take_nucleus(sc->candidates, n, top_k, mass, &u) || limit == least)
            break;
    }
    if (o->top_k && o->top_p < 1) // top-p of what top-k left: its mass is known only now
        cut_to_mass(sc->candidates, &u, share_of(o->top_p, u.total));
    return u;
}

static int32_t draw_from(const struct candidate *c, const struct nucleus *u, uint64_t ticket)
{
    size_t at = u->n - 1;
    while (ticket >= c[at].weight)
        ticket -= c[at--].weight;
    return c[at].token;
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
    if (o->top_k == 0 && o->top_p >= 1 && o->min_p <= 0)
        return walk_all(sc->weights, n_vocab, draw_below(s, position, total));
    struct nucleus u = find_nucleus(o, logits, n_vocab, total, sc);
    return draw_from(sc->candidates, &u, draw_below(s, position, u.total));
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
