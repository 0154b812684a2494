#include "amx.h"
#include "model.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WITH_AMX __attribute__((target("avx512f,avx512bw,avx512bf16,amx-tile,amx-bf16")))

enum {
    TILE = 16,
    DEPTH = 32,
    TILE_ITEMS = TILE * DEPTH,
    ARCH_REQ_XCOMP_PERM = 0x1023,
    XTILEDATA = 18
};

struct packed { // tiles of bf16 in the order in which the product walks them; grows, never shrinks
    uint16_t *tile;
    size_t capacity;
};

struct tile_config { // the layout that LDTILECFG reads
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

int amx_usable(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & (1U << 22)) || !(d & (1U << 24)))
        return 0;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & (1U << 5))) // AVX512_BF16
        return 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}

static uint16_t *packed_room(struct packed *p, size_t tiles)
{
    if (p->capacity < tiles) {
        free(p->tile);
        p->tile = alloc_or_die(tiles * TILE_ITEMS, sizeof *p->tile);
        p->capacity = tiles;
    }
    return p->tile;
}

static inline __mmask16 first(size_t from,
                              size_t end) // lanes from..from+15 that lie before the end
{
    size_t left = from >= end ? 0 : end - from;
    return left >= 16 ? (__mmask16)0xffff : (__mmask16)((1U << left) - 1);
}

// 16 x 16 words of 32 bits, rows become columns
WITH_AMX static void transpose(__m512i r[16])
{
    __m512i a[16], b[16];
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        a[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int g = 0; g < 16; g += 4) {
        b[g] = _mm512_unpacklo_epi64(a[g], a[g + 2]);
        b[g + 1] = _mm512_unpackhi_epi64(a[g], a[g + 2]);
        b[g + 2] = _mm512_unpacklo_epi64(a[g + 1], a[g + 3]);
        b[g + 3] = _mm512_unpackhi_epi64(a[g + 1], a[g + 3]);
    }
    for (int j = 0; j < 4; j++) {
        __m512i low0 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x44);
        __m512i low1 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x44);
        __m512i high0 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xee);
        __m512i high1 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xee);
        r[j] = _mm512_shuffle_i32x4(low0, low1, 0x88);
        r[4 + j] = _mm512_shuffle_i32x4(low0, low1, 0xdd);
        r[8 + j] = _mm512_shuffle_i32x4(high0, high1, 0x88);
        r[12 + j] = _mm512_shuffle_i32x4(high0, high1, 0xdd);
    }
}

// Row i of r: the 32 values (i0 + i, k0..k0+31) as 16 pairs of bf16. Outside of the matrix there
// are zeros.
WITH_AMX static void rows_along_k(__m512i r[16], const struct factor *f, size_t i0, size_t i_end,
                                  size_t k0, size_t k_end)
{
    for (size_t i = 0; i < TILE; i++) {
        if (i0 + i >= i_end) {
            r[i] = _mm512_setzero_si512();
            continue;
        }
        const float *p = f->base + (i0 + i) * f->step_i + k0;
        __m512 low = _mm512_maskz_loadu_ps(first(k0, k_end), p);
        __m512 high = _mm512_maskz_loadu_ps(first(k0 + 16, k_end), p + 16);
        r[i] = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    }
}

// Row p of r: the 16 pairs (i0..i0+15, k0 + 2p and k0 + 2p + 1).
WITH_AMX static void rows_along_i(__m512i r[16], const struct factor *f, size_t i0, size_t i_end,
                                  size_t k0, size_t k_end)
{
    __mmask16 lanes = first(i0, i_end);
    for (size_t p = 0; p < 16; p++) {
        size_t k = k0 + 2 * p;
        const float *at = f->base + k * f->step_k + i0;
        __m512 even = _mm512_maskz_loadu_ps(k < k_end ? lanes : 0, at);
        __m512 odd = _mm512_maskz_loadu_ps(k + 1 < k_end ? lanes : 0, at + f->step_k);
        __m512i e = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(even));
        __m512i o = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(odd));
        r[p] = _mm512_or_si512(e, _mm512_slli_epi32(o, 16));
    }
}

struct packing {
    const struct factor *factor;
    size_t i_end, k_end, tiles_k;
    int pairs_outside; // tiles of the right factor have the pairs of k as rows, those of the left
                       // one have i
    uint16_t *out;
};

WITH_AMX static inline void pack_tile(const struct packing *p, size_t i, size_t k, int along_k)
{
    __m512i r[16];
    if (along_k)
        rows_along_k(r, p->factor, i * TILE, p->i_end, k * DEPTH, p->k_end);
    else
        rows_along_i(r, p->factor, i * TILE, p->i_end, k * DEPTH, p->k_end);
    if (along_k == p->pairs_outside)
        transpose(r);
    uint16_t *to = p->out + (i * p->tiles_k + k) * TILE_ITEMS;
    for (int row = 0; row < TILE; row++)
        _mm512_store_si512(to + row * DEPTH, r[row]);
}

