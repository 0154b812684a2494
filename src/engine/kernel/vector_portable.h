// Plain C with fmaf: any machine whose floats are IEEE's. Slow where fmaf is a library call, never
// different.
#pragma once

#include <math.h>

#include "engine/kernel/half.h"

#define VECTOR_REGISTERS 16
#define VECTOR_PARTS     4

typedef struct {
    float v[LANES];
} vf;
typedef struct {
    int32_t v[LANES];
} vi;
typedef struct {
    uint8_t v[LANES * 4];
} vw;
typedef struct {
    int8_t v[4];
} va;

#define EACH_LANE(type, expr)                                                                      \
    type r;                                                                                        \
    for (int i = 0; i < LANES; i++)                                                                \
        r.v[i] = (expr);                                                                           \
    return r

INLINE vf vf_load(const float *p)
{
    EACH_LANE(vf, p[i]);
}

INLINE void vf_store(float *p, vf v)
{
    memcpy(p, v.v, sizeof v.v);
}

INLINE vf vf_set1(float x)
{
    EACH_LANE(vf, x);
}

INLINE vf vf_add(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] + b.v[i]);
}

INLINE vf vf_sub(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] - b.v[i]);
}

INLINE vf vf_mul(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] * b.v[i]);
}

INLINE vf vf_div(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] / b.v[i]);
}

INLINE vf vf_fma(vf a, vf b, vf c)
{
    EACH_LANE(vf, fmaf(a.v[i], b.v[i], c.v[i]));
}

INLINE vf vf_max(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}

INLINE vf vf_min(vf a, vf b)
{
    EACH_LANE(vf, a.v[i] < b.v[i] ? a.v[i] : b.v[i]);
}

INLINE vf vf_select_lt(vf a, vf b, vf yes, vf no)
{
    EACH_LANE(vf, a.v[i] < b.v[i] ? yes.v[i] : no.v[i]);
}

INLINE vi vf_bits(vf v)
{
    vi r;
    memcpy(&r, &v, sizeof r);
    return r;
}

INLINE vf vf_from_bits(vi v)
{
    vf r;
    memcpy(&r, &v, sizeof r);
    return r;
}

INLINE vf vf_from_int(vi v)
{
    EACH_LANE(vf, (float)v.v[i]);
}

// Adding 1.5 * 2^23 rounds to an integer by the addition's own rounding; right for |x| < 2^22.
INLINE vi vf_round_int(vf v)
{
    vi b = vf_bits(vf_add(v, vf_set1(12582912.0f)));
    EACH_LANE(vi, b.v[i] - 0x4B400000);
}

INLINE vf vf_load_f16(const uint16_t *p)
{
    EACH_LANE(vf, half_to_float(p[i]));
}

INLINE vf vf_load_i8(const int8_t *p)
{
    EACH_LANE(vf, (float)p[i]);
}

INLINE void vf_store_f16(uint16_t *p, vf v)
{
    for (int i = 0; i < LANES; i++)
        p[i] = half_from_float(v.v[i]);
}

INLINE vi vi_load(const void *p)
{
    vi r;
    memcpy(&r, p, sizeof r);
    return r;
}

INLINE vi vi_set1(int32_t x)
{
    EACH_LANE(vi, x);
}

INLINE vi vi_add(vi a, vi b)
{
    EACH_LANE(vi, (int32_t)((uint32_t)a.v[i] + (uint32_t)b.v[i]));
}

INLINE vi vi_and(vi a, vi b)
{
    EACH_LANE(vi, a.v[i] & b.v[i]);
}

INLINE vi vi_max(vi a, vi b)
{
    EACH_LANE(vi, a.v[i] > b.v[i] ? a.v[i] : b.v[i]);
}

INLINE vi vi_shl(vi a, int n)
{
    EACH_LANE(vi, (int32_t)((uint32_t)a.v[i] << n));
}

INLINE int32_t vi_hmax(vi v)
{
    int32_t m = v.v[0];
    for (int i = 1; i < LANES; i++)
        m = v.v[i] > m ? v.v[i] : m;
    return m;
}

INLINE int32_t vi_store_i8(int8_t *p, vi v)
{
    int32_t sum = 0;
    for (int i = 0; i < LANES; i++) {
        p[i] = (int8_t)v.v[i];
        sum += v.v[i];
    }
    return sum;
}

INLINE vw vw_load_u8(const uint8_t *p)
{
    vw r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}

INLINE vw vw_load_q8(const uint8_t *p)
{
    vw r;
    for (int i = 0; i < LANES * 4; i++)
        r.v[i] = p[i] ^ 0x80;
    return r;
}

INLINE vw vw_load_low4(const uint8_t *p)
{
    vw r;
    for (int i = 0; i < LANES * 4; i++)
        r.v[i] = p[i] & 15;
    return r;
}

INLINE vw vw_load_high4(const uint8_t *p)
{
    vw r;
    for (int i = 0; i < LANES * 4; i++)
        r.v[i] = p[i] >> 4;
    return r;
}

INLINE vi vi_start_q8(int32_t minus128)
{
    return vi_set1(minus128);
}

INLINE va va_load(const int8_t *p)
{
    va r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}

INLINE vi vi_dot(vi acc, vw w, va a)
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < 4; j++)
            acc.v[i] += w.v[4 * i + j] * a.v[j];
    return acc;
}
