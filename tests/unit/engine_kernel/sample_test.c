// The sampler's kernels: the same weights and sums on every backend, at any length.
// REQ: ENG-6 ENG-7
#include "engine/kernel/fpmode.h"
#include "engine/kernel/kernel.h"
#include "support/unit.h"
#include "unit/engine_kernel/made.h"

enum { VOCAB = 1000 };

static float logits[VOCAB];

static void make_logits(uint64_t seed, float spread)
{
    struct random r;
    random_seed(&r, seed);
    for (size_t i = 0; i < VOCAB; i++)
        logits[i] = (float)(random_unit(&r) + random_unit(&r) + random_unit(&r)) * spread;
    for (size_t i = seed % 7; i < VOCAB; i += 97)
        logits[i] = -__builtin_inff(); // a banned token
}

static void check(const struct kernel *k, const struct kernel *plain, size_t n, float scale)
{
    static uint32_t w[VOCAB], w0[VOCAB];
    float max = plain->max(logits, n), other_max = k->max(logits, n);
    assert_memory_equal(&max, &other_max, sizeof max);
    double sum = plain->exp_sum(logits, n, max), other_sum = k->exp_sum(logits, n, max);
    assert_memory_equal(&sum, &other_sum, sizeof sum);
    uint64_t total = plain->exp_weights(logits, n, max, scale, w0);
    assert_int_equal(total, k->exp_weights(logits, n, max, scale, w));
    assert_memory_equal(w, w0, n * sizeof *w);
}

static void all_backends_weigh_alike(void **state)
{
    (void)state;
    static const float SCALES[] = {0.01f, 0.7f, 1, 1.43f, 100};
    const struct kernel *plain = kernel_find("portable");
    for (size_t n = 2; n <= VOCAB; n += n < 70 ? 1 : 93) {
        make_logits(n, n % 3 ? 25 : 0.5f);
        for (size_t k = 0; kernel_at(k); k++)
            for (size_t s = 0; s < sizeof SCALES / sizeof *SCALES; s++)
                check(kernel_at(k), plain, n, SCALES[s]);
    }
}

int main(void)
{
    fpmode_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_backends_weigh_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
