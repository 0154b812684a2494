// Products with quantised weights: exact integer sums a block of 32, then one float chain an output
// over the blocks in ascending order.
#pragma once

#include "engine/cuda/ptx/finish.h"
#include "engine/cuda/ptx/panel.h"

// What the integer sum starts from: it takes back the weights' offset.
INLINE int32_t start_of(enum gpu_kind k, const struct gpu_act *act, uint32_t part)
{
    return k == GPU_KIND_Q4_0 ? act->minus8 : k == GPU_KIND_Q6_K ? act->minus32_of16[part] : 0;
}

// --- Few rows: a block takes one panel and up to 8 rows. First each thread is a lane and one of 8
// blocks of k (the sums are exact in any order), then a lane and a row (the chain).

#define BESIDE 8

SHARED int32_t q_thin_sums[2][BESIDE][GPU_THIN_ROWS][LANES];
SHARED float q_thin_scales[2][BESIDE][LANES];

struct q_thin_block {
    uint32_t w[8];
    float scale[2];
};

INLINE struct q_thin_block q_thin_fetch(enum gpu_kind k, const uint8_t *panel, uint32_t blocks,
                                        uint32_t b, uint32_t lane)
{
    struct q_thin_block r;
    UNROLL for (uint32_t g = 0; g < 8; g++) r.w[g] = 0;
    r.scale[0] = r.scale[1] = 0.0f;
    if (b >= blocks)
        return r;
    const uint32_t *q = (const uint32_t *)(panel + (uint64_t)b * quant_bytes(k));
    const uint8_t *scales = panel + (uint64_t)blocks * quant_bytes(k);
    UNROLL for (uint32_t g = 0; g < quant_bytes(k) / 64; g++) r.w[g] = q[g * LANES + lane];
    r.scale[0] = scale_at(k, scales, b, lane, 0);
    if (has_min(k) || k == GPU_KIND_Q6_K)
        r.scale[1] = scale_at(k, scales, b, lane, 1);
    return r;
}

INLINE uint32_t group_of(enum gpu_kind k, const struct q_thin_block *b, uint32_t g)
{
    if (!four_bits(k))
        return b->w[g];
    return g < 4 ? b->w[g] & 0x0F0F0F0Fu : b->w[g - 4] >> 4 & 0x0F0F0F0Fu;
}

INLINE void q_thin_sum(enum gpu_kind k, const struct q_thin_block *b, const struct gpu_act *act,
                       uint32_t slot, uint32_t r, uint32_t lane)
{
    uint32_t parts = k == GPU_KIND_Q6_K ? 2 : 1;
    UNROLL for (uint32_t part = 0; part < parts; part++)
    {
        int32_t sum = start_of(k, act, part);
        UNROLL for (uint32_t g = part * 4; g < (parts == 2 ? part * 4 + 4 : 8); g++) sum =
            dot4(group_of(k, b, g), act->q[g], sum);
        q_thin_sums[part][slot][r][lane] = sum;
    }
}

INLINE float q_thin_chain(enum gpu_kind k, const struct gpu_act *act, uint32_t slot, uint32_t r,
                          uint32_t lane, float acc)
{
    float d = act->d;
    acc = fma1((float)q_thin_sums[0][slot][r][lane], q_thin_scales[0][slot][lane] * d, acc);
    if (k == GPU_KIND_Q6_K)
        acc = fma1((float)q_thin_sums[1][slot][r][lane], q_thin_scales[1][slot][lane] * d, acc);
    if (has_min(k))
        acc = fma1(q_thin_scales[1][slot][lane], act->sum, acc);
    return acc;
}

