// Kernels over single rows: right against double precision, and the same bits on every backend.
// REQ: ENG-6
#include <float.h>
#include <math.h>

#include "base/mem.h"
#include "engine/kernel/fpmode.h"
#include "engine/kernel/half.h"
#include "engine/kernel/kernel.h"
#include "support/unit.h"
#include "unit/engine_kernel/made.h"

#define N 1024

struct rows {
    float x[N], y[N], weight[N], bias[N];
};

static struct rows *make_rows(uint64_t seed, bool nasty)
{
    struct rows *r = mem_aligned(64, sizeof *r);
    struct random rnd;
    random_seed(&rnd, seed);
    made_floats(&rnd, nasty, r->x, N);
    made_floats(&rnd, nasty, r->y, N);
    made_floats(&rnd, false, r->weight, N);
    made_floats(&rnd, false, r->bias, N);
    return r;
}

static double mean_of(const float *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i];
    return s / (double)n;
}

static double variance_about(const float *x, double centre, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += ((double)x[i] - centre) * ((double)x[i] - centre);
    return s / (double)n;
}

static void norms_are_right(void **state)
{
    (void)state;
    static const size_t SIZES[] = {1, 8, 15, 16, 17, 64, 65, 192, 333, 768, 1000};
    struct rows *r = make_rows(1, false);
    float out[N];
    for (size_t s = 0; s < ARRAY_LEN(SIZES); s++) {
        size_t n = SIZES[s];
        double mean = mean_of(r->x, n);
        double layer = 1 / sqrt(variance_about(r->x, mean, n) + 1e-5);
        double rms = 1 / sqrt(variance_about(r->x, 0, n) + 1e-5);
        for (size_t k = 0; kernel_at(k); k++) {
            kernel_at(k)->layer_norm(r->x, r->weight, r->bias, n, 1e-5f, out);
            for (size_t i = 0; i < n; i++) {
                double w = (double)r->weight[i], b = (double)r->bias[i];
                assert_true(fabs((double)out[i] - (((double)r->x[i] - mean) * layer * w + b)) <
                            3e-5);
            }
            kernel_at(k)->rms_norm(r->x, r->weight, n, 1e-5f, out);
            for (size_t i = 0; i < n; i++)
                assert_true(fabs((double)out[i] - (double)r->x[i] * rms * (double)r->weight[i]) <
                            1e-5);
        }
    }
    mem_free(r);
}

static void exponentials_are_right(void **state)
{
    (void)state;
    float x[N], y[N];
    for (size_t k = 0; kernel_at(k); k++)
        for (float base = -87.0f; base < 87.9f; base += 0.37f) {
            for (size_t i = 0; i < N; i++)
                x[i] = base + (float)i * (0.37f / N);
            kernel_at(k)->exp(x, N, y);
            for (size_t i = 0; i < N; i++)
                assert_true(fabs((double)y[i] / exp((double)x[i]) - 1) < 2e-7);
        }
}

static void exponentials_end_well(void **state)
{
    (void)state;
    float x[LANES] = {-87.0f, -87.00001f, -1e30f, -INFINITY, NAN, 0.0f, -0.0f, 0x1p-149f}, y[LANES];
    for (size_t k = 0; kernel_at(k); k++) {
        kernel_at(k)->exp(x, LANES, y);
        assert_true(y[0] > 1e-38f);
        assert_true(y[1] == 0 && y[2] == 0 && y[3] == 0);
        assert_true(isnan(y[4]));
        assert_true(y[5] == 1 && y[6] == 1 && y[7] == 1);
    }
}

static void activations_are_right(void **state)
{
    (void)state;
    float x[N], y[N], up[N];
    for (size_t k = 0; kernel_at(k); k++) {
        for (size_t i = 0; i < N; i++)
            x[i] = y[i] = ((float)i - N / 2) / 32.0f, up[i] = 0.5f;
        kernel_at(k)->gelu(x, N);
        kernel_at(k)->silu_mul(y, up, N);
        for (size_t i = 0; i < N; i++) {
            double v = ((double)i - N / 2) / 32.0;
            double gelu =
                0.5 * v * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (v + 0.044715 * v * v * v)));
            assert_true(fabs((double)x[i] - gelu) < 1e-6 * (1 + fabs(v)));
            assert_true(fabs((double)y[i] - 0.5 * v / (1 + exp(-v))) < 1e-6 * (1 + fabs(v)));
        }
    }
}

static void quantised_blocks_follow_the_rule(void **state)
{
    (void)state;
    struct rows *r = make_rows(3, false);
    struct act_block q[N / 32];
    for (size_t k = 0; kernel_at(k); k++) {
        kernel_at(k)->quantise(r->x, N, q);
        for (size_t b = 0; b < N / 32; b++) {
            float amax = 0;
            int sum[2] = {0, 0};
            for (size_t i = 0; i < 32; i++)
                amax = fmaxf(amax, fabsf(r->x[b * 32 + i]));
            for (size_t i = 0; i < 32; i++) {
                assert_int_equal(q[b].q[i], (int)rintf(r->x[b * 32 + i] * (127.0f / amax)));
                sum[i / 16] += q[b].q[i];
            }
            assert_true(q[b].d == amax / 127.0f);
            assert_true(q[b].sum == q[b].d * (float)(sum[0] + sum[1]));
            assert_int_equal(q[b].minus128, -128 * (sum[0] + sum[1]));
            assert_int_equal(q[b].minus8, -8 * (sum[0] + sum[1]));
            assert_int_equal(q[b].minus32_of16[0], -32 * sum[0]);
            assert_int_equal(q[b].minus32_of16[1], -32 * sum[1]);
        }
    }
    mem_free(r);
}

