// Matrix products with quantised weights: exact integer sums a block of 32, then one float chain a
// row over the blocks (kernel.h states the term order).
#pragma once

#include "engine/kernel/impl_matmul.h"

INLINE size_t q_quant_bytes(enum panel_kind k)
{
    return panel_kind_four_bits(k) ? 256 : 512;
}

// Of a block; where eight share some, on the average.
INLINE size_t q_scale_bytes(enum panel_kind k)
{
    return panel_kind_super(k) ? PANEL_SUPER_BYTES / PANEL_SUPER
           : k == PANEL_Q6_K   ? 4u * LANES * 2
                               : 2u * LANES * (panel_kind_has_min(k) ? 2 : 1);
}

// What the integer sum starts from: it takes back the offset in the stored weights.
INLINE vi q_start(enum panel_kind kind, const struct act_block *a, int part)
{
    switch (kind) {
    case PANEL_Q8_0:
        return vi_start_q8(a->minus128);
    case PANEL_Q4_0:
        return vi_set1(a->minus8);
    case PANEL_Q6_K:
        return vi_set1(a->minus32_of16[part]);
    default:
        return vi_set1(0);
    }
}

// The weights of four ks, group g of a block: for 4-bit kinds groups g and g + 4 share bytes.
INLINE vw q_weights(enum panel_kind kind, const uint8_t *block, int g)
{
    if (!panel_kind_four_bits(kind))
        return kind == PANEL_Q8_0 ? vw_load_q8(block + g * 64) : vw_load_u8(block + g * 64);
    return g < 4 ? vw_load_low4(block + g * 64) : vw_load_high4(block + (g - 4) * 64);
}

// What the scales and minima of 8 blocks share (Q4_K, Q5_K), for each panel, from block b on.
TILED void q_units(vf unit[], const uint8_t *const scales[], size_t b, int P)
{
    UNROLL for (int p = 0; p < P; p++)
    {
        const uint8_t *shared = scales[p] + b / PANEL_SUPER * PANEL_SUPER_BYTES;
        unit[p] = vf_load_f16((const uint16_t *)(const void *)shared);
        unit[P + p] = vf_load_f16((const uint16_t *)(const void *)shared + LANES);
    }
}

// Scale `which` of block b: where there is a minimum it is the second.
INLINE vf q_scale(enum panel_kind kind, const uint8_t *scales, vf unit, size_t b, int which)
{
    if (panel_kind_super(kind)) {
        const uint8_t *small = scales + b / PANEL_SUPER * PANEL_SUPER_BYTES + PANEL_SUPER_HEAD +
                               b % PANEL_SUPER * 2 * LANES;
        return vf_mul(unit, vf_load_i8((const int8_t *)small + which * LANES)); // below 64
    }
    const uint8_t *at = scales + b * q_scale_bytes(kind);
    return kind == PANEL_Q6_K ? vf_load((const float *)(const void *)at + which * LANES)
                              : vf_load_f16((const uint16_t *)(const void *)at + which * LANES);
}

// Integer sums of groups [g0, g1) of one block.
TILED void q_sums(enum panel_kind kind, vi sum[], const uint8_t *const quants[],
                  const struct act_block *const x[], int g0, int g1, int part, int P, int R)
{
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int p = 0; p < P; p++) sum[r * P + p] =
        q_start(kind, x[r], part);
    UNROLL for (int g = g0; g < g1; g++)
    {
        vw w[4];
        UNROLL for (int p = 0; p < P; p++) w[p] = q_weights(kind, quants[p], g);
        UNROLL for (int r = 0; r < R; r++)
        {
            va a = va_load(x[r]->q + 4 * g);
            UNROLL for (int p = 0; p < P; p++) sum[r * P + p] = vi_dot(sum[r * P + p], w[p], a);
        }
    }
}

// acc = fma((float)sum, dw * da, acc), with scale `which` of the block.
TILED void q_scale_sums(enum panel_kind kind, vf acc[], const vi sum[],
                        const uint8_t *const scales[], const vf unit[], size_t b,
                        const struct act_block *const x[], int which, int P, int R)
{
    UNROLL for (int p = 0; p < P; p++)
    {
        vf dw = q_scale(kind, scales[p], unit[p], b, which);
        UNROLL for (int r = 0; r < R; r++) acc[r * P + p] =
            vf_fma(vf_from_int(sum[r * P + p]), vf_mul(dw, vf_set1(x[r]->d)), acc[r * P + p]);
    }
}

