// AVX2 with FMA and F16C: a vector is two registers. With VECTOR_VNNI also AVX-VNNI; without, bytes
// are widened to 16 bits (maddubs would saturate): even and odd bytes apart, vpmaddwd each.
#pragma once

#include <immintrin.h>

#include "engine/kernel/vector_x86.h"

#define VECTOR_REGISTERS 16
#define VECTOR_PARTS     2

typedef struct {
    __m256 lo, hi;
} vf;
typedef struct {
    __m256i lo, hi;
} vi;

INLINE vf vf_load(const float *p)
{
    return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

INLINE void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v.lo);
    _mm256_storeu_ps(p + 8, v.hi);
}

INLINE vf vf_set1(float x)
{
    __m256 v = _mm256_set1_ps(x);
    return (vf){v, v};
}

INLINE vf vf_add(vf a, vf b)
{
    return (vf){_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}

INLINE vf vf_sub(vf a, vf b)
{
    return (vf){_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}

INLINE vf vf_mul(vf a, vf b)
{
    return (vf){_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}

INLINE vf vf_div(vf a, vf b)
{
    return (vf){_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return (vf){_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

INLINE vf vf_max(vf a, vf b)
{
    return (vf){_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}

INLINE vf vf_min(vf a, vf b)
{
    return (vf){_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}

INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no)
{
    return (vf){_mm256_blendv_ps(no.lo, yes.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                _mm256_blendv_ps(no.hi, yes.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

INLINE vi vf_bits(vf v)
{
    return (vi){_mm256_castps_si256(v.lo), _mm256_castps_si256(v.hi)};
}

INLINE vf vf_from_bits(vi v)
{
    return (vf){_mm256_castsi256_ps(v.lo), _mm256_castsi256_ps(v.hi)};
}

INLINE vf vf_from_int(vi v)
{
    return (vf){_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi)};
}

INLINE vi vf_round_int(vf v)
{
    return (vi){_mm256_cvtps_epi32(v.lo), _mm256_cvtps_epi32(v.hi)};
}

INLINE vf vf_load_f16(const uint16_t *p)
{
    const __m128i *q = (const __m128i *)(const void *)p;
    return (vf){_mm256_cvtph_ps(_mm_loadu_si128(q)), _mm256_cvtph_ps(_mm_loadu_si128(q + 1))};
}

INLINE vf vf_load_i8(const int8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (vf){_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}

INLINE void vf_store_f16(uint16_t *p, vf v)
{
    __m128i *q = (__m128i *)(void *)p;
    _mm_storeu_si128(q, _mm256_cvtps_ph(v.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128(q + 1, _mm256_cvtps_ph(v.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE vi vi_load(const void *p)
{
    const __m256i *q = p;
    return (vi){_mm256_loadu_si256(q), _mm256_loadu_si256(q + 1)};
}

INLINE vi vi_set1(int32_t x)
{
    __m256i v = _mm256_set1_epi32(x);
    return (vi){v, v};
}

INLINE vi vi_add(vi a, vi b)
{
    return (vi){_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}

INLINE vi vi_and(vi a, vi b)
{
    return (vi){_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}

INLINE vi vi_max(vi a, vi b)
{
    return (vi){_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)};
}

INLINE vi vi_shl(vi a, int n)
{
    return (vi){_mm256_slli_epi32(a.lo, n), _mm256_slli_epi32(a.hi, n)};
}

INLINE int32_t vi_hmax(vi v)
{
    __m256i m = _mm256_max_epi32(v.lo, v.hi);
    __m128i h = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0x4E));
    h = _mm_max_epi32(h, _mm_shuffle_epi32(h, 0xB1));
    return _mm_cvtsi128_si32(h);
}

INLINE int32_t vi_store_i8(int8_t *p, vi v)
{
    __m256i w = _mm256_packs_epi32(v.lo, v.hi); // 0-3 8-11 | 4-7 12-15
    w = _mm256_permute4x64_epi64(w, 0xD8);      // 0-3 4-7 | 8-11 12-15
    __m128i b = _mm_packs_epi16(_mm256_castsi256_si128(w), _mm256_extracti128_si256(w, 1));
    _mm_storeu_si128((__m128i *)(void *)p, b);
    return i8_sum(b);
}

INLINE vi vi_load_low4(const uint8_t *p)
{
    return vi_and(vi_load(p), vi_set1(0x0F0F0F0F));
}

INLINE vi vi_load_high4(const uint8_t *p)
{
    vi b = vi_load(p);
    return vi_and((vi){_mm256_srli_epi16(b.lo, 4), _mm256_srli_epi16(b.hi, 4)},
                  vi_set1(0x0F0F0F0F));
}

#if defined(VECTOR_VNNI)
typedef vi vw;
typedef __m256i va;

INLINE vw vw_load_u8(const uint8_t *p)
{
    return vi_load(p);
}

INLINE vw vw_load_q8(const uint8_t *p)
{
    __m256i moved = _mm256_set1_epi8(-128);
    vi b = vi_load(p);
    return (vi){_mm256_xor_si256(b.lo, moved), _mm256_xor_si256(b.hi, moved)};
}

INLINE vi vi_start_q8(int32_t minus128)
{
    return vi_set1(minus128);
}

INLINE vw vw_load_low4(const uint8_t *p)
{
    return vi_load_low4(p);
}

INLINE vw vw_load_high4(const uint8_t *p)
{
    return vi_load_high4(p);
}

INLINE va va_load(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return _mm256_set1_epi32(four);
}

INLINE vi vi_dot(vi acc, vw w, va a)
{
    return (vi){_mm256_dpbusd_avx_epi32(acc.lo, w.lo, a), _mm256_dpbusd_avx_epi32(acc.hi, w.hi, a)};
}
#else
typedef struct {
    vi even, odd; // bytes 0, 2 and 1, 3 of each lane as 16-bit numbers
} vw;
typedef struct {
    __m256i even, odd;
} va;

INLINE vw vw_split(vi b)
{
    return (vw){vi_and(b, vi_set1(0x00FF00FF)),
                (vi){_mm256_srli_epi16(b.lo, 8), _mm256_srli_epi16(b.hi, 8)}};
}

INLINE vw vw_load_u8(const uint8_t *p)
{
    return vw_split(vi_load(p));
}

INLINE __m256i even_signed(__m256i b)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(b, 8), 8);
}

INLINE vw vw_load_q8(const uint8_t *p)
{
    vi b = vi_load(p);
    return (vw){{even_signed(b.lo), even_signed(b.hi)},
                {_mm256_srai_epi16(b.lo, 8), _mm256_srai_epi16(b.hi, 8)}};
}

INLINE vi vi_start_q8(int32_t minus128)
{
    (void)minus128;
    return vi_set1(0);
}

INLINE vw vw_load_low4(const uint8_t *p)
{
    return vw_split(vi_load_low4(p));
}

INLINE vw vw_load_high4(const uint8_t *p)
{
    return vw_split(vi_load_high4(p));
}

INLINE va va_load(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    __m256i a = _mm256_set1_epi32(four);
    return (va){even_signed(a), _mm256_srai_epi16(a, 8)};
}

INLINE __m256i dot_half(__m256i acc, __m256i even, __m256i odd, va a)
{
    return _mm256_add_epi32(
        acc, _mm256_add_epi32(_mm256_madd_epi16(even, a.even), _mm256_madd_epi16(odd, a.odd)));
}

INLINE vi vi_dot(vi acc, vw w, va a)
{
    return (vi){dot_half(acc.lo, w.even.lo, w.odd.lo, a), dot_half(acc.hi, w.even.hi, w.odd.hi, a)};
}
#endif
