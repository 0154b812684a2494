#include "engine/kernel/panel.h"

#include <string.h>

#include "base/mem.h"
#include "engine/kernel/half.h"

#include "base/banned.h"

// What a kind is made of: sizes of a block in the file, and of 16 rows of it in a panel.
struct kind_info {
    uint32_t block, file_bytes;
    uint32_t quant_bytes, scale_bytes; // of 32 columns of a panel
};

static const struct kind_info KINDS[PANEL_KINDS] = {
    [PANEL_F32] = {1, 4, 0, 0},          [PANEL_F16] = {1, 2, 0, 0},
    [PANEL_BF16] = {1, 2, 0, 0},         [PANEL_Q8_0] = {32, 34, 512, 32},
    [PANEL_Q4_0] = {32, 18, 256, 32},    [PANEL_Q4_1] = {32, 20, 256, 64},
    [PANEL_Q4_K] = {256, 144, 256, 40},  [PANEL_Q5_K] = {256, 176, 512, 40},
    [PANEL_Q6_K] = {256, 210, 512, 128},
};

// 32 weights of one row, taken out of the file's packing.
struct block32 {
    uint8_t q[32];           // with the kind's offset; Q8_0's are signed
    uint16_t scale16, min16; // f16: of the block, or of its 256
    uint8_t small[2];        // Q4_K and Q5_K: scale and min of the block
    float scale[2];          // Q6_K
};

uint32_t panel_kind_block(enum panel_kind k)
{
    return KINDS[k].block;
}

size_t panel_kind_row_bytes(enum panel_kind k, uint32_t cols)
{
    return (size_t)(cols / KINDS[k].block) * KINDS[k].file_bytes;
}

size_t panels_bytes(const struct panels *p)
{
    return p->n_panels * p->panel_bytes;
}

// Plain panels get two more cache lines: with a length of a power of two, say, the panels that are
// read side by side would all fall into the same sets of the cache.
static size_t panel_bytes(enum panel_kind kind, size_t cols)
{
    enum { STAGGER = 128 };
    switch (kind) {
    case PANEL_F32:
        return cols * LANES * 4 + STAGGER;
    case PANEL_F16:
        return round_up(cols * LANES * 2, 64) + STAGGER;
    case PANEL_BF16:
        return (cols + 1) / 2 * LANES * 4 + STAGGER;
    default:
        return round_up(cols / 32 * (KINDS[kind].quant_bytes + KINDS[kind].scale_bytes), 64);
    }
}

enum err panels_layout(enum panel_kind kind, uint32_t rows, uint32_t cols, struct panels *ret)
{
    size_t n = ((size_t)rows + LANES - 1) / LANES, total;
    size_t bytes = panel_bytes(kind, cols); // below 2^32 * 64: cannot overflow 64 bits
    if (rows == 0 || cols == 0 || cols % KINDS[kind].block != 0)
        return ERR_INVALID;
    if (!mem_mul(n, bytes, &total) || total > (size_t)1 << 46)
        return ERR_LIMIT;
    *ret = (struct panels){
        .kind = kind, .rows = rows, .cols = cols, .n_panels = n, .panel_bytes = bytes};
    return ERR_OK;
}

static uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static float load_half(const uint8_t *p)
{
    return half_to_float(load_u16(p));
}

static void nibbles(const uint8_t *packed, uint8_t *q) // 16 bytes: low halves first
{
    for (int j = 0; j < 16; j++) {
        q[j] = packed[j] & 15;
        q[j + 16] = packed[j] >> 4;
    }
}

static void read_q8_0(const uint8_t *b, struct block32 *out)
{
    out->scale16 = load_u16(b);
    for (int j = 0; j < 32; j++)
        out->q[j] = b[2 + j];
}

static void read_q4_0(const uint8_t *b, struct block32 *out)
{
    out->scale16 = load_u16(b);
    nibbles(b + 2, out->q);
}

static void read_q4_1(const uint8_t *b, struct block32 *out)
{
    out->scale16 = load_u16(b);
    out->min16 = load_u16(b + 2);
    nibbles(b + 4, out->q);
}

