#include "support/quantize.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

static uint32_t float_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float f16_value(uint16_t h)
{
    int exponent = (h >> 10) & 31, fraction = h & 1023;
    float v =
        exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
    return h & 0x8000 ? -v : v;
}

uint16_t quantize_f16(float f)
{
    uint32_t bits = float_bits(f), magnitude = bits & 0x7fffffffu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (magnitude >= 0x477ff000u) // rounds to 65536 or is infinite
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude < 0x38800000u) // subnormal in f16: whole multiples of 2^-24
        return (uint16_t)(sign | (uint16_t)nearbyintf(fabsf(f) * 0x1p24f));
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (uint16_t)((rounded - 0x38000000u) >> 13));
}

uint16_t quantize_bf16(float f)
{
    uint32_t bits = float_bits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static void put_u16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
}

static void put_u32(uint8_t *out, uint32_t v)
{
    put_u16(out, (uint16_t)v);
    put_u16(out + 2, (uint16_t)(v >> 16));
}

// Round half away from zero, held in [low, high].
static int rounded(float v, int low, int high)
{
    int i = (int)roundf(v);
    return i < low ? low : i > high ? high : i;
}

static float largest_magnitude(const float *in, size_t n)
{
    float most = 0.0f;
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(in[i]));
    return most;
}

static void block_f32(const float *in, uint8_t *out)
{
    put_u32(out, float_bits(in[0]));
}

static void block_f16(const float *in, uint8_t *out)
{
    put_u16(out, quantize_f16(in[0]));
}

static void block_bf16(const float *in, uint8_t *out)
{
    put_u16(out, quantize_bf16(in[0]));
}

static void block_q8_0(const float *in, uint8_t *out)
{
    float d = largest_magnitude(in, 32) / 127.0f;
    float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_u16(out, quantize_f16(d));
    for (size_t i = 0; i < 32; i++)
        out[2 + i] = (uint8_t)(int8_t)rounded(in[i] * inverse, -127, 127);
}

static void block_q4_0(const float *in, uint8_t *out)
{
    float most = 0.0f; // signed: maps to −8
    for (size_t i = 0; i < 32; i++)
        most = fabsf(in[i]) > fabsf(most) ? in[i] : most;
    float d = most / -8.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_u16(out, quantize_f16(d));
    for (size_t i = 0; i < 16; i++) {
        int low = (int)fminf(15.0f, in[i] * inverse + 8.5f);
        int high = (int)fminf(15.0f, in[i + 16] * inverse + 8.5f);
        out[2 + i] = (uint8_t)(low | high << 4);
    }
}

static void block_q4_1(const float *in, uint8_t *out)
{
    float min = in[0], max = in[0];
    for (size_t i = 1; i < 32; i++) {
        min = fminf(min, in[i]);
        max = fmaxf(max, in[i]);
    }
    float d = (max - min) / 15.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    put_u16(out, quantize_f16(d));
    put_u16(out + 2, quantize_f16(min));
    for (size_t i = 0; i < 16; i++) {
        int low = (int)fminf(15.0f, (in[i] - min) * inverse + 0.5f);
        int high = (int)fminf(15.0f, (in[i + 16] - min) * inverse + 0.5f);
        out[4 + i] = (uint8_t)(low | high << 4);
    }
}

// The 6-bit scale and minimum of group j into the 12 bytes that Q4_K and Q5_K share.
static void put_scale_min(uint8_t *s, size_t j, int scale, int min)
{
    if (j < 4) {
        s[j] = (uint8_t)(s[j] | scale);
        s[j + 4] = (uint8_t)(s[j + 4] | min);
    } else {
        s[j + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
        s[j - 4] = (uint8_t)(s[j - 4] | (scale >> 4) << 6);
        s[j] = (uint8_t)(s[j] | (min >> 4) << 6);
    }
}

// Q4_K (levels 15) and Q5_K (levels 31): writes d, dmin and the scales, and gives q for each value.
static void k_groups(const float *in, int levels, uint8_t *out, uint8_t q[256])
{
    float scales[8], mins[8], scale_most = 0.0f, min_most = 0.0f;
    for (size_t j = 0; j < 8; j++) {
        float min = 0.0f, max = in[j * 32];
        for (size_t i = 0; i < 32; i++) {
            min = fminf(min, in[j * 32 + i]);
            max = fmaxf(max, in[j * 32 + i]);
        }
        mins[j] = -min;
        scales[j] = (max - min) / (float)levels;
        scale_most = fmaxf(scale_most, scales[j]);
        min_most = fmaxf(min_most, mins[j]);
    }
    put_u16(out, quantize_f16(scale_most / 63.0f));
    put_u16(out + 2, quantize_f16(min_most / 63.0f));
    float d = f16_value(quantize_f16(scale_most / 63.0f));
    float dmin = f16_value(quantize_f16(min_most / 63.0f));
    memset(out + 4, 0, 12);
    for (size_t j = 0; j < 8; j++) {
        int scale = d > 0.0f ? rounded(scales[j] / d, 0, 63) : 0;
        int min = dmin > 0.0f ? rounded(mins[j] / dmin, 0, 63) : 0;
        float step = d * (float)scale;
        put_scale_min(out + 4, j, scale, min);
        for (size_t i = j * 32; i < j * 32 + 32; i++)
            q[i] =
                step > 0.0f ? (uint8_t)rounded((in[i] + dmin * (float)min) / step, 0, levels) : 0;
    }
}

static void block_q4_k(const float *in, uint8_t *out)
{
    uint8_t q[256];
    k_groups(in, 15, out, q);
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 32; i++)
            out[16 + j * 32 + i] = (uint8_t)(q[j * 64 + i] | q[j * 64 + 32 + i] << 4);
}

