// The two 16-bit float formats of model files, widened to f32 exactly. Integer operations only: the
// same bits on every machine.
#pragma once

#include <string.h>

#include "base/base.h"

static inline float half_bits_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float half_from_bf16(uint16_t h)
{
    return half_bits_f32((uint32_t)h << 16);
}

static inline float half_from_f16(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = (h >> 10) & 0x1fu, fraction = h & 0x3ffu;
    if (exponent == 0x1f)
        return half_bits_f32(sign | 0x7f800000u | fraction << 13);
    if (exponent)
        return half_bits_f32(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = (float)fraction * 0x1p-24f; // subnormal: exact in f32
    return sign ? -magnitude : magnitude;
}

// Little-endian loads from bytes that may be unaligned.
static inline uint16_t half_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t half_load_u32(const uint8_t *p)
{
    return (uint32_t)half_load_u16(p) | (uint32_t)half_load_u16(p + 2) << 16;
}

static inline float half_load_f16(const uint8_t *p)
{
    return half_from_f16(half_load_u16(p));
}
