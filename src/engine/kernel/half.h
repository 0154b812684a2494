// IEEE binary16 in integer arithmetic: the same bits as the hardware's conversions (round to
// nearest even, subnormals kept).
#pragma once

#include <stdint.h>
#include <string.h>

static inline float half_to_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, mag = h & 0x7FFFu, bits;
    if (mag >= 0x7C00u) { // infinity, or a NaN made quiet
        bits = 0x7F800000u | (mag & 0x3FFu) << 13 | (mag > 0x7C00u ? 0x400000u : 0u);
    } else if (mag >= 0x0400u) {
        bits = (mag << 13) + 0x38000000u;
    } else { // mag * 2^-24, exact
        float f = (float)mag * 0x1p-24f;
        memcpy(&bits, &f, 4);
    }
    bits |= sign;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline uint16_t half_from_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    uint32_t sign = bits >> 16 & 0x8000u, mag = bits & 0x7FFFFFFFu, h;
    if (mag > 0x7F800000u) {
        h = 0x7E00u | (mag >> 13 & 0x3FFu);
    } else if (mag >= 0x477FF000u) { // 65520 and above round to infinity
        h = 0x7C00u;
    } else if (mag >= 0x38800000u) { // normal: add half a unit, ties to even
        h = (mag - 0x38000000u + 0xFFFu + (mag >> 13 & 1u)) >> 13;
    } else if (mag < 0x33000000u) { // below half of the least subnormal
        h = 0;
    } else {
        uint32_t shift = 126u - (mag >> 23), m = (mag & 0x7FFFFFu) | 0x800000u;
        uint32_t rest = m & ((1u << shift) - 1u), half = 1u << (shift - 1u);
        h = m >> shift;
        h += rest > half || (rest == half && (h & 1u));
    }
    return (uint16_t)(sign | h);
}

static inline float bf16_to_float(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}
