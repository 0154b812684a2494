#include "engine/format/half.h"
#include "engine/format/model_file.h"

#include "base/banned.h"

// Block layouts: ggml/docs/gguf.md and ggml's block structs. Unpackers turn one block into its
// values; the order of operations is the format's definition.

static void unpack_f32(const uint8_t *p, float *out)
{
    out[0] = half_bits_f32(half_load_u32(p));
}

static void unpack_f16(const uint8_t *p, float *out)
{
    out[0] = half_load_f16(p);
}

static void unpack_bf16(const uint8_t *p, float *out)
{
    out[0] = half_from_bf16(half_load_u16(p));
}

// f16 d, 32 × i8: x = q·d
static void unpack_q8_0(const uint8_t *p, float *out)
{
    float d = half_load_f16(p);
    for (size_t i = 0; i < 32; i++)
        out[i] = (float)(int8_t)p[2 + i] * d;
}

// f16 d, 16 bytes of nibbles, low ones first: x = (q − 8)·d
static void unpack_q4_0(const uint8_t *p, float *out)
{
    float d = half_load_f16(p);
    for (size_t i = 0; i < 16; i++) {
        out[i] = (float)((p[2 + i] & 15) - 8) * d;
        out[i + 16] = (float)((p[2 + i] >> 4) - 8) * d;
    }
}

// f16 d, f16 m, nibbles as Q4_0: x = q·d + m
static void unpack_q4_1(const uint8_t *p, float *out)
{
    float d = half_load_f16(p), m = half_load_f16(p + 2);
    for (size_t i = 0; i < 16; i++) {
        out[i] = (float)(p[4 + i] & 15) * d + m;
        out[i + 16] = (float)(p[4 + i] >> 4) * d + m;
    }
}

// The eight (scale, minimum) pairs of 6 bits that Q4_K and Q5_K pack in 12 bytes.
static void k_scale_min(const uint8_t *s, size_t j, uint8_t *ret_scale, uint8_t *ret_min)
{
    if (j < 4) {
        *ret_scale = s[j] & 63;
        *ret_min = s[j + 4] & 63;
    } else {
        *ret_scale = (uint8_t)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4);
        *ret_min = (uint8_t)((s[j + 4] >> 4) | (s[j] >> 6) << 4);
    }
}

// f16 d, f16 dmin, 12 bytes of scales, 128 bytes of nibbles: x = q·(d·scale) − dmin·min, by 32
static void unpack_q4_k(const uint8_t *p, float *out)
{
    float d = half_load_f16(p), dmin = half_load_f16(p + 2);
    for (size_t j = 0; j < 8; j++) {
        uint8_t scale, min;
        k_scale_min(p + 4, j, &scale, &min);
        float d1 = d * scale, m1 = dmin * min;
        const uint8_t *q = p + 16 + (j / 2) * 32;
        for (size_t i = 0; i < 32; i++)
            out[j * 32 + i] = d1 * (float)(j % 2 ? q[i] >> 4 : q[i] & 15) - m1;
    }
}

// As Q4_K with a fifth bit: 32 bytes qh, bit j of qh[i] belongs to value i of group j
static void unpack_q5_k(const uint8_t *p, float *out)
{
    float d = half_load_f16(p), dmin = half_load_f16(p + 2);
    const uint8_t *qh = p + 16;
    for (size_t j = 0; j < 8; j++) {
        uint8_t scale, min;
        k_scale_min(p + 4, j, &scale, &min);
        float d1 = d * scale, m1 = dmin * min;
        const uint8_t *q = p + 48 + (j / 2) * 32;
        for (size_t i = 0; i < 32; i++) {
            int low = j % 2 ? q[i] >> 4 : q[i] & 15;
            out[j * 32 + i] = d1 * (float)(low + ((qh[i] >> j) & 1) * 16) - m1;
        }
    }
}

// 128 bytes of low nibbles, 64 bytes of high pairs, 16 × i8 scales, f16 d: x = (q − 32)·(d·scale)
static void unpack_q6_k(const uint8_t *p, float *out)
{
    const uint8_t *scales = p + 192;
    float d = half_load_f16(p + 208);
    for (size_t i = 0; i < 256; i++) {
        size_t half = i / 128, quarter = i % 128 / 32, lane = i % 32;
        uint8_t low = p[half * 64 + (quarter % 2) * 32 + lane];
        int nibble = quarter < 2 ? low & 15 : low >> 4;
        int high = (p[128 + half * 32 + lane] >> (2 * quarter)) & 3;
        float scale = d * (float)(int8_t)scales[i / 16];
        out[i] = scale * (float)((nibble | high << 4) - 32);
    }
}

static const struct type_info {
    enum tensor_type type;
    const char *name;
    uint32_t block, bytes;
    void (*unpack)(const uint8_t *p, float *out);
} types[] = {
    {TENSOR_F32, "F32", 1, 4, unpack_f32},        {TENSOR_F16, "F16", 1, 2, unpack_f16},
    {TENSOR_BF16, "BF16", 1, 2, unpack_bf16},     {TENSOR_Q8_0, "Q8_0", 32, 34, unpack_q8_0},
    {TENSOR_Q4_0, "Q4_0", 32, 18, unpack_q4_0},   {TENSOR_Q4_1, "Q4_1", 32, 20, unpack_q4_1},
    {TENSOR_Q4_K, "Q4_K", 256, 144, unpack_q4_k}, {TENSOR_Q5_K, "Q5_K", 256, 176, unpack_q5_k},
    {TENSOR_Q6_K, "Q6_K", 256, 210, unpack_q6_k},
};

static const struct type_info *find(enum tensor_type t)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].type == t)
            return &types[i];
    return NULL;
}

const char *tensor_type_name(enum tensor_type t)
{
    const struct type_info *info = find(t);
    return info ? info->name : NULL;
}

uint32_t tensor_type_block(enum tensor_type t)
{
    const struct type_info *info = find(t);
    return info ? info->block : 0;
}

uint32_t tensor_type_block_bytes(enum tensor_type t)
{
    const struct type_info *info = find(t);
    return info ? info->bytes : 0;
}

enum err tensor_row_f32(const struct tensor *t, uint64_t row, float *out)
{
    const struct type_info *info = find(t->type);
    if (!info || row >= t->dims[1] * t->dims[2] * t->dims[3])
        return ERR_INVALID;
    if (t->halves && t->n_dims == 1) { // a bias: its values are the rows
        for (uint64_t i = 0; i < t->dims[0]; i++)
            info->unpack(t->data + tensor_halves_row(t->halves, i) * info->bytes, out + i);
        return ERR_OK;
    }
    row = tensor_halves_row(t->halves, row);
    uint64_t blocks = t->dims[0] / info->block;
    const uint8_t *p = t->data + row * blocks * info->bytes;
    for (uint64_t b = 0; b < blocks; b++)
        info->unpack(p + b * info->bytes, out + b * info->block);
    return ERR_OK;
}
