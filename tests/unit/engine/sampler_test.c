// The sampler against its definition: a plain, sorting, double-precision one beside it.
//
// REQ: ENG-7
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/kernel/kernel.h"
#include "engine/logprobs.h"
#include "engine/sampler.h"
#include "support/unit.h"

enum { VOCAB = 1000 };

static float logits[VOCAB];
static struct sampler_scratch scratch;
static const struct kernel *kernel;

static struct sampler_options plain(void)
{
    return (struct sampler_options){
        .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 42};
}

static void make_logits(uint64_t seed, float spread)
{
    struct random r;
    random_seed(&r, seed);
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = (float)(random_unit(&r) + random_unit(&r) + random_unit(&r)) * spread;
}

static int32_t pick_at(const struct sampler_options *o, uint64_t position)
{
    struct sampler s;
    sampler_init(&s, o);
    float before[VOCAB];
    memcpy(before, logits, sizeof logits);
    int32_t token = sampler_pick(&s, logits, VOCAB, position, NULL, 0, &scratch);
    assert_memory_equal(before, logits, sizeof logits);
    sampler_done(&s);
    return token;
}

// --- The definition

struct ranked {
    float logit;
    int32_t token;
    double p;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->token < y->token ? -1 : 1;
}

// Probability of each token, by sorting everything. How many tokens are kept.
static size_t distribution(const struct sampler_options *o, double *p)
{
    struct ranked all[VOCAB];
    double total = 0;
    for (int32_t i = 0; i < VOCAB; i++)
        all[i] = (struct ranked){logits[i], i, 0};
    qsort(all, VOCAB, sizeof *all, by_rank);
    for (size_t i = 0; i < VOCAB; i++)
        all[i].p = exp(((double)all[i].logit - (double)all[0].logit) / (double)o->temperature);
    size_t n = 0;
    while (n < VOCAB && (o->top_k == 0 || n < o->top_k) && all[n].p >= (double)o->min_p)
        total += all[n++].p;
    double mass = 0;
    size_t kept = 0;
    while (kept < n && (kept == 0 || o->top_p >= 1 || mass < (double)o->top_p * total))
        mass += all[kept++].p;
    memset(p, 0, VOCAB * sizeof *p);
    for (size_t i = 0; i < kept; i++)
        p[all[i].token] = all[i].p / mass;
    return kept;
}

// Draws against the definition: what it excludes never comes, and the rest comes as often as
// it says (chi-square over tokens expected often).
static void assert_distribution(const struct sampler_options *o)
{
    enum { DRAWS = 6000 };
    static double p[VOCAB];
    static uint32_t seen[VOCAB];
    distribution(o, p);
    memset(seen, 0, sizeof seen);
    for (uint64_t i = 0; i < DRAWS; i++)
        seen[pick_at(o, i)]++;
    double chi = 0;
    int cells = 0;
    for (size_t i = 0; i < VOCAB; i++) {
        double want = p[i] * DRAWS;
        if (p[i] == 0)
            assert_int_equal(seen[i], 0);
        if (want < 20)
            continue;
        chi += (seen[i] - want) * (seen[i] - want) / want;
        cells++;
    }
    assert_true(chi < cells + 5 * sqrt(2.0 * cells) + 5);
}

static void test_draws_follow_the_distribution(void **state)
{
    (void)state;
    static const struct {
        float temperature, top_p, min_p;
        uint32_t top_k;
    } cases[] = {
        {1, 1, 0, 0},         {0.7f, 1, 0, 0},       {2, 1, 0, 0},        {1, 0.9f, 0, 0},
        {1, 0.5f, 0, 0},      {1, 1, 0.1f, 0},       {1, 1, 0, 40},       {1, 0.8f, 0, 40},
        {1, 0.95f, 0.05f, 0}, {1, 0.9f, 0.02f, 100}, {0.3f, 0.99f, 0, 3}, {100, 0.99f, 0, 0},
        {1, 0, 0, 0},
    };
    for (uint64_t seed = 1; seed <= 2; seed++)
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            struct sampler_options o = plain();
            make_logits(seed, seed == 1 ? 4 : 12);
            o.temperature = cases[i].temperature;
            o.top_p = cases[i].top_p;
            o.min_p = cases[i].min_p;
            o.top_k = cases[i].top_k;
            assert_distribution(&o);
        }
}