// The 6-bit scale and min of sub-block j of eight: 12 bytes, the last four hold high bits (ggml's
// get_scale_min_k4).
static void k_scale(const uint8_t *s, unsigned j, unsigned *ret_scale, unsigned *ret_min)
{
    if (j < 4) {
        *ret_scale = s[j] & 63u;
        *ret_min = s[j + 4] & 63u;
    } else {
        *ret_scale = (s[j + 4] & 15u) | (unsigned)(s[j - 4] >> 6) << 4;
        *ret_min = (unsigned)(s[j + 4] >> 4) | (unsigned)(s[j] >> 6) << 4;
    }
}

static void k_scales(const uint8_t *b, unsigned sub, struct block32 *out)
{
    unsigned scale, min;
    k_scale(b + 4, sub, &scale, &min);
    out->scale16 = load_u16(b);
    out->min16 = load_u16(b + 2) ^ 0x8000;
    out->small[0] = (uint8_t)scale;
    out->small[1] = (uint8_t)min;
}

// d, dmin, scales[12], 128 bytes: each 32 bytes hold sub-block 2i low and 2i+1 high.
static void read_q4_k(const uint8_t *b, unsigned sub, struct block32 *out)
{
    const uint8_t *q = b + 16 + (sub / 2) * 32;
    k_scales(b, sub, out);
    for (int j = 0; j < 32; j++)
        out->q[j] = sub % 2 ? q[j] >> 4 : q[j] & 15;
}

// d, dmin, scales[12], qh[32] (bit `sub` is the fifth bit), 128 bytes as Q4_K.
static void read_q5_k(const uint8_t *b, unsigned sub, struct block32 *out)
{
    const uint8_t *high = b + 16, *q = b + 48 + (sub / 2) * 32;
    k_scales(b, sub, out);
    for (int j = 0; j < 32; j++)
        out->q[j] = (uint8_t)((sub % 2 ? q[j] >> 4 : q[j] & 15) | (high[j] >> sub & 1) << 4);
}

// ql[128], qh[64], int8 scales[16], d: halves of 128; within a half, quarter i of 32 takes its low
// bits from ql (quarters 0, 1 the low nibbles of bytes 0-31, 32-63; 2, 3 the high ones) and its
// high two bits from bits 2i of qh.
static void read_q6_k(const uint8_t *b, unsigned sub, struct block32 *out)
{
    unsigned half = sub / 4, quarter = sub % 4;
    const uint8_t *low = b + half * 64 + quarter % 2 * 32, *high = b + 128 + half * 32;
    const uint8_t *scales = b + 192;
    float d = load_half(b + 208);
    for (unsigned j = 0; j < 32; j++) {
        unsigned l = quarter < 2 ? low[j] & 15u : (unsigned)low[j] >> 4;
        out->q[j] = (uint8_t)(l | (high[j] >> (2 * quarter) & 3u) << 4);
    }
    for (unsigned i = 0; i < 2; i++)
        out->scale[i] = d * (float)(int8_t)scales[sub * 2 + i];
}

static void read_block(enum panel_kind kind, const uint8_t *row, size_t block, struct block32 *out)
{
    const struct kind_info *info = &KINDS[kind];
    unsigned a_file_block = info->block / 32, sub = (unsigned)(block % a_file_block);
    const uint8_t *b = row + block / a_file_block * info->file_bytes;
    switch (kind) {
    case PANEL_Q8_0:
        read_q8_0(b, out);
        break;
    case PANEL_Q4_0:
        read_q4_0(b, out);
        break;
    case PANEL_Q4_1:
        read_q4_1(b, out);
        break;
    case PANEL_Q4_K:
        read_q4_k(b, sub, out);
        break;
    case PANEL_Q5_K:
        read_q5_k(b, sub, out);
        break;
    case PANEL_Q6_K:
        read_q6_k(b, sub, out);
        break;
    default:
        ASSERT(!"a quantised kind");
    }
}

