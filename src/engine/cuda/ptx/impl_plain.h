// Products with F32, F16 and BF16 weights: each output is one chain of fused multiply-adds over
// ascending k. Weights and inputs pass through shared memory in pieces; the next piece is on its
// way while this one is worked on.
#pragma once

#include "engine/cuda/ptx/finish.h"

enum plain { F32, F16, BF16 };

// --- Few rows: a block takes one panel and up to 8 rows; a thread is a lane and a row.

#define THIN_K    128
#define THIN_KEEP (THIN_K + 4) // rows apart, so that they fall into different banks

SHARED uint32_t thin_weights[THIN_K * LANES];
SHARED float thin_inputs[GPU_THIN_ROWS * THIN_KEEP];

INLINE float thin_weight(enum plain kind, uint32_t k, uint32_t lane)
{
    if (kind == F32)
        return float_of(thin_weights[k * LANES + lane]);
    if (kind == BF16) {
        uint32_t both = thin_weights[k / 2 * LANES + lane];
        return float_of(k % 2 ? both & 0xFFFF0000u : both << 16);
    }
    uint32_t at = k * LANES + lane, both = thin_weights[at / 2];
    return half_of(at % 2 ? both >> 16 : both & 0xFFFFu);
}

INLINE void thin(const struct gpu_product_args a, enum plain kind)
{
    uint32_t t = thread_index(), lane = t % LANES, r = t / LANES, first = block_y() * GPU_THIN_ROWS;
    uint32_t rows = min_u32(GPU_THIN_ROWS, a.rows - first), units = kind == F32 ? 4 : 2;
    const uint8_t *panel = a.panels + block_x() * a.panel_bytes;
    words next[4];
    float acc = 0.0f;
    uint64_t at = 0, piece = THIN_K * LANES * (kind == F32 ? 4 : 2);
    UNROLL for (uint32_t u = 0; u < units; u++) next[u] =
        (t + u * 128) * 16 < a.panel_bytes ? *(const words *)(panel + (t + u * 128) * 16)
                                           : (words)0;
    for (uint32_t k0 = 0; k0 < a.cols; k0 += THIN_K) {
        uint32_t some = min_u32(THIN_K, a.cols - k0);
        UNROLL for (uint32_t u = 0; u < units; u++) UNROLL for (uint32_t j = 0; j < 4; j++)
            thin_weights[(t + u * 128) * 4 + j] = next[u][j];
        for (uint32_t i = 0; i < rows; i++)
            if (t < some)
                thin_inputs[i * THIN_KEEP + t] = a.in[(uint64_t)(first + i) * a.in_stride + k0 + t];
        barrier();
        at += piece;
        UNROLL for (uint32_t u = 0; u < units; u++)
        {
            uint64_t from = at + (t + u * 128) * 16;
            next[u] = from < a.panel_bytes ? *(const words *)(panel + from) : (words)0;
        }
        if (r < rows && some == THIN_K) {
            _Pragma("unroll 32") for (uint32_t k = 0; k < THIN_K; k++) acc =
                fma1(thin_weight(kind, k, lane), thin_inputs[r * THIN_KEEP + k], acc);
        } else if (r < rows) {
            for (uint32_t k = 0; k < some; k++)
                acc = fma1(thin_weight(kind, k, lane), thin_inputs[r * THIN_KEEP + k], acc);
        }
        barrier();
    }
    uint32_t output = block_x() * LANES + lane;
    if (r < rows && output < a.outputs)
        finish(&a, output, first + r, acc);
}

KERNEL(thin_f32, 128)(const struct gpu_product_args a)
{
    thin(a, F32);
}

KERNEL(thin_f16, 128)(const struct gpu_product_args a)
{
    thin(a, F16);
}

KERNEL(thin_bf16, 128)(const struct gpu_product_args a)
{
    thin(a, BF16);
}

// --- Many rows: a block takes 128 outputs and 64 rows; a thread 8 outputs (4 and 4) and 4 rows.

#define WIDE_K       16
#define WIDE_PANELS  (GPU_WIDE_OUTPUTS / LANES)
#define WIDE_KEEP    (GPU_WIDE_ROWS + 4)
#define WIDE_THREADS 256

SHARED float wide_weights[WIDE_K * GPU_WIDE_OUTPUTS] __attribute__((aligned(16)));
SHARED float wide_inputs[WIDE_K * WIDE_KEEP] __attribute__((aligned(16)));

// 16 bytes of this thread's share of the piece at k0: unit u of its panel's 16 ks.
INLINE words wide_fetch(const struct gpu_product_args *a, uint32_t unit, uint32_t units_a_panel,
                        uint32_t k0, uint32_t bytes_a_k)
{
    uint64_t panel = (uint64_t)block_x() * WIDE_PANELS + unit / units_a_panel;
    uint64_t at = (uint64_t)k0 * bytes_a_k + unit % units_a_panel * 16;
    if (panel * LANES >= a->outputs || at >= a->panel_bytes)
        return (words)0;
    return *(const words *)(a->panels + panel * a->panel_bytes + at);
}