static void test_greedy_and_ties(void **state)
{
    (void)state;
    make_logits(5, 3);
    logits[700] = logits[300] = logits[900] = 50;
    struct sampler_options o = plain();
    o.temperature = 0;
    assert_int_equal(pick_at(&o, 0), 300);
    o.temperature = 1;
    o.top_k = 2;
    for (uint64_t i = 0; i < 50; i++) {
        int32_t t = pick_at(&o, i);
        assert_true(t == 300 || t == 700);
    }
    o.top_k = 0;
    o.top_p = 0.5f; // two of three equal ones hold it
    for (uint64_t i = 0; i < 50; i++)
        assert_true(pick_at(&o, i) != 900);
}

static void test_the_key_decides(void **state)
{
    (void)state;
    make_logits(6, 2);
    struct sampler_options o = plain();
    int32_t first[20], again = 0, other_seed = 0, other_choice = 0;
    for (uint64_t i = 0; i < 20; i++)
        first[i] = pick_at(&o, i);
    for (uint64_t i = 20; i-- > 0;)
        again += pick_at(&o, i) == first[i];
    assert_int_equal(again, 20);
    o.seed = 43;
    for (uint64_t i = 0; i < 20; i++)
        other_seed += pick_at(&o, i) == first[i];
    o.seed = 42;
    o.choice = 1;
    for (uint64_t i = 0; i < 20; i++)
        other_choice += pick_at(&o, i) == first[i];
    assert_true(other_seed < 5 && other_choice < 5);
}

static int32_t greedy_after(const struct sampler_options *o, const int32_t *prompt, size_t n_prompt,
                            const int32_t *answer, size_t n_answer)
{
    struct sampler s;
    sampler_init(&s, o);
    sampler_see_prompt(&s, prompt, n_prompt);
    for (size_t i = 0; i < n_answer; i++)
        sampler_accept(&s, answer[i]);
    int32_t t = sampler_pick(&s, logits, VOCAB, 0, NULL, 0, &scratch);
    sampler_done(&s);
    return t;
}

static void test_penalties(void **state)
{
    (void)state;
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = -10;
    logits[1] = 3;
    logits[2] = 2.5f;
    logits[3] = 2.2f;
    const int32_t seen[] = {1, 1, 2};
    struct sampler_options o = plain();
    o.temperature = 0;
    assert_int_equal(greedy_after(&o, seen, 3, seen, 3), 1);
    o.repetition_penalty = 1.3f; // 3/1.3 = 2.31, 2.5/1.3 = 1.92
    assert_int_equal(greedy_after(&o, seen, 3, NULL, 0), 1);
    o.repetition_penalty = 1.4f; // 3/1.4 = 2.14
    assert_int_equal(greedy_after(&o, seen, 3, NULL, 0), 3);
    o.repetition_penalty = 1;
    o.presence_penalty = 0.6f; // once, however often: 2.4, 1.9; not for the prompt
    assert_int_equal(greedy_after(&o, seen, 3, NULL, 0), 1);
    assert_int_equal(greedy_after(&o, NULL, 0, seen, 3), 1);
    o.presence_penalty = 0.9f;
    assert_int_equal(greedy_after(&o, NULL, 0, seen, 3), 3);
    o.presence_penalty = 0;
    o.frequency_penalty = 0.35f; // twice for 1: 2.3; once for 2: 2.15
    assert_int_equal(greedy_after(&o, NULL, 0, seen, 3), 1);
    o.frequency_penalty = 0.45f;
    assert_int_equal(greedy_after(&o, NULL, 0, seen, 3), 3);
    logits[1] = -1;
    logits[2] = -2;
    logits[3] = -2.5f;
    o.frequency_penalty = 0;
    o.repetition_penalty = 3; // negative ones grow: -3, -6
    assert_int_equal(greedy_after(&o, seen, 3, NULL, 0), 3);
}

static void test_many_tokens_are_counted(void **state)
{
    (void)state;
    make_logits(8, 1);
    struct sampler_options o = plain();
    o.temperature = 0;
    o.presence_penalty = 100;
    struct sampler s;
    sampler_init(&s, &o);
    bool seen[VOCAB] = {0};
    for (size_t i = 0; i < VOCAB; i++) {
        int32_t t = sampler_pick(&s, logits, VOCAB, i, NULL, 0, &scratch);
        assert_false(seen[t]);
        seen[t] = true;
        sampler_accept(&s, t);
    }
    sampler_done(&s);
}

