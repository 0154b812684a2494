// Compiled with AVX-512 and AMX (kernel.cmake); runs only where tiles_here() says so.
//
// A tile of activations (rows x 32 bytes) times a tile of weights (32 x 16 lanes) gives the integer
// sums of one block for 16 output rows. They go through memory to the vector registers, where each
// output has its chain of multiply-adds over the blocks, as kernel.h states it. Weights of
// four bits are unpacked to bytes once for all rows; activations are put side by side once for all
// panels.
//
// While tile instructions are in flight the processor multiplies and converts 512 bits in one of
// its two ports only; it adds in both. So sums start from the bits of 1.5 * 2^23 and are floats
// already, but for a subtraction.
#if defined(__x86_64__)
#include "engine/kernel/tiles.h"

#include <string.h>

#include <cpuid.h>
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "engine/kernel/backends.h"
#include "engine/kernel/panel.h"

#include "base/banned.h"

#define TILE_ROWS    16
#define SLAB_ROWS    64 // rows that are worked on together
#define SLAB_TILES   (SLAB_ROWS / TILE_ROWS)
#define CHUNK_BLOCKS 24 // blocks of columns, so that one panel's stay in the nearest cache
#define ROWS_MIN     16 // fewer are the vector kernels'

enum { WEIGHTS = 2, ACTIVATIONS = 3, TILES = 4 }; // tile registers; 0 and 1 are for sums