TILED void q_block(enum panel_kind kind, vf acc[], const uint8_t *const panel_quants[],
                   const uint8_t *const scales[], const vf unit[],
                   const struct act_block *const row[], size_t b, int P, int R)
{
    vi sum[12];
    const uint8_t *quants[4];
    const struct act_block *x[4];
    UNROLL for (int p = 0; p < P; p++) quants[p] = panel_quants[p] + b * q_quant_bytes(kind);
    UNROLL for (int r = 0; r < R; r++) x[r] = row[r] + b;
    if (kind == PANEL_Q6_K) {
        q_sums(kind, sum, quants, x, 0, 4, 0, P, R);
        q_scale_sums(kind, acc, sum, scales, unit, b, x, 0, P, R);
        q_sums(kind, sum, quants, x, 4, 8, 1, P, R);
        q_scale_sums(kind, acc, sum, scales, unit, b, x, 1, P, R);
        return;
    }
    q_sums(kind, sum, quants, x, 0, 8, 0, P, R);
    q_scale_sums(kind, acc, sum, scales, unit, b, x, 0, P, R);
    if (!panel_kind_has_min(kind))
        return;
    UNROLL for (int p = 0; p < P; p++)
    {
        vf min = q_scale(kind, scales[p], unit[P + p], b, 1);
        UNROLL for (int r = 0; r < R; r++) acc[r * P + p] =
            vf_fma(min, vf_set1(x[r]->sum), acc[r * P + p]);
    }
}

// What a tile asks the memory for while it computes.
//   One tile over all rows: its own panels, a few blocks on, and there the panels that follow. The
//   processor alone would fetch no further than the end of a page, with a pause at each.
//   Several: a part of the panels that follow, so that together they have fetched them all.
struct q_ahead {
    size_t following;   // bytes to the panels that follow; 0 = there are none
    size_t from, bytes; // the part of each block
    bool own;
};

#define Q_BLOCKS_AHEAD 4

TILED struct q_ahead q_look_ahead(enum panel_kind kind, const struct panels *w, size_t panel_at,
                                  size_t part, size_t parts, int P)
{
    size_t lines = q_quant_bytes(kind) / 64, from = lines * part / parts * 64;
    bool more = panel_at + 2 * (size_t)P <= w->n_panels;
    return (struct q_ahead){.following = more ? (size_t)P * w->panel_bytes : 0,
                            .from = from,
                            .bytes = lines * (part + 1) / parts * 64 - from,
                            .own = parts == 1 && w->cols / 32 >= Q_BLOCKS_AHEAD};
}

// While block b is in the works. `quants` and `scales` are the panels' beginnings.
TILED void q_fetch(enum panel_kind kind, const struct q_ahead *ahead, const uint8_t *const quants[],
                   const uint8_t *const scales[], size_t b, size_t blocks, int P)
{
    size_t block = b, to = ahead->following;
    if (ahead->own) {
        bool here = b + Q_BLOCKS_AHEAD < blocks;
        block += here ? Q_BLOCKS_AHEAD : Q_BLOCKS_AHEAD - blocks;
        if (!here && !to)
            return;
        to = here ? 0 : to;
    } else if (!to) {
        return;
    }
    size_t quants_at = to + block * q_quant_bytes(kind) + ahead->from;
    size_t scales_at = to + block * q_scale_bytes(kind);
    for (size_t at = 0; at < ahead->bytes; at += 64)
        UNROLL for (int p = 0; p < P; p++) __builtin_prefetch(quants[p] + quants_at + at, 0, 2);
    UNROLL for (int p = 0; p < P; p++) __builtin_prefetch(scales[p] + scales_at, 0, 2);
}