// The loops read the matrix in the order in which it lies.
WITH_AMX static const uint16_t *pack(struct packed *room, const struct factor *f, size_t i_end,
                                     size_t k_end, int pairs_outside)
{
    size_t tiles_i = (i_end + TILE - 1) / TILE, tiles_k = (k_end + DEPTH - 1) / DEPTH;
    tiles_i += tiles_i & 1; // the product takes two at a time
    struct packing p = {f,       i_end,         k_end,
                        tiles_k, pairs_outside, packed_room(room, tiles_i * tiles_k)};
    if (f->step_k == 1)
        for (size_t i = 0; i < tiles_i; i++)
            for (size_t k = 0; k < tiles_k; k++)
                pack_tile(&p, i, k, 1);
    else
        for (size_t k = 0; k < tiles_k; k++)
            for (size_t i = 0; i < tiles_i; i++)
                pack_tile(&p, i, k, 0);
    return p.out;
}

WITH_AMX static void configure(void)
{
    static __thread int done;
    if (done)
        return;
    struct tile_config c = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    _tile_loadconfig(&c);
    done = 1;
}

// Two by two tiles of the product over the whole depth. block: 32 x 32 sums, out, and with add in.
WITH_AMX static void four_tiles(const uint16_t *a, const uint16_t *b, size_t tiles_k, int add,
                                float *block, size_t step)
{
    const uint16_t *a1 = a + tiles_k * TILE_ITEMS, *b1 = b + tiles_k * TILE_ITEMS;
    size_t bytes = step * sizeof(float);
    if (add) {
        _tile_loadd(0, block, bytes);
        _tile_loadd(1, block + 16, bytes);
        _tile_loadd(2, block + 16 * step, bytes);
        _tile_loadd(3, block + 16 * step + 16, bytes);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t k = 0; k < tiles_k; k++) {
        _tile_loadd(4, a + k * TILE_ITEMS, 64);
        _tile_loadd(5, a1 + k * TILE_ITEMS, 64);
        _tile_loadd(6, b + k * TILE_ITEMS, 64);
        _tile_loadd(7, b1 + k * TILE_ITEMS, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, block, bytes);
    _tile_stored(1, block + 16, bytes);
    _tile_stored(2, block + 16 * step, bytes);
    _tile_stored(3, block + 16 * step + 16, bytes);
}

// A block at the edge goes by way of a full-sized one.
WITH_AMX static void edge_block(const uint16_t *a, const uint16_t *b, size_t tiles_k, int add,
                                float *out, size_t step, size_t rows, size_t cols)
{
    float block[32 * 32];
    if (add)
        memset(block, 0, sizeof block);
    for (size_t i = 0; add && i < rows; i++)
        memcpy(block + i * 32, out + i * step, cols * sizeof(float));
    four_tiles(a, b, tiles_k, add, block, 32);
    for (size_t i = 0; i < rows; i++)
        memcpy(out + i * step, block + i * 32, cols * sizeof(float));
}

WITH_AMX void amx_product(size_t m, size_t n, size_t k, struct factor fa, struct factor fb, int add,
                          float *out, size_t step)
{
    static __thread struct packed room_a, room_b;
    size_t tiles_k = (k + DEPTH - 1) / DEPTH;
    const uint16_t *a = pack(&room_a, &fa, m, k, 0), *b = pack(&room_b, &fb, n, k, 1);
    configure();
    for (size_t i = 0; i < m; i += 32)
        for (size_t j = 0; j < n; j += 32) {
            const uint16_t *ai = a + i / TILE * tiles_k * TILE_ITEMS;
            const uint16_t *bj = b + j / TILE * tiles_k * TILE_ITEMS;
            float *to = out + i * step + j;
            if (i + 32 <= m && j + 32 <= n)
                four_tiles(ai, bj, tiles_k, add, to, step);
            else
                edge_block(ai, bj, tiles_k, add, to, step, m - i < 32 ? m - i : 32,
                           n - j < 32 ? n - j : 32);
        }
}

#else

int amx_usable(void)
{
    return 0;
}

void amx_product(size_t m, size_t n, size_t k, struct factor a, struct factor b, int add,
                 float *out, size_t out_step)
{
    (void)m, (void)n, (void)k, (void)a, (void)b, (void)add, (void)out, (void)out_step;
    abort(); // never called: amx_usable said no
}

#endif