struct config {
    uint8_t palette, start, unused[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

// What a kind is made of.
struct shape {
    enum panel_kind kind;
    size_t quant_bytes, scale_bytes; // of a block in a panel
    bool half_scales, minima;
};

// Rows of activations side by side: one tile of rows over a chunk of blocks.
struct left {
    _Alignas(64) int8_t q[CHUNK_BLOCKS * TILE_ROWS * ACT_BLOCK]; // [block][row][32]
    float d[CHUNK_BLOCKS][TILE_ROWS], sum[CHUNK_BLOCKS][TILE_ROWS];
};

// What a tile asks the memory for while it computes: its part of the panel that is next, so many
// bytes from `at` a step.
struct ahead {
    const uint8_t *at;
    size_t step;
};

// One product: its shape, and what of it is in the works.
struct work {
    const struct panels *w;
    struct shape shape;
    size_t tile_rows;     // of every tile; the last tile may repeat rows of the one before
    size_t block, blocks; // the chunk
    struct left left[SLAB_TILES];
    _Alignas(64) int8_t right[CHUNK_BLOCKS * ACT_BLOCK * LANES]; // [block][k/4][16][4]
    float wide[CHUNK_BLOCKS][2][LANES];                          // Q4_K, Q5_K: scales and minima
};

static struct shape shape_of(enum panel_kind k)
{
    bool four = panel_kind_four_bits(k), minima = panel_kind_has_min(k);
    bool half = k == PANEL_Q8_0 || k == PANEL_Q4_0 || k == PANEL_Q4_1;
    return (struct shape){.kind = k,
                          .quant_bytes = four ? 256 : 512,
                          .scale_bytes = LANES * (half ? 2u : 4u) * (minima ? 2u : 1u),
                          .half_scales = half,
                          .minima = minima};
}

static void configure(const struct work *k)
{
    struct config c = {.palette = 1};
    for (int t = 0; t < TILES; t++) {
        c.rows[t] = (uint8_t)(t == WEIGHTS ? ACT_BLOCK / 4 : k->tile_rows);
        c.row_bytes[t] = t == ACTIVATIONS ? ACT_BLOCK : 64;
    }
    _tile_loadconfig(&c);
}

// One tile's rows of a chunk, from `rows` rows of act_blocks that lie `stride` apart; the last one
// again and again where these are too few.
static void pack_left(const struct work *k, struct left *to, const struct act_block *from,
                      size_t stride, size_t rows)
{
    for (size_t r = 0; r < k->tile_rows; r++) {
        const struct act_block *a = from + min_size(r, rows - 1) * stride + k->block;
        for (size_t b = 0; b < k->blocks; b++) {
            memcpy(to->q + (b * TILE_ROWS + r) * ACT_BLOCK, a[b].q, ACT_BLOCK);
            to->d[b][r] = a[b].d;
            to->sum[b][r] = a[b].sum;
        }
    }
}

// The weights of a chunk of one panel as signed bytes, in a tile's order. Those of a byte each lie
// so in the panel.
static const int8_t *weights_of(struct work *k, const uint8_t *panel)
{
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i offset = _mm512_set1_epi8(k->shape.kind == PANEL_Q4_0 ? 8 : 0);
    const uint8_t *from = panel + k->block * k->shape.quant_bytes;
    if (k->shape.quant_bytes == 512)
        return (const int8_t *)from;
    for (size_t i = 0; i < k->blocks * 4; i++) {
        __m512i both = _mm512_loadu_si512(from + i * 64);
        __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        int8_t *at = k->right + (i / 4 * 8 + i % 4) * 64;
        _mm512_store_si512(at, _mm512_sub_epi8(_mm512_and_si512(both, low), offset));
        _mm512_store_si512(at + 256, _mm512_sub_epi8(high, offset));
    }
    return k->right;
}

// The scales and minima of a chunk of one panel, multiplied out.
static void unpack_scales(const struct work *k, const uint8_t *panel, float (*to)[2][LANES])
{
    const uint8_t *scales = panel + k->w->cols / 32 * k->shape.quant_bytes;
    for (size_t i = 0; i < k->blocks; i++) {
        size_t b = k->block + i;
        const uint8_t *shared = scales + b / PANEL_SUPER * PANEL_SUPER_BYTES;
        const uint8_t *small = shared + PANEL_SUPER_HEAD + b % PANEL_SUPER * 2 * LANES;
        for (size_t which = 0; which < 2; which++) {
            __m256i unit = _mm256_loadu_si256((const __m256i *)(const void *)shared + which);
            __m128i factor = _mm_loadu_si128((const __m128i *)(const void *)small + which);
            _mm512_storeu_ps(to[i][which],
                             _mm512_mul_ps(_mm512_cvtph_ps(unit),
                                           _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(factor))));
        }
    }
}

// The scales of a panel for the chunk's first block.
static const uint8_t *scales_of(const struct work *k, const uint8_t *panel)
{
    return k->shape.half_scales
               ? panel + k->w->cols / 32 * k->shape.quant_bytes + k->block * k->shape.scale_bytes
               : (const uint8_t *)k->wide;
}

#define TILED  static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

TILED __m512 scale_at(bool half, const uint8_t *scales, size_t which)
{
    return half ? _mm512_cvtph_ps(_mm256_loadu_si256(
                      (const __m256i *)(const void *)(scales + which * LANES * 2)))
                : _mm512_loadu_ps((const float *)(const void *)scales + which * LANES);
}

#define SUM_START 12582912.0f // 1.5 * 2^23: its bits plus a block's sum are the float plus the sum

_Alignas(64) static const float START[LANES] = {
    SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START,
    SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START, SUM_START,
};

// Starts the product of block B in tile register SUMS, a digit: that is what the intrinsics want.
#define MULTIPLY(SUMS, B)                                                                          \
    do {                                                                                           \
        if (LIKELY((B) < k->blocks)) {                                                             \
            _tile_loadd(SUMS, START, 0);                                                           \
            _tile_loadd(3, left->q + (B) * ACT_BLOCK * TILE_ROWS, ACT_BLOCK);                      \
            _tile_loadd(2, right + (B) * ACT_BLOCK * LANES, 64);                                   \
            _tile_dpbssd(SUMS, 3, 2);                                                              \
        }                                                                                          \
    } while (0)

// acc = fma((float)isum, dw * da, acc) for R rows; then the minima's part.
TILED void scale_sums(__m512 acc[], const float *sums, const uint8_t *scales, const float *d,
                      const float *sum, bool half, bool minima, int R)
{
    __m512 dw = scale_at(half, scales, 0), start = _mm512_set1_ps(SUM_START);
    UNROLL for (int r = 0; r < R; r++)
    {
        __m512 isum = _mm512_sub_ps(_mm512_load_ps(sums + r * LANES), start);
        acc[r] = _mm512_fmadd_ps(isum, _mm512_mul_ps(dw, _mm512_set1_ps(d[r])), acc[r]);
    }
    if (!minima)
        return;
    __m512 m = scale_at(half, scales, 1);
    UNROLL for (int r = 0; r < R; r++) acc[r] = _mm512_fmadd_ps(m, _mm512_set1_ps(sum[r]), acc[r]);
}

TILED void fetch(struct ahead *ahead)
{
    for (size_t i = 0; i < ahead->step; i += 64)
        __builtin_prefetch(ahead->at + i, 0, 2);
    ahead->at += ahead->step;
}

// One tile of R rows against a panel, over the chunk. While the vector unit works on a block's sums
// those of the next one are being stored, and the two after it multiplied.
TILED void tile(const struct work *k, struct ahead ahead, const struct left *left,
                const int8_t *right, const uint8_t *scales, float *const *out, __mmask16 lanes,
                bool half, bool minima, int R)
{
    _Alignas(64) float sums[2][TILE_ROWS * LANES];
    __m512 acc[TILE_ROWS];
    UNROLL for (int r = 0; r < R; r++) acc[r] =
        k->block ? _mm512_maskz_loadu_ps(lanes, out[r]) : _mm512_setzero_ps();
    MULTIPLY(0, (size_t)0);
    MULTIPLY(1, (size_t)1);
    _tile_stored(0, sums[0], 64);
    MULTIPLY(0, (size_t)2);
    for (size_t b = 0; b < k->blocks; b += 2) {
        _tile_stored(1, sums[1], 64);
        MULTIPLY(1, b + 3);
        fetch(&ahead);
        scale_sums(acc, sums[0], scales, left->d[b], left->sum[b], half, minima, R);
        if (UNLIKELY(b + 1 == k->blocks))
            break;
        _tile_stored(0, sums[0], 64);
        MULTIPLY(0, b + 4);
        fetch(&ahead);
        scale_sums(acc, sums[1], scales + k->shape.scale_bytes, left->d[b + 1], left->sum[b + 1],
                   half, minima, R);
        scales += 2 * k->shape.scale_bytes;
    }
    UNROLL for (int r = 0; r < R; r++) _mm512_mask_storeu_ps(out[r], lanes, acc[r]);
}

typedef void tile_fn(const struct work *k, struct ahead ahead, const struct left *left,
                     const int8_t *right, const uint8_t *scales, float *const *out,
                     __mmask16 lanes);

#define DEFINE_TILE(NAME, HALF, MINIMA, R)                                                         \
    static void tile_##NAME##_##R(const struct work *k, struct ahead ahead,                        \
                                  const struct left *left, const int8_t *right,                    \
                                  const uint8_t *scales, float *const *out, __mmask16 lanes)       \
    {                                                                                              \
        tile(k, ahead, left, right, scales, out, lanes, HALF, MINIMA, R);                          \
    }