static void test_bias_and_bans(void **state)
{
    (void)state;
    make_logits(9, 2);
    struct engine_bias bias[] = {{17, 100}, {18, 100.5f}, {17, 2}};
    struct sampler_options o = plain();
    o.bias = bias;
    o.bias_len = 3;
    o.temperature = 0;
    struct sampler s;
    sampler_init(&s, &o);
    int32_t banned[] = {17};
    assert_int_equal(sampler_pick(&s, logits, VOCAB, 0, NULL, 0, &scratch), 17);
    assert_int_equal(sampler_pick(&s, logits, VOCAB, 0, banned, 1, &scratch), 18);
    int32_t all[VOCAB];
    for (int32_t i = 0; i < VOCAB; i++)
        all[i] = i;
    assert_int_equal(sampler_pick(&s, logits, VOCAB, 0, all, VOCAB, &scratch), -1);
    assert_int_equal(sampler_pick(&s, logits, VOCAB, 0, all, VOCAB - 1, &scratch), VOCAB - 1);
    sampler_done(&s);
}

static void test_extreme_logits(void **state)
{
    (void)state;
    struct sampler_options o = plain();
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = -1e30f;
    logits[500] = 1e30f;
    assert_int_equal(pick_at(&o, 0), 500);
    o.temperature = 1e-5f;
    assert_int_equal(pick_at(&o, 0), 500);
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = 0;
    o.temperature = 1;
    o.top_p = 0.9f;
    for (uint64_t i = 0; i < 100; i++)
        assert_in_range(pick_at(&o, i), 0, 899); // ties by id
    o.top_p = 1;
    o.top_k = 5000;
    assert_in_range(pick_at(&o, 0), 0, VOCAB - 1);
}

// --- Exponentials and logarithms

static void test_weights_are_close_and_sum_up(void **state)
{
    (void)state;
    float x[VOCAB];
    uint32_t w[VOCAB];
    for (size_t n = 1; n < VOCAB; n += 37) {
        for (size_t i = 0; i < n; i++)
            x[i] = -(float)i * 0.021f;
        uint64_t total = kernel->exp_weights(x, n, kernel->max(x, n), 1, w), sum = 0;
        for (size_t i = 0; i < n; i++) {
            double want = exp((double)x[i]) * WEIGHT_ONE;
            assert_true(fabs(w[i] - want) <= 0.5 + want * 3e-7);
            sum += w[i];
        }
        assert_int_equal(total, sum);
    }
}

static void test_log_sum_and_log(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 2);
    for (int i = 0; i < 10000; i++) {
        double x = exp(random_unit(&r) * 40 - 20);
        assert_true(fabs(logprobs_log(x) - log(x)) < 2e-15 * (1 + fabs(log(x))));
    }
    assert_true(logprobs_log(1) == 0);
    for (size_t n = 1; n < VOCAB; n += 53) {
        make_logits(n, 9);
        double sum = 0;
        float max = kernel->max(logits, n);
        for (size_t i = 0; i < n; i++)
            sum += exp((double)logits[i] - (double)max);
        assert_true(fabs(kernel->exp_sum(logits, n, max) / sum - 1) < 2e-7);
    }
}

static void test_top_logprobs(void **state)
{
    (void)state;
    make_logits(11, 5);
    logits[3] = logits[900] = logits[40]; // ties
    struct logprobs l = logprobs_of(kernel, logits, VOCAB);
    struct engine_logprob top[20];
    assert_int_equal(logprobs_top(&l, logits, VOCAB, 20, top), 20);
    struct ranked all[VOCAB];
    double sum = 0;
    for (int32_t i = 0; i < VOCAB; i++) {
        all[i] = (struct ranked){logits[i], i, 0};
        sum += exp((double)logits[i]);
    }
    qsort(all, VOCAB, sizeof *all, by_rank);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(top[i].token, all[i].token);
        assert_true(fabs((double)top[i].logprob - ((double)all[i].logit - log(sum))) < 2e-6);
    }
    assert_int_equal(logprobs_top(&l, logits, 5, 20, top), 5);
    assert_int_equal(logprobs_top(&l, logits, VOCAB, 0, top), 0);
}

static int done(void **state)
{
    (void)state;
    sampler_scratch_done(&scratch);
    return 0;
}

int main(void)
{
    kernel = scratch.kernel = kernel_find(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_follow_the_distribution),
        cmocka_unit_test(test_greedy_and_ties),
        cmocka_unit_test(test_the_key_decides),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_many_tokens_are_counted),
        cmocka_unit_test(test_bias_and_bans),
        cmocka_unit_test(test_extreme_logits),
        cmocka_unit_test(test_weights_are_close_and_sum_up),
        cmocka_unit_test(test_log_sum_and_log),
        cmocka_unit_test(test_top_logprobs),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