static void block_q5_k(const float *in, uint8_t *out)
{
    uint8_t q[256];
    k_groups(in, 31, out, q);
    memset(out + 16, 0, 32);
    for (size_t j = 0; j < 8; j++)
        for (size_t i = 0; i < 32; i++)
            out[16 + i] = (uint8_t)(out[16 + i] | (q[j * 32 + i] >> 4) << j);
    for (size_t j = 0; j < 4; j++)
        for (size_t i = 0; i < 32; i++)
            out[48 + j * 32 + i] = (uint8_t)((q[j * 64 + i] & 15) | (q[j * 64 + 32 + i] & 15) << 4);
}

static void block_q6_k(const float *in, uint8_t *out)
{
    float most = largest_magnitude(in, 256) / 32.0f;
    float d = f16_value(quantize_f16(most / 127.0f));
    memset(out, 0, 192);
    put_u16(out + 208, quantize_f16(most / 127.0f));
    for (size_t g = 0; g < 16; g++) {
        float group = largest_magnitude(in + g * 16, 16) / 32.0f;
        out[192 + g] = d > 0.0f ? (uint8_t)rounded(group / d, 0, 127) : 0;
    }
    for (size_t i = 0; i < 256; i++) {
        size_t group = i / 16;
        float step = d * (float)out[192 + group];
        int q = step > 0.0f ? rounded(in[i] / step, -32, 31) + 32 : 32;
        size_t half = i / 128, quarter = i % 128 / 32, lane = i % 32;
        uint8_t *low = &out[half * 64 + (quarter % 2) * 32 + lane];
        uint8_t *high = &out[128 + half * 32 + lane];
        *low = (uint8_t)(*low | (q & 15) << (quarter < 2 ? 0 : 4));
        *high = (uint8_t)(*high | (q >> 4) << (2 * quarter));
    }
}

static const struct quantizer {
    enum tensor_type type;
    uint32_t values, bytes;
    void (*block)(const float *in, uint8_t *out);
} quantizers[] = {
    {TENSOR_F32, 1, 4, block_f32},       {TENSOR_F16, 1, 2, block_f16},
    {TENSOR_BF16, 1, 2, block_bf16},     {TENSOR_Q8_0, 32, 34, block_q8_0},
    {TENSOR_Q4_0, 32, 18, block_q4_0},   {TENSOR_Q4_1, 32, 20, block_q4_1},
    {TENSOR_Q4_K, 256, 144, block_q4_k}, {TENSOR_Q5_K, 256, 176, block_q5_k},
    {TENSOR_Q6_K, 256, 210, block_q6_k},
};

static const struct quantizer *find(enum tensor_type t)
{
    for (size_t i = 0; i < ARRAY_LEN(quantizers); i++)
        if (quantizers[i].type == t)
            return &quantizers[i];
    ASSERT(t == TENSOR_F32); // another type without a quantiser
    return NULL;
}

void quantize_block(enum tensor_type t, uint32_t *ret_values, uint32_t *ret_bytes)
{
    const struct quantizer *q = find(t);
    *ret_values = q->values;
    *ret_bytes = q->bytes;
}

void quantize_row(enum tensor_type t, const float *in, size_t n, uint8_t *out)
{
    const struct quantizer *q = find(t);
    ASSERT(n % q->values == 0);
    for (size_t b = 0; b < n / q->values; b++)
        q->block(in + b * q->values, out + b * q->bytes);
}