static void ties_are_quantised_to_even(void **state)
{
    (void)state;
    float x[32] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 3.5f};
    static const int8_t WANT[7] = {127, 0, 2, 2, 0, -2, 4};
    for (size_t k = 0; kernel_at(k); k++) {
        struct act_block q;
        kernel_at(k)->quantise(x, 32, &q);
        assert_memory_equal(q.q, WANT, sizeof WANT);
    }
}

static void odd_blocks_are_defined(void **state)
{
    (void)state;
    float tiny[32] = {0x1p-101f, 0x1p-149f}, bad[32] = {1.0f, INFINITY, NAN};
    for (size_t k = 0; kernel_at(k); k++) {
        struct act_block q;
        kernel_at(k)->quantise(tiny, 32, &q);
        assert_true(q.d == 0 && q.sum == 0 && q.q[0] == 0);
        kernel_at(k)->quantise(bad, 32, &q);
        assert_true(isnan(q.d) && isnan(q.sum) && q.q[0] == 0 && q.q[1] == 0);
    }
}

static void non_finite_values_are_seen(void **state)
{
    (void)state;
    float x[40] = {0};
    x[7] = FLT_MAX;
    for (size_t k = 0; kernel_at(k); k++)
        for (size_t n = 1; n <= 39; n++)
            for (size_t at = 0; at < 40; at++) {
                float kept = x[at];
                x[at] = at % 2 ? -INFINITY : NAN;
                assert_int_equal(kernel_at(k)->all_finite(x, n), at >= n);
                x[at] = kept;
            }
}

static void run_all(const struct kernel *k, const struct rows *in, size_t n, struct rows out[5],
                    struct act_block *q)
{
    k->layer_norm(in->x, in->weight, in->bias, n, 1e-5f, out[0].x);
    k->rms_norm(in->x, in->weight, n, 1e-5f, out[0].y);
    memcpy(out[1].x, in->x, sizeof in->x);
    memcpy(out[1].y, in->x, sizeof in->x);
    k->gelu(out[1].x, n);
    k->silu_mul(out[1].y, in->y, n);
    memcpy(out[2].x, in->x, sizeof in->x);
    k->add(out[2].x, in->y, n);
    memcpy(out[3].x, in->x, sizeof in->x);
    k->add_sum(out[3].x, in->y, in->bias, n);
    k->exp(in->x, n, out[2].y);
    k->quantise(in->x, N, q);
}

static void rows_are_the_same_bits_everywhere(void **state)
{
    (void)state;
    static struct rows want[5], got[5];
    static struct act_block want_q[N / 32], got_q[N / 32];
    for (uint64_t seed = 10; seed < 40; seed++) {
        struct rows *in = make_rows(seed, seed % 2 == 0);
        size_t n = seed % 3 ? N : 1 + seed * 17;
        run_all(kernel_find("portable"), in, n, want, want_q);
        for (size_t k = 0; kernel_at(k); k++) {
            memset(got, 0, sizeof got);
            run_all(kernel_at(k), in, n, got, got_q);
            assert_true(same_bits(want[3].x, got[3].x, n));
            for (int i = 0; i < 3; i++) {
                assert_true(same_bits(want[i].x, got[i].x, n));
                assert_true(same_bits(want[i].y, got[i].y, n));
            }
            for (size_t b = 0; b < N / 32; b++) {
                assert_memory_equal(want_q[b].q, got_q[b].q, 32);
                assert_true(same_bits(&want_q[b].d, &got_q[b].d, 2));
                assert_memory_equal(&want_q[b].minus128, &got_q[b].minus128, 16);
            }
        }
        mem_free(in);
    }
}

static void halves_are_rounded_to_even(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 5);
    for (int round = 0; round < 4000; round++) {
        float v[LANES], key[LANES] = {0};
        uint16_t k_block[LANES * LANES], v_block[LANES * LANES];
        for (int i = 0; i < LANES; i++) { // all exponents that matter, and ties
            uint32_t bits = (uint32_t)random_next(&r);
            bits = (bits & 0x807FFFFFu) | (uint32_t)(100 + random_below(&r, 46)) << 23;
            if (i % 2)
                bits &= ~0xFFFu;
            memcpy(&v[i], &bits, 4);
        }
        for (size_t k = 0; kernel_at(k); k++) {
            kernel_at(k)->kv_store((uint8_t *)k_block, (uint8_t *)v_block, 0, key, v, LANES, true);
            for (int i = 0; i < LANES; i++)
                assert_int_equal(v_block[i], half_from_float(v[i]));
        }
    }
    assert_int_equal(half_from_float(65519.996f), 0x7BFF);
    assert_int_equal(half_from_float(65520.0f), 0x7C00);
    assert_int_equal(half_from_float(0x1p-25f), 0);
    assert_int_equal(half_from_float(0x1.8p-25f), 1);
    assert_int_equal(half_from_float(-0x1.8p-24f), 0x8002);
}

int main(void)
{
    fpmode_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms_are_right),
        cmocka_unit_test(exponentials_are_right),
        cmocka_unit_test(exponentials_end_well),
        cmocka_unit_test(activations_are_right),
        cmocka_unit_test(quantised_blocks_follow_the_rule),
        cmocka_unit_test(ties_are_quantised_to_even),
        cmocka_unit_test(odd_blocks_are_defined),
        cmocka_unit_test(non_finite_values_are_seen),
        cmocka_unit_test(rows_are_the_same_bits_everywhere),
        cmocka_unit_test(halves_are_rounded_to_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
