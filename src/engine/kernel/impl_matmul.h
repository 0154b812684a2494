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
// the start of the tile's own panels; step is by two ks, zero for nothing. The only tile of F32
// fetches two lines at a time.
struct ahead {
    size_t at, step;
};

TILED void fetch_ahead(const uint8_t *const panel[], struct ahead *ahead, bool two_lines, int P)
{
    if (!ahead->step)
        return;
    UNROLL for (int p = 0; p < P; p++) __builtin_prefetch(panel[p] + ahead->at, 0, 2);
    if (two_lines && ahead->step > 64)
        UNROLL for (int p = 0; p < P; p++) __builtin_prefetch(panel[p] + ahead->at + 64, 0, 2);
    ahead->at += ahead->step;
}

// What one tile does of the chains: ks [from, to). All that is before stands in the outputs; it is
// nothing but for F32.
struct span {
    size_t from, to;
    struct ahead ahead;
};

// BF16 keeps two ks in a lane's 32 bits: the even one low.
TILED void tile_bf16(vf acc[], const uint8_t *const panel[], const float *const x[],
                     const struct span *span, int P, int R)
{
    struct ahead ahead = span->ahead;
    for (size_t k = 0; k < span->to; k += 2) {
        vf even[8], odd[8];
        if (R > 1)
            fetch_ahead(panel, &ahead, false, P);
        UNROLL for (int p = 0; p < P; p++)
        {
            vi both = vi_load(panel[p] + k * LANES * 2);
            even[p] = vf_from_bits(vi_shl(both, 16));
            odd[p] = vf_from_bits(vi_and(both, vi_set1((int32_t)0xFFFF0000)));
        }
        tile_step(acc, even, x, k, P, R);
        if (k + 1 < span->to)
            tile_step(acc, odd, x, k + 1, P, R);
    }
}

TILED void tile_one_k(vf acc[], enum panel_kind kind, const uint8_t *const panel[],
                      const float *const x[], size_t k, int P, int R)
{
    vf v[8];
    UNROLL for (int p = 0; p < P; p++) v[p] = weights_at(kind, panel[p], k);
    tile_step(acc, v, x, k, P, R);
}

// F32 and F16.
TILED void tile_plain(vf acc[], enum panel_kind kind, const uint8_t *const panel[],
                      const float *const x[], const struct span *span, int P, int R)
{
    struct ahead ahead = span->ahead;
    size_t k = span->from;
    for (; R > 1 && k + 2 <= span->to; k += 2) {
        fetch_ahead(panel, &ahead, kind == PANEL_F32, P);
        tile_one_k(acc, kind, panel, x, k, P, R);
        tile_one_k(acc, kind, panel, x, k + 1, P, R);
    }
    for (; k < span->to; k++)
        tile_one_k(acc, kind, panel, x, k, P, R);
}

// Rows [row, row + R) against panels [panel_at, panel_at + P).
TILED void tile(enum panel_kind kind, const struct panels *w, size_t panel_at,
                const struct matmul_in *in, size_t row, float *const *out, const struct span *span,
                int P, int R)
{
    vf acc[24];
    const uint8_t *panel[8];
    const float *x[8];
    UNROLL for (int p = 0; p < P; p++) panel[p] = w->data + (panel_at + (size_t)p) * w->panel_bytes;
    UNROLL for (int r = 0; r < R; r++) x[r] = in->x + (row + (size_t)r) * in->x_stride;
    if (kind != PANEL_F32 || span->from == 0)
        UNROLL for (int i = 0; i < P * R; i++) acc[i] = vf_set1(0.0f);
    else
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int p = 0; p < P; p++) acc[r * P + p] =
            vf_load(out[row + (size_t)r] + (panel_at + (size_t)p) * LANES);
    if (kind == PANEL_BF16)
        tile_bf16(acc, panel, x, span, P, R);
    else
        tile_plain(acc, kind, panel, x, span, P, R);
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
                 const struct matmul_in *in, size_t row, float *const *out, const struct span *span,
                 int R)
{
    if (n == (size_t)TILE_PANELS(R)) {
        tile(kind, w, panel, in, row, out, span, TILE_PANELS(R), R);
        return;
    }
    if (R > 1 && n == (size_t)TILE_PANELS(R + 1)) {
        tile(kind, w, panel, in, row, out, span, TILE_PANELS(R + 1), R);
        return;
    }
    size_t end = panel + n;
    for (; R == 1 && panel + 4 <= end; panel += 4)
        tile(kind, w, panel, in, row, out, span, 4, R);
    for (; R == 1 && panel + 2 <= end; panel += 2)
        tile(kind, w, panel, in, row, out, span, 2, R);
    for (; panel < end; panel++)
        tile(kind, w, panel, in, row, out, span, 1, R);
}

#define DEFINE_STRIPS(NAME, KIND)                                                                  \
    static void strips_##NAME(const struct panels *w, size_t panel, size_t n,                      \
                              const struct matmul_in *in, size_t row, size_t rows,                 \
                              float *const *out, const struct span *span)                          \
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
        strip(KIND, w, panel, n, in, row, out, span, R);                                           \
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

typedef void plain_strips_fn(const struct panels *w, size_t panel, size_t n,
                             const struct matmul_in *in, size_t row, size_t rows, float *const *out,
                             const struct span *span);

static plain_strips_fn *const PLAIN_STRIPS[] = {
    [PANEL_F32] = strips_f32, [PANEL_F16] = strips_f16, [PANEL_BF16] = strips_bf16};

// The part of the group after panels [panel, panel + n) that tile t fetches during ks [from, to).
static struct ahead look_ahead(const struct panels *w, size_t panel, size_t n, size_t from,
                               size_t to, size_t t, size_t tiles)
{
    size_t of_k = w->kind == PANEL_F32 ? 64 : 32;
    if (tiles > 16 || panel + 2 * n > w->n_panels)
        return (struct ahead){0, 0};
    return (struct ahead){n * w->panel_bytes + of_k * from + of_k * (to - from) * t / tiles,
                          2 * of_k / tiles};
}

// Rows are cut into tiles of nearly equal height; each small group of panels is passed over by all
// of them while it is in the cache. Of F32 with many ks, SLAB at a time: else the group, the next
// one and the activations would not fit.
#define SLAB 1024
static void matmul_plain(const struct panels *w, size_t from, size_t to, const struct matmul_in *in,
                         size_t m, float *const *out)
{
    size_t tiles = (m + MATMUL_ROWS - 1) / MATMUL_ROWS;
    size_t group = TILE_PANELS((m + tiles - 1) / tiles);
    for (size_t panel = from, n; panel < to; panel += n) {
        n = min_size(group, to - panel);
        bool slabs = w->kind == PANEL_F32 && tiles > 1 && (panel + n) * LANES <= w->rows;
        size_t parts = slabs ? (w->cols + SLAB - 1) / SLAB : 1;
        size_t slab = round_up((w->cols + parts - 1) / parts, 2);
        for (size_t k = 0; k < w->cols; k += slab)
            for (size_t t = 0; t < tiles; t++) {
                size_t row = m * t / tiles, end = min_size(k + slab, w->cols);
                struct span span = {k, end, look_ahead(w, panel, n, k, end, t, tiles)};
                PLAIN_STRIPS[w->kind](w, panel, n, in, row, m * (t + 1) / tiles - row, out, &span);
            }
    }
}