// Where block `block` of lane `lane` keeps its parts.
static uint8_t *quants_at(const struct panels *p, size_t panel, size_t block)
{
    return p->data + panel * p->panel_bytes + block * KINDS[p->kind].quant_bytes;
}

static uint8_t *scales_at(const struct panels *p, size_t panel, size_t block)
{
    uint8_t *scales = p->data + panel * p->panel_bytes + p->cols / 32 * KINDS[p->kind].quant_bytes;
    return panel_kind_super(p->kind) ? scales + block / PANEL_SUPER * PANEL_SUPER_BYTES
                                     : scales + block * KINDS[p->kind].scale_bytes;
}

// Q4_K and Q5_K: what is one block's, after what its 256 share.
static size_t small_scales(size_t block)
{
    return PANEL_SUPER_HEAD + block % PANEL_SUPER * 2 * LANES;
}

static void write_quants(uint8_t *at, bool four_bits, unsigned lane, const uint8_t *q)
{
    if (!four_bits) {
        for (unsigned g = 0; g < 8; g++)
            memcpy(at + (g * LANES + lane) * 4, q + 4 * g, 4);
        return;
    }
    for (unsigned g = 0; g < 4; g++)
        for (unsigned j = 0; j < 4; j++)
            at[(g * LANES + lane) * 4 + j] = (uint8_t)(q[4 * g + j] | q[16 + 4 * g + j] << 4);
}

static void write_scales(uint8_t *at, enum panel_kind kind, size_t block, unsigned lane,
                         const struct block32 *b)
{
    if (kind == PANEL_Q6_K) {
        for (unsigned i = 0; i < 2; i++)
            memcpy(at + (i * LANES + lane) * 4, &b->scale[i], 4);
        return;
    }
    memcpy(at + lane * 2, &b->scale16, 2);
    if (panel_kind_has_min(kind))
        memcpy(at + (LANES + lane) * 2, &b->min16, 2);
    for (unsigned i = 0; panel_kind_super(kind) && i < 2; i++)
        at[small_scales(block) + i * LANES + lane] = b->small[i];
}

static void pack_quantised(const struct panels *p, const uint8_t *file, size_t panel)
{
    size_t row_bytes = panel_kind_row_bytes(p->kind, p->cols);
    for (unsigned lane = 0; lane < LANES; lane++) {
        size_t row = panel * LANES + lane;
        for (size_t b = 0; row < p->rows && b < p->cols / 32; b++) {
            struct block32 block;
            read_block(p->kind, file + row * row_bytes, b, &block);
            write_quants(quants_at(p, panel, b), panel_kind_four_bits(p->kind), lane, block.q);
            write_scales(scales_at(p, panel, b), p->kind, b, lane, &block);
        }
    }
}

// F32, F16, BF16: elements of 4 or 2 bytes; BF16 interleaves pairs of k. Inlined for each size, so
// that the copy of an element is one move.
static inline __attribute__((always_inline)) void pack_plain(const struct panels *p,
                                                             const uint8_t *file, bool transposed,
                                                             size_t panel, size_t size, size_t pair)
{
    uint8_t *to = p->data + panel * p->panel_bytes;
    size_t lanes = min_size(LANES, p->rows - panel * LANES), cols = p->cols;
    size_t lane_step = (transposed ? 1 : cols) * size, k_step = (transposed ? p->rows : 1) * size;
    const uint8_t *from = file + panel * LANES * lane_step;
    for (size_t k = 0; k < cols; k++)
        for (size_t lane = 0; lane < lanes; lane++)
            memcpy(to + ((k / pair * LANES + lane) * pair + k % pair) * size,
                   from + lane * lane_step + k * k_step, size);
}