DEFINE_TILE(plain, true, false, 12) // Q8_0, Q4_0
DEFINE_TILE(plain, true, false, 16)
DEFINE_TILE(minima, true, true, 12) // Q4_1
DEFINE_TILE(minima, true, true, 16)
DEFINE_TILE(wide, false, true, 12) // Q4_K, Q5_K
DEFINE_TILE(wide, false, true, 16)

static tile_fn *tile_of(const struct work *k)
{
    bool all = k->tile_rows == TILE_ROWS;
    if (!k->shape.minima)
        return all ? tile_plain_16 : tile_plain_12;
    if (k->shape.half_scales)
        return all ? tile_minima_16 : tile_minima_12;
    return all ? tile_wide_16 : tile_wide_12;
}

// Part t of the weights of panel p that this chunk wants.
static struct ahead look_ahead(const struct work *k, size_t p, size_t t, size_t tiles)
{
    if (p >= k->w->n_panels)
        return (struct ahead){k->w->data, 0};
    size_t step = k->shape.quant_bytes / tiles;
    return (struct ahead){k->w->data + p * k->w->panel_bytes + k->block * k->shape.quant_bytes +
                              t * step * k->blocks,
                          step};
}

// Panel p over the chunk, all tiles of rows.
static void panel(struct work *k, size_t p, size_t tiles, size_t m, float *const *out)
{
    const struct panels *w = k->w;
    const uint8_t *data = w->data + p * w->panel_bytes;
    tile_fn *fn = tile_of(k);
    size_t lanes = min_size(LANES, w->rows - p * LANES);
    float spare[LANES] = {0}; // for the rows that there are not
    const int8_t *right = weights_of(k, data);
    if (!k->shape.half_scales)
        unpack_scales(k, data, k->wide);
    __asm__ volatile("" ::: "memory"); // tile loads are not seen as reads
    for (size_t t = 0; t < tiles; t++) {
        float *at[TILE_ROWS];
        size_t row = t * k->tile_rows;
        for (size_t r = 0; r < k->tile_rows; r++)
            at[r] = row + r < m ? out[row + r] + p * LANES : spare;
        fn(k, look_ahead(k, p + 1, t, tiles), &k->left[t], right, scales_of(k, data), at,
           (__mmask16)((1u << lanes) - 1u));
    }
}

// At most SLAB_ROWS rows, cut into tiles of one height.
static void slab(struct work *k, size_t from, size_t to, const struct act_block *x, size_t stride,
                 size_t m, float *const *out)
{
    size_t tiles = (m + TILE_ROWS - 1) / TILE_ROWS, blocks = k->w->cols / 32;
    k->tile_rows = m <= tiles * 12 ? 12 : TILE_ROWS;
    configure(k);
    for (k->block = 0; k->block < blocks; k->block += CHUNK_BLOCKS) {
        k->blocks = min_size(CHUNK_BLOCKS, blocks - k->block);
        for (size_t t = 0; t < tiles; t++)
            pack_left(k, &k->left[t], x + t * k->tile_rows * stride, stride, m - t * k->tile_rows);
        for (size_t p = from; p < to; p++)
            panel(k, p, tiles, m, out);
    }
}

void tiles_matmul(const struct panels *w, size_t from, size_t to, const struct matmul_in *in,
                  size_t m, float *const *out)
{
    if (m < ROWS_MIN || !panel_kind_quantised(w->kind) || w->kind == PANEL_Q6_K) {
        kernel_avx512.matmul(w, from, to, in, m, out);
        return;
    }
    struct work k;
    k.w = w;
    k.shape = shape_of(w->kind);
    for (size_t row = 0; row < m; row += SLAB_ROWS)
        slab(&k, from, to, in->q + row * in->q_stride, in->q_stride, min_size(SLAB_ROWS, m - row),
             out + row);
    _tile_release();
}

bool tiles_here(void)
{
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; // arch_prctl(2)
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && (d >> 25 & 1) &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return false;
#endif
}
#endif