TILED void q_tile(enum panel_kind kind, const struct panels *w, size_t panel_at,
                  const struct matmul_in *in, size_t row, float *const *out, size_t part,
                  size_t parts, int P, int R)
{
    vf acc[12], unit[8];
    const uint8_t *quants[4], *scales[4];
    const struct act_block *x[4];
    size_t blocks = w->cols / 32;
    struct q_ahead ahead = q_look_ahead(kind, w, panel_at, part, parts, P);
    UNROLL for (int p = 0; p < P; p++)
    {
        quants[p] = w->data + (panel_at + (size_t)p) * w->panel_bytes;
        scales[p] = quants[p] + blocks * q_quant_bytes(kind);
    }
    UNROLL for (int r = 0; r < R; r++) x[r] = in->q + (row + (size_t)r) * in->q_stride;
    UNROLL for (int i = 0; i < P * R; i++) acc[i] = vf_set1(0.0f);
    UNROLL for (int i = 0; i < 2 * P; i++) unit[i] = vf_set1(0.0f);
    for (size_t b = 0; b < blocks; b++) {
        q_fetch(kind, &ahead, quants, scales, b, blocks, P);
        if (panel_kind_super(kind) && b % PANEL_SUPER == 0)
            q_units(unit, scales, b, P);
        q_block(kind, acc, quants, scales, unit, x, b, P, R);
    }
    store_tile(w, panel_at, row, out, acc, P, R);
}

// An integer and a float accumulator for each output of a tile.
#define Q_ROWS 4
#if VECTOR_REGISTERS / VECTOR_PARTS >= 32
#define Q_PANELS(R) ((R) == 1 ? 4 : 3)
#else
#define Q_PANELS(R) ((R) == 1 ? 2 : 1)
#endif

TILED void q_strip(enum panel_kind kind, const struct panels *w, size_t panel, size_t n,
                   const struct matmul_in *in, size_t row, float *const *out, size_t part,
                   size_t parts, int R)
{
    if (n == (size_t)Q_PANELS(R)) {
        q_tile(kind, w, panel, in, row, out, part, parts, Q_PANELS(R), R);
        return;
    }
    for (size_t end = panel + n; panel < end; panel++)
        q_tile(kind, w, panel, in, row, out, part, parts, 1, R);
}

#define Q_CASE(KIND, R)                                                                            \
    case R:                                                                                        \
        q_strip(KIND, w, panel, n, in, row, out, part, parts, R);                                  \
        break;
#define DEFINE_Q_STRIPS(NAME, KIND)                                                                \
    static void strips_##NAME(const struct panels *w, size_t panel, size_t n,                      \
                              const struct matmul_in *in, size_t row, size_t rows,                 \
                              float *const *out, size_t part, size_t parts)                        \
    {                                                                                              \
        switch (rows) {                                                                            \
            Q_CASE(KIND, 1)                                                                        \
            Q_CASE(KIND, 2)                                                                        \
            Q_CASE(KIND, 3)                                                                        \
            Q_CASE(KIND, 4)                                                                        \
        }                                                                                          \
    }

DEFINE_Q_STRIPS(q8_0, PANEL_Q8_0)
DEFINE_Q_STRIPS(q4_0, PANEL_Q4_0)
DEFINE_Q_STRIPS(q4_1, PANEL_Q4_1)
DEFINE_Q_STRIPS(q4_k, PANEL_Q4_K)
DEFINE_Q_STRIPS(q5_k, PANEL_Q5_K)
DEFINE_Q_STRIPS(q6_k, PANEL_Q6_K)

typedef void strips_fn(const struct panels *w, size_t panel, size_t n, const struct matmul_in *in,
                       size_t row, size_t rows, float *const *out, size_t part, size_t parts);

static strips_fn *const STRIPS[PANEL_KINDS] = {
    [PANEL_Q8_0] = strips_q8_0, [PANEL_Q4_0] = strips_q4_0, [PANEL_Q4_1] = strips_q4_1,
    [PANEL_Q4_K] = strips_q4_k, [PANEL_Q5_K] = strips_q5_k, [PANEL_Q6_K] = strips_q6_k,
};

// Rows are cut into tiles of nearly equal height; each small group of panels is passed over by all
// of them while it is in the cache.
static void matmul(const struct panels *w, size_t from, size_t to, const struct matmul_in *in,
                   size_t m, float *const *out)
{
    if (!panel_kind_quantised(w->kind)) {
        matmul_plain(w, from, to, in, m, out);
        return;
    }
    size_t tiles = (m + Q_ROWS - 1) / Q_ROWS, group = Q_PANELS((m + tiles - 1) / tiles);
    for (size_t panel = from; panel < to; panel += group)
        for (size_t t = 0; t < tiles; t++) {
            size_t row = m * t / tiles, rows = m * (t + 1) / tiles - row;
            STRIPS[w->kind](w, panel, min_size(group, to - panel), in, row, rows, out, t, tiles);
        }
}