void panels_pack(const struct panels *p, const uint8_t *file, bool transposed, size_t from,
                 size_t to)
{
    ASSERT(!transposed || !panel_kind_quantised(p->kind));
    for (size_t panel = from; panel < to; panel++) {
        memset(p->data + panel * p->panel_bytes, 0, p->panel_bytes);
        if (panel_kind_quantised(p->kind))
            pack_quantised(p, file, panel);
        else if (p->kind == PANEL_F32)
            pack_plain(p, file, transposed, panel, 4, 1);
        else
            pack_plain(p, file, transposed, panel, 2, p->kind == PANEL_BF16 ? 2 : 1);
    }
}

static void pack_row(const struct panels *p, const uint8_t *from, size_t panel, size_t lane,
                     size_t size, size_t pair)
{
    uint8_t *to = p->data + panel * p->panel_bytes;
    for (size_t k = 0; k < p->cols; k++)
        memcpy(to + ((k / pair * LANES + lane) * pair + k % pair) * size, from + k * size, size);
}

void panels_pack_halves(const struct panels *p, const uint8_t *file, uint32_t halves, size_t from,
                        size_t to)
{
    ASSERT(!panel_kind_quantised(p->kind) && halves && p->rows % halves == 0);
    size_t size = KINDS[p->kind].file_bytes, pair = p->kind == PANEL_BF16 ? 2 : 1;
    for (size_t panel = from; panel < to; panel++) {
        memset(p->data + panel * p->panel_bytes, 0, p->panel_bytes);
        for (size_t lane = 0; lane < LANES && panel * LANES + lane < p->rows; lane++) {
            size_t row = panel * LANES + lane, i = row % halves;
            size_t source = row - i + i / 2 + i % 2 * (halves / 2);
            pack_row(p, file + source * p->cols * size, panel, lane, size, pair);
        }
    }
}

// The scale of a block's weight k, or their minimum.
static float scale_of(const struct panels *p, const uint8_t *scales, size_t block, unsigned lane,
                      unsigned k, bool min)
{
    float f;
    if (p->kind == PANEL_Q6_K) {
        memcpy(&f, scales + (k / 16 * LANES + lane) * 4, 4);
        return f;
    }
    f = load_half(scales + (min * LANES + lane) * 2);
    return panel_kind_super(p->kind) ? f * scales[small_scales(block) + min * LANES + lane] : f;
}

static void row_quantised(const struct panels *p, uint32_t row, float *out)
{
    static const int OFFSET[PANEL_KINDS] = {[PANEL_Q4_0] = 8, [PANEL_Q6_K] = 32};
    size_t panel = row / LANES;
    unsigned lane = row % LANES;
    for (size_t b = 0; b < p->cols / 32; b++) {
        const uint8_t *q = quants_at(p, panel, b), *s = scales_at(p, panel, b);
        float min = panel_kind_has_min(p->kind) ? scale_of(p, s, b, lane, 0, true) : 0.0f;
        for (unsigned k = 0; k < 32; k++) {
            unsigned four = k % 16;
            int v = panel_kind_four_bits(p->kind)
                        ? q[(four / 4 * LANES + lane) * 4 + four % 4] >> (k < 16 ? 0 : 4) & 15
                        : q[(k / 4 * LANES + lane) * 4 + k % 4];
            if (p->kind == PANEL_Q8_0)
                v = (v ^ 128) - 128; // signed
            float d = scale_of(p, s, b, lane, k, false);
            out[b * 32 + k] = (float)(v - OFFSET[p->kind]) * d + min;
        }
    }
}

void panels_row(const struct panels *p, uint32_t row, float *out)
{
    const uint8_t *panel = p->data + row / LANES * p->panel_bytes;
    size_t lane = row % LANES;
    if (panel_kind_quantised(p->kind)) {
        row_quantised(p, row, out);
        return;
    }
    for (size_t k = 0; k < p->cols; k++) {
        if (p->kind == PANEL_F32)
            memcpy(&out[k], panel + (k * LANES + lane) * 4, 4);
        else if (p->kind == PANEL_F16)
            out[k] = load_half(panel + (k * LANES + lane) * 2);
        else
            out[k] = bf16_to_float(load_u16(panel + ((k / 2 * LANES + lane) * 2 + k % 2) * 2));
    }
}
