// AVX-512 (F, BW, DQ, VL) with VNNI: a vector is one register.
#pragma once

#include <immintrin.h>

#include "engine/kernel/vector_x86.h"

#define VECTOR_REGISTERS 32
#define VECTOR_PARTS     1

typedef __m512 vf;
typedef __m512i vi;
typedef __m512i vw;
typedef __m512i va;

INLINE vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

INLINE void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

INLINE vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

INLINE vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

INLINE vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

INLINE vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

INLINE vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

INLINE vi vf_bits(vf v)
{
    return _mm512_castps_si512(v);
}

INLINE vf vf_from_bits(vi v)
{
    return _mm512_castsi512_ps(v);
}

INLINE vf vf_from_int(vi v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE vi vf_round_int(vf v)
{
    return _mm512_cvtps_epi32(v);
}

INLINE vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

INLINE vf vf_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

INLINE void vf_store_f16(uint16_t *p, vf v)
{
    _mm256_storeu_si256((__m256i *)(void *)p,
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

INLINE vi vi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

INLINE vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

INLINE vi vi_max(vi a, vi b)
{
    return _mm512_max_epi32(a, b);
}

INLINE vi vi_shl(vi a, int n)
{
    return _mm512_slli_epi32(a, (unsigned)n);
}

INLINE int32_t vi_hmax(vi v)
{
    return _mm512_reduce_max_epi32(v);
}

INLINE int32_t vi_store_i8(int8_t *p, vi v)
{
    __m128i bytes = _mm512_cvtepi32_epi8(v);
    _mm_storeu_si128((__m128i *)(void *)p, bytes);
    return i8_sum(bytes);
}

INLINE vw vw_load_u8(const uint8_t *p)
{
    return _mm512_loadu_si512(p);
}

INLINE vw vw_load_q8(const uint8_t *p)
{
    return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128));
}

INLINE vw vw_load_low4(const uint8_t *p)
{
    return _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(15));
}

INLINE vw vw_load_high4(const uint8_t *p)
{
    return _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(p), 4), _mm512_set1_epi8(15));
}

INLINE va va_load(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return _mm512_set1_epi32(four);
}

INLINE vi vi_dot(vi acc, vw w, va a)
{
    return _mm512_dpbusd_epi32(acc, w, a);
}

INLINE vi vi_start_q8(int32_t minus128)
{
    return _mm512_set1_epi32(minus128);
}
