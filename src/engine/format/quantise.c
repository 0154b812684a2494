#include "engine/format/quantise.h"

#include <math.h>

#include "engine/format/half.h"
#include "engine/format/quantise_k.h"

#include "base/banned.h"

#define F16_MAX 65504.0f

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

uint16_t quantise_to_f16(float f)
{
    uint32_t magnitude = bits_of(f) & 0x7fffffffu;
    uint16_t sign = (uint16_t)(bits_of(f) >> 16 & 0x8000u);
    if (magnitude > 0x7f800000u)
        return sign | 0x7e00u;
    if (magnitude >= 0x477ff000u) // rounds to 65536, or is infinite
        return sign | 0x7c00u;
    if (magnitude < 0x38800000u) { // whole multiples of 2^-24: adding 1/2 leaves them in the end
        float shifted = half_bits_f32(magnitude) + 0.5f;
        return (uint16_t)(sign | (uint16_t)(bits_of(shifted) - bits_of(0.5f)));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | (uint16_t)((rounded - 0x38000000u) >> 13));
}

uint16_t quantise_to_bf16(float f)
{
    uint32_t bits = bits_of(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static void put_u16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
}

static void block_f32(const float *in, uint8_t *out)
{
    uint32_t bits = bits_of(in[0]);
    put_u16(out, (uint16_t)bits);
    put_u16(out + 2, (uint16_t)(bits >> 16));
}

static void block_f16(const float *in, uint8_t *out)
{
    put_u16(out, quantise_to_f16(in[0]));
}

static void block_bf16(const float *in, uint8_t *out)
{
    put_u16(out, quantise_to_bf16(in[0]));
}

// The format's definition: the largest magnitude is 127 steps, halves go away from zero.
static void block_q8_0(const float *in, uint8_t *out)
{
    float most = 0.0f;
    for (size_t i = 0; i < 32; i++)
        most = fmaxf(most, fabsf(in[i]));
    float d = most / 127.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    inverse = isinf(inverse) ? 0.0f : inverse;
    put_u16(out, quantise_to_f16(d));
    for (size_t i = 0; i < 32; i++)
        out[2 + i] = (uint8_t)(int8_t)roundf(in[i] * inverse);
}

// Low nibbles are the first half. x * inverse + offset is cut off, so that is where it is rounded.
static void put_nibbles(const float *in, float low, float inverse, float offset, uint8_t *out)
{
    for (size_t i = 0; i < 16; i++) {
        int first = (int)fminf(15.0f, (in[i] - low) * inverse + offset);
        int second = (int)fminf(15.0f, (in[i + 16] - low) * inverse + offset);
        out[i] = (uint8_t)(first | second << 4);
    }
}

static float inverse_of(float d)
{
    float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    return isinf(inverse) ? 0.0f : inverse;
}

// The format's definition: the value of the largest magnitude is -8 steps.
static void block_q4_0(const float *in, uint8_t *out)
{
    float most = 0.0f;
    for (size_t i = 0; i < 32; i++)
        most = fabsf(in[i]) > fabsf(most) ? in[i] : most;
    float d = most / -8.0f;
    put_u16(out, quantise_to_f16(d));
    put_nibbles(in, 0.0f, inverse_of(d), 8.5f, out + 2);
}

// The format's definition: 15 steps from the least value to the largest.
static void block_q4_1(const float *in, uint8_t *out)
{
    float low = in[0], high = in[0];
    for (size_t i = 1; i < 32; i++) {
        low = fminf(low, in[i]);
        high = fmaxf(high, in[i]);
    }
    float d = (high - low) / 15.0f;
    put_u16(out, quantise_to_f16(d));
    put_u16(out + 2, quantise_to_f16(low));
    put_nibbles(in, low, inverse_of(d), 0.5f, out + 4);
}

static const struct quantiser {
    enum tensor_type type;
    float most; // largest magnitude that its scale can stand for
    void (*block)(const float *in, uint8_t *out);
} quantisers[] = {
    {TENSOR_F32, HUGE_VALF, block_f32},
    {TENSOR_F16, F16_MAX, block_f16},
    {TENSOR_BF16, 0x1.fep+127f, block_bf16},
    {TENSOR_Q8_0, 127 * F16_MAX, block_q8_0},
    {TENSOR_Q4_0, 7 * F16_MAX, block_q4_0},
    {TENSOR_Q4_1, F16_MAX, block_q4_1},
    {TENSOR_Q4_K, 63 * F16_MAX, quantise_block_q4_k},
    {TENSOR_Q5_K, 63 * F16_MAX, quantise_block_q5_k},
    {TENSOR_Q6_K, 31 * F16_MAX, quantise_block_q6_k},
};

static enum err check(const struct quantiser *q, const float *in, uint64_t n, uint64_t *ret_at)
{
    for (uint64_t i = 0; i < n; i++) {
        if (fabsf(in[i]) <= q->most && !isinf(in[i]))
            continue;
        if (ret_at)
            *ret_at = i;
        return isfinite(in[i]) ? ERR_LIMIT : ERR_INVALID;
    }
    return ERR_OK;
}

enum err quantise_row(enum tensor_type t, const float *in, uint64_t n, uint8_t *out,
                      uint64_t *ret_at)
{
    const struct quantiser *q = quantisers;
    while (q->type != t)
        q++;
    uint32_t block = tensor_type_block(t), bytes = tensor_type_block_bytes(t);
    ASSERT(n % block == 0);
    ERR_TRY(check(q, in, n, ret_at));
    for (uint64_t b = 0; b < n / block; b++)
        q->block(in + b * block, out + b * bytes);
    return ERR_OK;
}