INLINE void q_thin(const struct gpu_product_args a, enum gpu_kind k)
{
    uint32_t t = thread_index(), lane = t % LANES, other = t / LANES; // a block of k, then a row
    uint32_t first = block_y() * GPU_THIN_ROWS, rows = min_u32(GPU_THIN_ROWS, a.rows - first);
    uint32_t blocks = a.cols / 32;
    const uint8_t *panel = a.panels + block_x() * a.panel_bytes;
    const struct gpu_act *act = a.act + (uint64_t)first * a.act_stride;
    float acc = 0.0f;
    struct q_thin_block next = q_thin_fetch(k, panel, blocks, other, lane);
    for (uint32_t b0 = 0; b0 < blocks; b0 += BESIDE) {
        uint32_t some = min_u32(BESIDE, blocks - b0);
        if (other < some)
            for (uint32_t r = 0; r < rows; r++)
                q_thin_sum(k, &next, act + (uint64_t)r * a.act_stride + b0 + other, other, r, lane);
        q_thin_scales[0][other][lane] = next.scale[0];
        q_thin_scales[1][other][lane] = next.scale[1];
        barrier();
        next = q_thin_fetch(k, panel, blocks, b0 + BESIDE + other, lane);
        if (other < rows)
            for (uint32_t s = 0; s < some; s++)
                acc = q_thin_chain(k, act + (uint64_t)other * a.act_stride + b0 + s, s, other, lane,
                                   acc);
        barrier();
    }
    uint32_t output = block_x() * LANES + lane;
    if (other < rows && output < a.outputs)
        finish(&a, output, first + other, acc);
}

// --- Many rows: a block takes 64 outputs and 64 rows, a block of 32 ks at a time; a thread 4
// outputs and 4 rows.

#define Q_WIDE_PANELS (GPU_WIDE_OUTPUTS_Q / LANES)

SHARED uint32_t q_wide_weights[8][GPU_WIDE_OUTPUTS_Q] __attribute__((aligned(16)));
SHARED uint32_t q_wide_inputs[8][GPU_WIDE_ROWS] __attribute__((aligned(16)));
SHARED float q_wide_scales[2][GPU_WIDE_OUTPUTS_Q], q_wide_d[GPU_WIDE_ROWS],
    q_wide_sum[GPU_WIDE_ROWS];
SHARED int32_t q_wide_start[2][GPU_WIDE_ROWS];

// What one thread brings of a block of k: 16 bytes of weights or of inputs, and an output's scales
// or a row's sums.
struct q_wide_share {
    words w;
    float f[2];
    int32_t start[2];
};

INLINE struct q_wide_share q_wide_fetch(enum gpu_kind k, const struct gpu_product_args *a,
                                        uint32_t block)
{
    uint32_t t = thread_index(), blocks = a->cols / 32, units = quant_bytes(k) / 16;
    struct q_wide_share r = {(words)0, {0.0f, 0.0f}, {0, 0}};
    uint64_t panel0 = (uint64_t)block_x() * Q_WIDE_PANELS;
    if (t < units * Q_WIDE_PANELS) {
        uint64_t panel = panel0 + t / units;
        if (panel * LANES < a->outputs)
            r.w = *(const words *)(a->panels + panel * a->panel_bytes +
                                   (uint64_t)block * quant_bytes(k) + t % units * 16);
    } else if (t >= 128) {
        uint32_t row = block_y() * GPU_WIDE_ROWS + (t - 128) / 2;
        if (row < a->rows)
            r.w = *(const words *)(a->act[(uint64_t)row * a->act_stride + block].q + t % 2 * 4);
    }
    if (t < 64) {
        uint64_t panel = panel0 + t / LANES;
        const uint8_t *scales =
            a->panels + panel * a->panel_bytes + (uint64_t)blocks * quant_bytes(k);
        if (panel * LANES < a->outputs) {
            r.f[0] = scale_at(k, scales, block, t % LANES, 0);
            if (has_min(k) || k == GPU_KIND_Q6_K)
                r.f[1] = scale_at(k, scales, block, t % LANES, 1);
        }
    } else if (t >= 192) {
        uint32_t row = block_y() * GPU_WIDE_ROWS + t - 192;
        if (row < a->rows) {
            const struct gpu_act *act = a->act + (uint64_t)row * a->act_stride + block;
            r.f[0] = act->d;
            r.f[1] = act->sum;
            r.start[0] = start_of(k, act, 0);
            r.start[1] = start_of(k, act, 1);
        }
    }
    return r;
}

