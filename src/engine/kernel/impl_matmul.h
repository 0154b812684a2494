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

// Where the last panel has fewer rows than lanes. Not inlined: a call among live accumulators would
// send them all to memory, in the loops too.
static __attribute__((noinline)) void store_part(float *out, const float *lanes, size_t n)
{
    memcpy(out, lanes, n * sizeof *lanes);
}

// The outputs of a tile of P panels by R rows.
TILED void store_tile(const struct panels *w, size_t panel, size_t row, float *const *out,
                      const vf acc[], int P, int R)
{
    size_t first = panel * LANES,
           whole = (panel + (size_t)P) * LANES <= w->rows ? (size_t)P : (size_t)P - 1;
    float last[8][LANES] = {{0}};
    UNROLL for (int r = 0; r < R; r++) UNROLL for (int p = 0; p < P; p++)
        vf_store((size_t)p < whole ? out[row + (size_t)r] + first + (size_t)p * LANES : last[r],
                 acc[r * P + p]);
    for (int r = 0; r < R && whole < (size_t)P; r++)
        store_part(out[row + (size_t)r] + first + whole * LANES, last[r],
                   w->rows - first - whole * LANES);
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

// What a tile asks the memory for while it computes: a part of the panels that follow its own, so
// that the tiles of rows over one group of panels together have fetched the next group. Bytes from
// each panel's start; step is by k, zero for nothing.
struct ahead {
    size_t at, step;
};

INLINE struct ahead look_ahead(const struct panels *w, size_t panel, size_t step_bytes, size_t part,
                               size_t parts, int P)
{
    if (parts > 8 || panel + 2 * (size_t)P > w->n_panels)
        return (struct ahead){0, 0};
    size_t step = step_bytes / parts;
    return (struct ahead){(size_t)P * w->panel_bytes + part * step * w->cols, step};
}

TILED void fetch_ahead(const uint8_t *const panel[], struct ahead *ahead, int P)
{
    UNROLL for (int p = 0; p < P; p++) __builtin_prefetch(panel[p] + ahead->at, 0, 2);
    ahead->at += ahead->step;
}

// BF16 keeps two ks in a lane's 32 bits: the even one low.
TILED void tile_bf16(vf acc[], const uint8_t *const panel[], const float *const x[], size_t cols,
                     struct ahead ahead, int P, int R)
{
    ahead.step *= 2;
    for (size_t k = 0; k < cols; k += 2) {
        vf even[8], odd[8];
        if (R > 1 && ahead.step)
            fetch_ahead(panel, &ahead, P);
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

// Rows [row, row + R) against panels [panel_at, panel_at + P); part of `parts` tiles of rows.
TILED void tile(enum panel_kind kind, const struct panels *w, size_t panel_at,
                const struct matmul_in *in, size_t row, float *const *out, size_t part,
                size_t parts, int P, int R)
{
    vf acc[24];
    const uint8_t *panel[8];
    const float *x[8];
    struct ahead ahead = look_ahead(w, panel_at, kind == PANEL_F32 ? 64 : 32, part, parts, P);
    UNROLL for (int p = 0; p < P; p++) panel[p] = w->data + (panel_at + (size_t)p) * w->panel_bytes;
    UNROLL for (int r = 0; r < R; r++) x[r] = in->x + (row + (size_t)r) * in->x_stride;
    UNROLL for (int i = 0; i < P * R; i++) acc[i] = vf_set1(0.0f);
    if (kind == PANEL_BF16) {
        tile_bf16(acc, panel, x, w->cols, ahead, P, R);
    } else {
        for (size_t k = 0; k < w->cols; k++) {
            vf v[8];
            if (R > 1 && ahead.step)
                fetch_ahead(panel, &ahead, P);
            UNROLL for (int p = 0; p < P; p++) v[p] = weights_at(kind, panel[p], k);
            tile_step(acc, v, x, k, P, R);
        }
    }
    store_tile(w, panel_at, row, out, acc, P, R);
}

// Panels that a tile of R rows takes.
#define TILE_PANELS(R)                                                                             \
    ((R) == 1                 ? (ACCUMULATORS >= 24 ? 8 : 4)                                       \
     : ACCUMULATORS < (R)     ? 1                                                                  \
     : ACCUMULATORS / (R) > 6 ? 6                                                                  \
                              : ACCUMULATORS / (R))

// n panels, at most as many as go beside R rows: as one tile if n is what goes beside R or R + 1
// rows, else in pieces. Single chains would wait for each other, so one row also has 4 and 2.
TILED void strip(enum panel_kind kind, const struct panels *w, size_t panel, size_t n,
                 const struct matmul_in *in, size_t row, float *const *out, size_t part,
                 size_t parts, int R)
{
    if (n == (size_t)TILE_PANELS(R)) {
        tile(kind, w, panel, in, row, out, part, parts, TILE_PANELS(R), R);
        return;
    }
    if (R > 1 && n == (size_t)TILE_PANELS(R + 1)) {
        tile(kind, w, panel, in, row, out, part, parts, TILE_PANELS(R + 1), R);
        return;
    }
    size_t end = panel + n;
    for (; R == 1 && panel + 4 <= end; panel += 4)
        tile(kind, w, panel, in, row, out, part, parts, 4, R);
    for (; R == 1 && panel + 2 <= end; panel += 2)
        tile(kind, w, panel, in, row, out, part, parts, 2, R);
    for (; panel < end; panel++)
        tile(kind, w, panel, in, row, out, part, parts, 1, R);
}

#define DEFINE_STRIPS(NAME, KIND)                                                                  \
    static void strips_##NAME(const struct panels *w, size_t panel, size_t n,                      \
                              const struct matmul_in *in, size_t row, size_t rows,                 \
                              float *const *out, size_t part, size_t parts)                        \
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
        strip(KIND, w, panel, n, in, row, out, part, parts, R);                                    \
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
