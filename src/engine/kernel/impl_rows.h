// Kernels over one row: norms, quantisation, activations, sums.
#pragma once

#include "engine/kernel/impl_math.h"
#include "engine/kernel/vector.h"

#define PARTIALS 4 // vectors of partial sums: element i goes to sum i mod 64

// 16 elements from i, zeros past n.
INLINE vf load_tail(const float *x, size_t i, size_t n)
{
    if (LIKELY(i + LANES <= n))
        return vf_load(x + i);
    float last[LANES] = {0};
    memcpy(last, x + i, (n - i) * sizeof *x);
    return vf_load(last);
}

INLINE float fold(const vf s[PARTIALS])
{
    return vf_sum(vf_add(vf_add(s[0], s[2]), vf_add(s[1], s[3])));
}

static float sum_of(const float *x, size_t n)
{
    vf s[PARTIALS] = {vf_set1(0), vf_set1(0), vf_set1(0), vf_set1(0)};
    for (size_t i = 0; i < n; i += LANES)
        s[i / LANES % PARTIALS] = vf_add(s[i / LANES % PARTIALS], load_tail(x, i, n));
    return fold(s);
}

// Sum of (x - mean)^2; the tail is filled with the mean, so that it adds nothing.
static float sum_of_squares(const float *x, float mean, size_t n)
{
    vf s[PARTIALS] = {vf_set1(0), vf_set1(0), vf_set1(0), vf_set1(0)};
    for (size_t i = 0; i < n; i += LANES) {
        vf v = load_tail(x, i, n);
        if (i + LANES > n) {
            float last[LANES];
            vf_store(last, v);
            for (size_t j = n - i; j < LANES; j++)
                last[j] = mean;
            v = vf_load(last);
        }
        v = vf_sub(v, vf_set1(mean));
        s[i / LANES % PARTIALS] = vf_fma(v, v, s[i / LANES % PARTIALS]);
    }
    return fold(s);
}

static float root(float x)
{
    return __builtin_sqrtf(x);
}

static void layer_norm(const float *x, const float *weight, const float *bias, size_t n, float eps,
                       float *out)
{
    float mean = sum_of(x, n) / (float)n;
    float inv = 1.0f / root(sum_of_squares(x, mean, n) / (float)n + eps);
    for (size_t i = 0; i < n; i += LANES) {
        vf v = vf_mul(vf_sub(vf_load(x + i), vf_set1(mean)), vf_set1(inv));
        vf_store(out + i, vf_fma(v, vf_load(weight + i), vf_load(bias + i)));
    }
}

static void rms_norm(const float *x, const float *weight, size_t n, float eps, float *out)
{
    float inv = 1.0f / root(sum_of_squares(x, 0.0f, n) / (float)n + eps);
    for (size_t i = 0; i < n; i += LANES)
        vf_store(out + i, vf_mul(vf_mul(vf_load(x + i), vf_set1(inv)), vf_load(weight + i)));
}

static void add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        vf_store(x + i, vf_add(vf_load(x + i), vf_load(y + i)));
}

static void add_sum(float *x, const float *y, const float *z, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        vf_store(x + i, vf_add(vf_load(x + i), vf_add(vf_load(y + i), vf_load(z + i))));
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        vf_store(x + i, vf_gelu(vf_load(x + i)));
}

static void silu_mul(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i += LANES)
        vf_store(gate + i, vf_mul(vf_silu(vf_load(gate + i)), vf_load(up + i)));
}

static void exp_each(const float *x, size_t n, float *y)
{
    for (size_t i = 0; i < n; i += LANES)
        vf_store(y + i, vf_exp(vf_load(x + i)));
}

static bool all_finite(const float *x, size_t n)
{
    vi worst = vi_set1(0), exponent = vi_set1(0x7F800000);
    for (size_t i = 0; i < n; i += LANES)
        worst = vi_max(worst, vi_and(vf_bits(load_tail(x, i, n)), exponent));
    return vi_hmax(worst) < 0x7F800000;
}

// Integer order of the magnitudes is their float order, with infinities and NaNs on top.
INLINE int32_t magnitude_max(vf a, vf b)
{
    vi mask = vi_set1(0x7FFFFFFF);
    return vi_hmax(vi_max(vi_and(vf_bits(a), mask), vi_and(vf_bits(b), mask)));
}

INLINE void quantise_block(const float *x, struct act_block *out)
{
    vf a = vf_load(x), b = vf_load(x + LANES);
    int32_t bits = magnitude_max(a, b);
    float amax, inv = 0.0f, d = 0.0f;
    memcpy(&amax, &bits, 4);
    if (UNLIKELY(bits >=
                 0x7F800000)) { // the product must not be finite; the integers must be defined
        d = __builtin_nanf("");
        a = b = vf_set1(0.0f);
    } else if (LIKELY(amax >= 0x1p-100f)) {
        d = amax / 127.0f;
        inv = 127.0f / amax;
    }
    vi qa = vf_round_int(vf_mul(a, vf_set1(inv))), qb = vf_round_int(vf_mul(b, vf_set1(inv)));
    int32_t sum_a = vi_store_i8(out->q, qa), sum_b = vi_store_i8(out->q + LANES, qb);
    out->d = d;
    out->sum = d * (float)(sum_a + sum_b);
    out->minus128 = -128 * (sum_a + sum_b);
    out->minus8 = -8 * (sum_a + sum_b);
    out->minus32_of16[0] = -32 * sum_a;
    out->minus32_of16[1] = -32 * sum_b;
    out->unused[0] = out->unused[1] = 0;
}

static void quantise(const float *x, size_t n, struct act_block *out)
{
    for (size_t i = 0; i < n; i += ACT_BLOCK)
        quantise_block(x + i, &out[i / ACT_BLOCK]);
}