INLINE void q_wide_keep(enum gpu_kind k, const struct q_wide_share *s)
{
    uint32_t t = thread_index(), units = quant_bytes(k) / 16;
    if (t < units * Q_WIDE_PANELS) {
        uint32_t g = t % units / 4, output = t / units * LANES + t % 4 * 4;
        UNROLL for (uint32_t j = 0; j < 4; j++)
        {
            if (four_bits(k)) {
                q_wide_weights[g][output + j] = s->w[j] & 0x0F0F0F0Fu;
                q_wide_weights[g + 4][output + j] = s->w[j] >> 4 & 0x0F0F0F0Fu;
            } else {
                q_wide_weights[g][output + j] = s->w[j];
            }
        }
    } else if (t >= 128) {
        UNROLL for (uint32_t j = 0; j < 4; j++) q_wide_inputs[t % 2 * 4 + j][(t - 128) / 2] =
            s->w[j];
    }
    if (t < 64) {
        q_wide_scales[0][t] = s->f[0];
        q_wide_scales[1][t] = s->f[1];
    } else if (t >= 192) {
        q_wide_d[t - 192] = s->f[0];
        q_wide_sum[t - 192] = s->f[1];
        q_wide_start[0][t - 192] = s->start[0];
        q_wide_start[1][t - 192] = s->start[1];
    }
}

// acc = fma(sum, scale * d, acc) over groups [g0, g0 + n) of a block, scale `part`.
INLINE void q_wide_part(float acc[4][4], uint32_t g0, uint32_t n, uint32_t part, uint32_t tx,
                        uint32_t ty)
{
    int32_t sum[4][4];
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 4; j++) sum[i][j] =
        q_wide_start[part][ty * 4 + i];
    UNROLL for (uint32_t g = g0; g < g0 + n; g++) UNROLL for (uint32_t i = 0; i < 4; i++)
        UNROLL for (uint32_t j = 0; j < 4; j++) sum[i][j] =
            dot4(q_wide_weights[g][tx * 4 + j], q_wide_inputs[g][ty * 4 + i], sum[i][j]);
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 4; j++) acc[i][j] =
        fma1((float)sum[i][j], q_wide_scales[part][tx * 4 + j] * q_wide_d[ty * 4 + i], acc[i][j]);
}

INLINE void q_wide_block(enum gpu_kind k, float acc[4][4], uint32_t tx, uint32_t ty)
{
    if (k == GPU_KIND_Q6_K) {
        q_wide_part(acc, 0, 4, 0, tx, ty);
        q_wide_part(acc, 4, 4, 1, tx, ty);
        return;
    }
    q_wide_part(acc, 0, 8, 0, tx, ty);
    if (has_min(k))
        UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 4; j++) acc[i][j] =
            fma1(q_wide_scales[1][tx * 4 + j], q_wide_sum[ty * 4 + i], acc[i][j]);
}

INLINE void q_wide(const struct gpu_product_args a, enum gpu_kind k)
{
    uint32_t t = thread_index(), tx = t % 16, ty = t / 16, blocks = a.cols / 32;
    bool has_rows = block_y() * GPU_WIDE_ROWS + ty * 4 < a.rows; // else it only fetches for others
    float acc[4][4];
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 4; j++) acc[i][j] =
        0.0f;
    struct q_wide_share next = q_wide_fetch(k, &a, 0);
    for (uint32_t b = 0; b < blocks; b++) {
        q_wide_keep(k, &next);
        barrier();
        if (b + 1 < blocks)
            next = q_wide_fetch(k, &a, b + 1);
        if (has_rows)
            q_wide_block(k, acc, tx, ty);
        barrier();
    }
    UNROLL for (uint32_t i = 0; i < 4; i++) UNROLL for (uint32_t j = 0; j < 4; j++)
    {
        uint32_t output = block_x() * GPU_WIDE_OUTPUTS_Q + tx * 4 + j;
        uint32_t row = block_y() * GPU_WIDE_ROWS + ty * 4 + i;
        if (row < a.rows && output < a.outputs)
            finish(&a, output, row, acc[i][j]);
    }
}

#define DEFINE_PRODUCTS(NAME, KIND)                                                                \
    KERNEL(thin_##NAME, 128)(const struct gpu_product_args a)                                      \
    {                                                                                              \
        q_thin(a, KIND);                                                                           \
    }                                                                                              \
    KERNEL(wide_##NAME, 256)(const struct gpu_product_args a)                                      \
    {                                                                                              \
        q_wide(a, KIND);                                                                           \
    }

DEFINE_PRODUCTS(q8_0, GPU_KIND_Q8_0)
DEFINE_PRODUCTS(q4_0, GPU_KIND_Q4_0)
DEFINE_PRODUCTS(q4_1, GPU_KIND_Q4_1)
DEFINE_PRODUCTS(q4_k, GPU_KIND_Q4_K)
DEFINE_PRODUCTS(q5_k, GPU_KIND_Q5_K)
DEFINE_PRODUCTS(q6_k, GPU_KIND_Q6_K)
