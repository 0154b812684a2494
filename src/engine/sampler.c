#include "engine/sampler.h"

#include <math.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/kernel/kernel.h"

#include "base/banned.h"

#define GREEDY_BELOW 1e-5f

struct token_count {
    int32_t token_plus_1; // 0 = empty slot
    uint32_t in_answer;
    bool in_prompt;
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
    nucleus_reserve(&sc->nucleus, n_vocab);
    if (sc->changed_cap < changes) {
        sc->changed_cap = changes * 2;
        sc->changed = mem_resize(sc->changed, sc->changed_cap, sizeof *sc->changed);
    }
    sc->changed_len = 0;
}

void sampler_scratch_done(struct sampler_scratch *scratch)
{
    nucleus_done(&scratch->nucleus);
    mem_free(scratch->changed);
    *scratch = (struct sampler_scratch){.kernel = scratch->kernel};
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

static uint32_t occurrences(const int32_t *tokens, size_t n, int32_t token)
{
    uint32_t times = 0;
    for (size_t i = 0; i < n; i++)
        times += tokens[i] == token;
    return times;
}

static void penalize_ahead(const struct sampler *s, float *logits, int32_t token,
                           struct sampler_scratch *sc)
{
    struct token_count c = *slot_of(s, token); // an empty slot counts nothing
    c.in_answer += occurrences(sc->ahead, sc->ahead_len, token);
    change(sc, logits, token, penalized(&s->options, &c, logits[token]));
}

static void change_logits(const struct sampler *s, float *logits, const int32_t *banned,
                          size_t banned_len, struct sampler_scratch *sc)
{
    const struct sampler_options *o = &s->options;
    for (size_t i = 0; i < o->bias_len; i++)
        change(sc, logits, o->bias[i].token, logits[o->bias[i].token] + o->bias[i].bias);
    for (size_t i = 0; s->counts && i < s->counts_cap; i++) {
        int32_t token = s->counts[i].token_plus_1 - 1;
        if (token >= 0 && !occurrences(sc->ahead, sc->ahead_len, token))
            change(sc, logits, token, penalized(o, &s->counts[i], logits[token]));
    }
    for (size_t i = 0; s->counts && i < sc->ahead_len; i++)
        if (!occurrences(sc->ahead, i, sc->ahead[i]))
            penalize_ahead(s, logits, sc->ahead[i], sc);
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

static int32_t pick_changed(const struct sampler *s, const float *logits, uint32_t n_vocab,
                            uint64_t position, struct sampler_scratch *sc)
{
    const struct sampler_options *o = &s->options;
    float max = sc->kernel->max(logits, n_vocab);
    if (!isfinite(max))
        return -1;
    if (o->temperature < GREEDY_BELOW || o->top_k == 1)
        return first_with(logits, n_vocab, max);
    uint64_t total =
        sc->kernel->exp_weights(logits, n_vocab, max, 1.0f / o->temperature, sc->nucleus.weights);
    const struct nucleus_options n = {o->top_k, o->top_p, o->min_p};
    return nucleus_draw(&n, logits, n_vocab, total, random_counter(o->seed, o->choice, position),
                        &sc->nucleus);
}

int32_t sampler_pick(const struct sampler *s, float *logits, uint32_t n_vocab, uint64_t position,
                     const int32_t *banned, size_t banned_len, struct sampler_scratch *scratch)
{
    size_t changes = s->options.bias_len + s->counts_len + scratch->ahead_len + banned_len;
    reserve_scratch(scratch, n_vocab, changes);
    change_logits(s, logits, banned, banned_len, scratch);
    int32_t token = pick_changed(s, logits, n_vocab, position, scratch);
    restore_logits(logits, scratch);
    return token;
}
