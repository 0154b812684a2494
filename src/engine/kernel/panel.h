// Weight matrices repacked so that vector lanes are output rows: panels of 16 rows, each one stream
// from its first column to its last. Rows are padded to 16 with zeros. Immutable after packing.
//
// kind          one panel                                          weight
// F32, F16      [k][16]                                            w
// BF16          [k/2][16][2] (odd k: a zero follows)               w
// Q8_0          [k/4][16][4] signed bytes q, then [k/32][16] f16 d     q*d
// Q4_0          [k/32][4][16][4] bytes: byte j of a block holds q of k = j (low) and j+16 (high),
//               then [k/32][16] f16 d                               (q-8)*d
// Q4_1          as Q4_0, then [k/32]{[16] f16 d, [16] f16 m}        q*d + m
// Q4_K          as Q4_0, then [k/256]{[16] f16 D, [16] f16 M, [8]{[16] u8 s, [16] u8 t}}
//                                                                  q*(D*s) + M*t
// Q5_K          [k/4][16][4] bytes q, then as Q4_K                  q*(D*s) + M*t
// Q6_K          [k/4][16][4] bytes q+32, then [k/16][16] f32 d      q*d (d a scale of 16 weights)
// In K-quants D*s, M*t and d are exact in f32; M is minus the file's.
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "engine/kernel/kernel.h"

enum panel_kind {
    PANEL_F32,
    PANEL_F16,
    PANEL_BF16,
    PANEL_Q8_0,
    PANEL_Q4_0,
    PANEL_Q4_1,
    PANEL_Q4_K,
    PANEL_Q5_K,
    PANEL_Q6_K,
    PANEL_KINDS
};

struct panels {
    enum panel_kind kind;
    uint32_t rows, cols;
    size_t n_panels, panel_bytes;
    uint8_t *data; // n_panels * panel_bytes, 64-aligned; owned by whoever packed it
};

// Q4_K and Q5_K: blocks that share D and M, the bytes of these, and those with what is each
// block's.
#define PANEL_SUPER       8
#define PANEL_SUPER_HEAD  (2 * LANES * 2)
#define PANEL_SUPER_BYTES (PANEL_SUPER_HEAD + PANEL_SUPER * 2 * LANES)

static inline bool panel_kind_super(enum panel_kind k)
{
    return k == PANEL_Q4_K || k == PANEL_Q5_K;
}

static inline bool panel_kind_four_bits(enum panel_kind k)
{
    return k == PANEL_Q4_0 || k == PANEL_Q4_1 || k == PANEL_Q4_K;
}

static inline bool panel_kind_has_min(enum panel_kind k)
{
    return k == PANEL_Q4_1 || k == PANEL_Q4_K || k == PANEL_Q5_K;
}

static inline bool panel_kind_quantised(enum panel_kind k)
{
    return k >= PANEL_Q8_0;
}

// Columns must be a multiple of this.
uint32_t panel_kind_block(enum panel_kind k);
// Bytes of a row of `cols` in the file's layout.
size_t panel_kind_row_bytes(enum panel_kind k, uint32_t cols);
// Sizes of the packed matrix; data stays NULL. ERR_LIMIT when they overflow.
enum err panels_layout(enum panel_kind kind, uint32_t rows, uint32_t cols,
                       struct panels *ret) MUST_USE;
size_t panels_bytes(const struct panels *p);
// Pack panels [from, to) from the file's rows (little-endian, maybe unaligned). `transposed`: the
// file holds [cols][rows] (F32, F16 and BF16 only).
void panels_pack(const struct panels *p, const uint8_t *file, bool transposed, size_t from,
                 size_t to);
// The same for F32, F16 and BF16 rows that lie by halves in groups of `halves`: row 2i of a group
// is its row i in the file, 2i+1 its row i + halves/2.
void panels_pack_halves(const struct panels *p, const uint8_t *file, uint32_t halves, size_t from,
                        size_t to);
// One row back as floats.
void panels_row(const struct panels *p, uint32_t row, float *out);
