// Kernels over a whole vocabulary of logits, for the sampler. Inputs are finite or -infinity.
#pragma once

#include "engine/kernel/impl_math.h"
#include "engine/kernel/vector.h"

// 16 elements from i, -infinity past n: its exponential is 0, and it is never the largest.
INLINE vf load_logits(const float *x, size_t i, size_t n)
{
    if (LIKELY(i + LANES <= n))
        return vf_load(x + i);
    float last[LANES];
    for (size_t k = 0; k < LANES; k++)
        last[k] = i + k < n ? x[i + k] : -__builtin_inff();
    return vf_load(last);
}

static float max_of(const float *x, size_t n)
{
    vf m[4], none = vf_set1(-__builtin_inff());
    m[0] = m[1] = m[2] = m[3] = none;
    for (size_t i = 0; i < n; i += 4 * LANES)
        for (size_t k = 0; k < 4; k++)
            if (LIKELY(i + k * LANES < n))
                m[k] = vf_max(load_logits(x, i + k * LANES, n), m[k]);
    return vf_hmax(vf_max(vf_max(m[0], m[1]), vf_max(m[2], m[3])));
}

// Sixteen weights and their part of the sums. The conversion cuts: all processors have that one.
INLINE void weigh(vf x, float max, float scale, uint32_t w[LANES], uint64_t sums[LANES])
{
    float rounded[LANES];
    vf e = vf_exp(vf_mul(vf_sub(x, vf_set1(max)), vf_set1(scale)));
    vf_store(rounded, vf_add(vf_mul(e, vf_set1((float)WEIGHT_ONE)), vf_set1(0.5f)));
    for (size_t k = 0; k < LANES; k++)
        w[k] = (uint32_t)(int32_t)rounded[k];
    for (size_t k = 0; k < LANES; k++)
        sums[k] += w[k];
}

static uint64_t exp_weights(const float *x, size_t n, float max, float scale, uint32_t *weights)
{
    uint64_t sums[LANES] = {0}, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        weigh(vf_load(x + i), max, scale, weights + i, sums);
    if (i < n) {
        uint32_t last[LANES];
        weigh(load_logits(x, i, n), max, scale, last, sums);
        memcpy(weights + i, last, (n - i) * sizeof *last);
    }
    for (size_t k = 0; k < LANES; k++)
        total += sums[k];
    return total;
}

INLINE void add_exps(vf x, float max, double sums[LANES])
{
    float e[LANES];
    vf_store(e, vf_exp(vf_sub(x, vf_set1(max))));
    for (size_t k = 0; k < LANES; k++)
        sums[k] += (double)e[k];
}

static double exp_sum(const float *x, size_t n, float max)
{
    double sums[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        add_exps(vf_load(x + i), max, sums);
    if (i < n)
        add_exps(load_logits(x, i, n), max, sums);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t k = 0; k < half; k++)
            sums[k] += sums[k + half];
    return sums[0];
}
