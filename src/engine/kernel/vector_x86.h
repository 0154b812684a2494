// What both vector widths of x86 share.
#pragma once

#include <immintrin.h>
#include <stdint.h>

// Sum of 16 signed bytes.
static inline __attribute__((always_inline, unused)) int32_t i8_sum(__m128i bytes)
{
    __m128i moved = _mm_xor_si128(bytes, _mm_set1_epi8(-128)); // each is 128 more, without a sign
    __m128i halves = _mm_sad_epu8(moved, _mm_setzero_si128());
    return _mm_cvtsi128_si32(_mm_add_epi32(halves, _mm_unpackhi_epi64(halves, halves))) - 16 * 128;
}
