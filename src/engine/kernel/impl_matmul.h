// Matrix products with F32, F16 and BF16 weights: register tiles of P panels by R rows. Every
// output is its own ascending fma chain, so tiles of any shape give the same bits; the shapes below
// only keep the multipliers busy.
#pragma once

#include "engine/kernel/panel.h"
#include "engine/kernel/vector.h"

// Accumulators that fit in the registers beside weights and a broadcast, in virtual vectors.
#define ACCUMULATORS ((VECTOR_REGISTERS * 3 / 4) / VECTOR_PARTS)
#define MATMUL_ROWS  (ACCUMULATORS >= 24 ? 8 : ACCUMULATORS >= 6 ? 6 : 4)
#if defined(VECTOR_PORTABLE) // nothing to hold in registers: plain loops, one copy
#define TILED static __attribute__((noinline, unused))
#define UNROLL
#else // shapes are constants after inlining, so that accumulators become registers
#define TILED  INLINE
#define UNROLL _Pragma("GCC unroll 24")
#endif

// Store 16 outputs of a panel; the last panel may have fewer rows.
INLINE void store_rows(float *out, const struct panels *w, size_t panel, vf v)
{
    size_t row = panel * LANES;
    if (LIKELY(row + LANES <= w->rows)) {
        vf_store(out + row, v);
        return;
    }
    float last[LANES];
    vf_store(last, v);
    memcpy(out + row, last, (w->rows - row) * sizeof *last);
}

INLINE vf weights_at(enum panel_kind kind, const uint8_t *panel, size_t k)
{
    return kind == PANEL_F32 ? vf_load((const float *)(const void *)panel + k * LANES)
                             : vf_load_f16((const uint16_t *)(const void *)panel + k * LANES);
}

// One step of the chains: weights of one k for P panels against R rows.
TILED void tile_step(vf acc[], const vf w[], const float *const x[], size_t k, int P, int R)
{
    UNROLL for (int r = 0; r < R; r++)
    {
        vf b = vf_set1(x[r][k]);
        UNROLL for (int p = 0; p < P; p++) acc[r * P + p] = vf_fma(w[p], b, acc[r * P + p]);
    }
}

// BF16 keeps two ks in a lane's 32 bits: the even one low.
TILED void tile_bf16(vf acc[], const uint8_t *const panel[], const float *const x[], size_t cols,
                     int P, int R)
{
    for (size_t k = 0; k < cols; k += 2) {
        vf even[8], odd[8];
        UNROLL for (int p = 0; p < P; p++)
        {
            vi both = vi_load(panel[p] + k * LANES * 2);
            even[p] = vf_from_bits(vi_shl(both, 16));
            odd[p] = vf_from_bits(vi_and(both, vi_set1((int32_t)0xFFFF0000)));
        }
        tile_step(acc, even, x, k, P, R);
        if (k + 1 < cols)
            tile_step(acc, odd, x, k + 1, P, R);
    }
}

TILED void tile(enum panel_kind kind, const struct panels *w, size_t panel_at,
                const struct matmul_in *in, size_t row, float *const *out, int P, int R)
{
    vf acc[24];
    const uint8_t *panel[8];
    const float *x[8];
    UNROLL for (int p = 0; p < P; p++) panel[p] = w->data + (panel_at + (size_t)p) * w->panel_bytes;
    UNROLL for (int r = 0; r < R; r++) x[r] = in->x + (row + (size_t)r) * in->x_stride;
    UNROLL for (int i = 0; i < P * R; i++) acc[i] = vf_set1(0.0f);
    if (kind == PANEL_BF16) {
        tile_bf16(acc, panel, x, w->cols, P, R);
    } else {
        for (size_t k = 0; k < w->cols; k++) {
            vf v[8];
            UNROLL for (int p = 0; p < P; p++) v[p] = weights_at(kind, panel[p], k);
            tile_step(acc, v, x, k, P, R);
        }
    }
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int p = 0; p < P; p++)
        store_rows(out[row + (size_t)r], w, panel_at + (size_t)p, acc[r * P + p]);
}

// Panels [from, to) against R rows: tiles of P panels, then single ones (for one row also 4 and 2,
// as single chains would wait for each other).
TILED void strip(enum panel_kind kind, const struct panels *w, size_t from, size_t to,
                 const struct matmul_in *in, size_t row, float *const *out, int P, int R)
{
    size_t p = from;
    for (; p + (size_t)P <= to; p += (size_t)P)
        tile(kind, w, p, in, row, out, P, R);
    if (R == 1 && P > 4 && p + 4 <= to) {
        tile(kind, w, p, in, row, out, 4, R);
        p += 4;
    }
    if (R == 1 && P > 2 && p + 2 <= to) {
        tile(kind, w, p, in, row, out, 2, R);
        p += 2;
    }
    for (; p < to; p++)
        tile(kind, w, p, in, row, out, 1, R);
}

// Panels a tile takes beside R rows.
#define TILE_PANELS(R)                                                                             \
    ((R) == 1                 ? (ACCUMULATORS >= 24 ? 8 : 4)                                       \
     : ACCUMULATORS < (R)     ? 1                                                                  \
     : ACCUMULATORS / (R) > 6 ? 6                                                                  \
                              : ACCUMULATORS / (R))

#define DEFINE_STRIPS(NAME, KIND)                                                                  \
    static void strips_##NAME(const struct panels *w, size_t from, size_t to,                      \
                              const struct matmul_in *in, size_t row, size_t rows,                 \
                              float *const *out)                                                   \
    {                                                                                              \
        switch (rows) {                                                                            \
            STRIP_CASE(KIND, 1)                                                                    \
            STRIP_CASE(KIND, 2)                                                                    \
            STRIP_CASE(KIND, 3)                                                                    \
            STRIP_CASE(KIND, 4)                                                                    \
            STRIP_CASES_MORE(KIND)                                                                 \
        }                                                                                          \
    }
#define STRIP_CASE(KIND, R)                                                                        \
    case R:                                                                                        \
        strip(KIND, w, from, to, in, row, out, TILE_PANELS(R), R);                                 \
        break;
#if VECTOR_REGISTERS / VECTOR_PARTS >= 32
#define STRIP_CASES_MORE(KIND)                                                                     \
    STRIP_CASE(KIND, 5) STRIP_CASE(KIND, 6) STRIP_CASE(KIND, 7) STRIP_CASE(KIND, 8)
#elif VECTOR_REGISTERS / VECTOR_PARTS >= 8
#define STRIP_CASES_MORE(KIND) STRIP_CASE(KIND, 5) STRIP_CASE(KIND, 6)
#else
#define STRIP_CASES_MORE(KIND)
#endif

DEFINE_STRIPS(f32, PANEL_F32)
DEFINE_STRIPS(f16, PANEL_F16)
DEFINE_STRIPS(bf16, PANEL_BF16)
