// Kernels over rows: norms, quantisation, the gate, functions of one value.
#pragma once

#include "engine/cuda/ptx/math.h"
#include "engine/cuda/ptx/reduce.h"

// A block a row; element i belongs to thread i mod 64, as the CPU's 64 partial sums.
KERNEL(norm, 64)(const struct gpu_norm_args a)
{
    uint32_t t = thread_index(), i, row = block_x(), from = a.pick ? a.pick[row] : row;
    const float *x = a.x + (uint64_t)from * a.x_stride;
    float *out = a.out + (uint64_t)row * a.out_stride;
    float mean = 0.0f, sum = 0.0f;
    if (a.bias) {
        for (i = t; i < a.n; i += 64)
            sum = sum + x[i];
        mean = sum_of_64(sum) / (float)a.n;
    }
    sum = 0.0f;
    for (i = t; i < a.n; i += 64) {
        float v = x[i] - mean;
        sum = fma1(v, v, sum);
    }
    float inv = 1.0f / __nvvm_sqrt_rn_f(sum_of_64(sum) / (float)a.n + a.eps);
    for (i = t; i < a.n; i += 64)
        out[i] =
            a.bias ? fma1((x[i] - mean) * inv, a.weight[i], a.bias[i]) : x[i] * inv * a.weight[i];
}

// Four blocks of 32 values a block of threads, a warp each.
KERNEL(quantise, 128)(const struct gpu_quantise_args a)
{
    uint32_t lane = thread_index() % 32, block = block_x() * 4 + thread_index() / 32;
    if (block * 32 >= a.n) // whole warps leave
        return;
    float x = a.x[(uint64_t)block_y() * a.x_stride + block * 32 + lane];
    uint32_t most = warp_max(bits_of(x) & 0x7FFFFFFFu);
    float amax = float_of(most), inv = 0.0f, d = 0.0f;
    if (most >= 0x7F800000u) {
        d = float_of(0x7FC00000u);
        x = 0.0f;
    } else if (amax >= 0x1p-100f) {
        d = amax / 127.0f;
        inv = 127.0f / amax;
    }
    int32_t q = (int32_t)(bits_of(x * inv + 12582912.0f) - 0x4B400000u);
    int32_t half = sum_of_16(q), other = exchange(half, 16);
    struct gpu_act *out = a.out + (uint64_t)block_y() * a.out_stride + block;
    ((int8_t *)out->q)[lane] = (int8_t)q;
    if (lane % 16 == 0)
        out->minus32_of16[lane / 16] = -32 * half;
    if (lane == 0) {
        int32_t sum = half + other;
        out->d = d;
        out->sum = d * (float)sum;
        out->minus128 = -128 * sum;
        out->minus8 = -8 * sum;
        out->unused[0] = out->unused[1] = 0;
    }
}

KERNEL(gate, 256)(const struct gpu_gate_args a)
{
    uint32_t i = block_x() * 256 + thread_index();
    uint64_t at = (uint64_t)block_y() * a.stride + i;
    if (i < a.n)
        a.gate[at] = silu(a.gate[at]) * a.up[at];
}

KERNEL(map, 256)(const struct gpu_map_args a)
{
    uint32_t i = block_x() * 256 + thread_index();
    if (i >= a.n)
        return;
    float x = a.x[i];
    a.y[i] = a.function == GPU_EXP    ? exp1(x)
             : a.function == GPU_GELU ? gelu(x)
             : a.function == GPU_SILU ? silu(x)
                                      : (float)(_Float16)x;
}