INLINE void wide_keep(enum plain kind, uint32_t unit, words w)
{
    if (kind == F32) {
        uint32_t panel = unit / 64, k = unit % 64 / 4, lane = unit % 4 * 4;
        UNROLL for (uint32_t j = 0; j < 4; j++)
            wide_weights[k * GPU_WIDE_OUTPUTS + panel * LANES + lane + j] = float_of(w[j]);
    } else if (kind == F16) {
        uint32_t panel = unit / 32, k = unit % 32 / 2, lane = unit % 2 * 8;
        UNROLL for (uint32_t j = 0; j < 8; j++)
            wide_weights[k * GPU_WIDE_OUTPUTS + panel * LANES + lane + j] =
                half_of(j % 2 ? w[j / 2] >> 16 : w[j / 2] & 0xFFFFu);
    } else {
        uint32_t panel = unit / 32, k = unit % 32 / 4 * 2, lane = unit % 4 * 4;
        UNROLL for (uint32_t j = 0; j < 4; j++)
        {
            uint32_t at = k * GPU_WIDE_OUTPUTS + panel * LANES + lane + j;
            wide_weights[at] = float_of(w[j] << 16);
            wide_weights[at + GPU_WIDE_OUTPUTS] = float_of(w[j] & 0xFFFF0000u);
        }
    }
}

INLINE floats wide_fetch_inputs(const struct gpu_product_args *a, uint32_t row, uint32_t k)
{
    if (row >= a->rows || k >= a->in_stride) // rows are padded to 16 floats
        return (floats)0;
    return *(const floats *)(a->in + (uint64_t)row * a->in_stride + k);
}

INLINE void wide_step(float acc[4][8], uint32_t k, uint32_t tx, uint32_t ty)
{
    float w[8], x[4];
    UNROLL for (uint32_t j = 0; j < 4; j++)
    {
        w[j] = wide_weights[k * GPU_WIDE_OUTPUTS + tx * 4 + j];
        w[4 + j] = wide_weights[k * GPU_WIDE_OUTPUTS + 64 + tx * 4 + j];
        x[j] = wide_inputs[k * WIDE_KEEP + ty * 4 + j];
    }
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 8; j++) acc[i][j] =
        fma1(w[j], x[i], acc[i][j]);
}

INLINE void wide(const struct gpu_product_args a, enum plain kind)
{
    uint32_t t = thread_index(), tx = t % 16, ty = t / 16;
    uint32_t units = kind == F32 ? 2 : 1, units_a_panel = kind == F32 ? 64 : 32;
    uint32_t row0 = block_y() * GPU_WIDE_ROWS, in_row = row0 + t / 4, in_k = t % 4 * 4;
    uint32_t bytes_a_k = kind == F32 ? 64 : 32;
    bool has_rows = row0 + ty * 4 < a.rows; // else it only fetches for others
    float acc[4][8];
    words w[2];
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 8; j++) acc[i][j] =
        0.0f;
    UNROLL for (uint32_t u = 0; u < units; u++) w[u] =
        wide_fetch(&a, t + u * WIDE_THREADS, units_a_panel, 0, bytes_a_k);
    floats x = wide_fetch_inputs(&a, in_row, in_k);
    for (uint32_t k0 = 0; k0 < a.cols; k0 += WIDE_K) {
        UNROLL for (uint32_t u = 0; u < units; u++) wide_keep(kind, t + u * WIDE_THREADS, w[u]);
        UNROLL for (uint32_t j = 0; j < 4; j++) wide_inputs[(in_k + j) * WIDE_KEEP + t / 4] = x[j];
        barrier();
        if (k0 + WIDE_K < a.cols) {
            UNROLL for (uint32_t u = 0; u < units; u++) w[u] =
                wide_fetch(&a, t + u * WIDE_THREADS, units_a_panel, k0 + WIDE_K, bytes_a_k);
            x = wide_fetch_inputs(&a, in_row, k0 + WIDE_K + in_k);
        }
        if (has_rows && k0 + WIDE_K <= a.cols)
            UNROLL for (uint32_t k = 0; k < WIDE_K; k++) wide_step(acc, k, tx, ty);
        else if (has_rows)
            for (uint32_t k = 0; k < a.cols - k0; k++)
                wide_step(acc, k, tx, ty);
        barrier();
    }
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 8; j++)
    {
        uint32_t output = block_x() * GPU_WIDE_OUTPUTS + j / 4 * 64 + tx * 4 + j % 4;
        uint32_t row = row0 + ty * 4 + i;
        if (row < a.rows && output < a.outputs)
            finish(&a, output, row, acc[i][j]);
    }
}

KERNEL(wide_f32, 256)(const struct gpu_product_args a)
{
    wide(a, F32);
}

KERNEL(wide_f16, 256)(const struct gpu_product_args a)
{
    wide(a, F16);
}

KERNEL(wide_bf16, 256)(const struct gpu_product_args a)
{
    wide(a, BF16);
}
