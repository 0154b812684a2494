// 64-bit Arm: a vector is four registers. With VECTOR_DOT the dot-product extension (SDOT);
// without, widening multiplies. Q8 weights are turned back to signed, the others are small enough
// as they are.
#pragma once

#include <arm_neon.h>

#define VECTOR_REGISTERS 32
#define VECTOR_PARTS     4

typedef struct {
    float32x4_t a, b, c, d;
} vf;
typedef struct {
    int32x4_t a, b, c, d;
} vi;
typedef struct {
    int8x16_t a, b, c, d;
} vw;
typedef int8x16_t va;

#define EACH(type, f, ...)                                                                         \
    ((type){f(a, __VA_ARGS__), f(b, __VA_ARGS__), f(c, __VA_ARGS__), f(d, __VA_ARGS__)})

INLINE vf vf_load(const float *p)
{
    return (vf){vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}

INLINE void vf_store(float *p, vf v)
{
    vst1q_f32(p, v.a);
    vst1q_f32(p + 4, v.b);
    vst1q_f32(p + 8, v.c);
    vst1q_f32(p + 12, v.d);
}

INLINE vf vf_set1(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return (vf){v, v, v, v};
}

#define PAIR_ADD(i, x, y)           vaddq_f32(x.i, y.i)
#define PAIR_SUB(i, x, y)           vsubq_f32(x.i, y.i)
#define PAIR_MUL(i, x, y)           vmulq_f32(x.i, y.i)
#define PAIR_DIV(i, x, y)           vdivq_f32(x.i, y.i)
#define PAIR_MAX(i, x, y)           vbslq_f32(vcgtq_f32(x.i, y.i), x.i, y.i)
#define PAIR_MIN(i, x, y)           vbslq_f32(vcltq_f32(x.i, y.i), x.i, y.i)
#define TRIPLE_FMA(i, x, y, z)      vfmaq_f32(z.i, x.i, y.i)
#define SELECT_LT(i, x, y, yes, no) vbslq_f32(vcltq_f32(x.i, y.i), yes.i, no.i)

INLINE vf vf_add(vf x, vf y)
{
    return EACH(vf, PAIR_ADD, x, y);
}

INLINE vf vf_sub(vf x, vf y)
{
    return EACH(vf, PAIR_SUB, x, y);
}

INLINE vf vf_mul(vf x, vf y)
{
    return EACH(vf, PAIR_MUL, x, y);
}

INLINE vf vf_div(vf x, vf y)
{
    return EACH(vf, PAIR_DIV, x, y);
}

INLINE vf vf_fma(vf x, vf y, vf z)
{
    return EACH(vf, TRIPLE_FMA, x, y, z);
}

INLINE vf vf_max(vf x, vf y)
{
    return EACH(vf, PAIR_MAX, x, y);
}

INLINE vf vf_min(vf x, vf y)
{
    return EACH(vf, PAIR_MIN, x, y);
}

INLINE vf vf_select_lt(vf x, vf y, vf yes, vf no)
{
    return EACH(vf, SELECT_LT, x, y, yes, no);
}

#define BITS_OF(i, x)   vreinterpretq_s32_f32(x.i)
#define FROM_BITS(i, x) vreinterpretq_f32_s32(x.i)
#define FROM_INT(i, x)  vcvtq_f32_s32(x.i)
#define ROUND_INT(i, x) vcvtnq_s32_f32(x.i)

INLINE vi vf_bits(vf x)
{
    return EACH(vi, BITS_OF, x);
}

INLINE vf vf_from_bits(vi x)
{
    return EACH(vf, FROM_BITS, x);
}

INLINE vf vf_from_int(vi x)
{
    return EACH(vf, FROM_INT, x);
}

INLINE vi vf_round_int(vf x)
{
    return EACH(vi, ROUND_INT, x);
}

INLINE vf vf_load_f16(const uint16_t *p)
{
    uint16x8_t lo = vld1q_u16(p), hi = vld1q_u16(p + 8);
    return (vf){vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(lo))),
                vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(lo))),
                vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(hi))),
                vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(hi)))};
}

INLINE vf vf_load_i8(const int8_t *p)
{
    int8x16_t bytes = vld1q_s8(p);
    int16x8_t lo = vmovl_s8(vget_low_s8(bytes)), hi = vmovl_s8(vget_high_s8(bytes));
    return (vf){
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo))),
        vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi)))};
}

INLINE void vf_store_f16(uint16_t *p, vf v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v.a)));
    vst1_u16(p + 4, vreinterpret_u16_f16(vcvt_f16_f32(v.b)));
    vst1_u16(p + 8, vreinterpret_u16_f16(vcvt_f16_f32(v.c)));
    vst1_u16(p + 12, vreinterpret_u16_f16(vcvt_f16_f32(v.d)));
}

INLINE vi vi_load(const void *p)
{
    const int32_t *q = p;
    return (vi){vld1q_s32(q), vld1q_s32(q + 4), vld1q_s32(q + 8), vld1q_s32(q + 12)};
}

INLINE vi vi_set1(int32_t x)
{
    int32x4_t v = vdupq_n_s32(x);
    return (vi){v, v, v, v};
}

#define INT_ADD(i, x, y)    vaddq_s32(x.i, y.i)
#define INT_AND(i, x, y)    vandq_s32(x.i, y.i)
#define INT_MAX_OF(i, x, y) vmaxq_s32(x.i, y.i)
#define INT_SHL(i, x, n)    vshlq_s32(x.i, n)

INLINE vi vi_add(vi x, vi y)
{
    return EACH(vi, INT_ADD, x, y);
}

INLINE vi vi_and(vi x, vi y)
{
    return EACH(vi, INT_AND, x, y);
}

INLINE vi vi_max(vi x, vi y)
{
    return EACH(vi, INT_MAX_OF, x, y);
}

INLINE vi vi_shl(vi x, int n)
{
    int32x4_t by = vdupq_n_s32(n);
    return EACH(vi, INT_SHL, x, by);
}

INLINE int32_t vi_hmax(vi v)
{
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(v.a, v.b), vmaxq_s32(v.c, v.d)));
}

INLINE int32_t vi_store_i8(int8_t *p, vi v)
{
    int16x8_t lo = vcombine_s16(vqmovn_s32(v.a), vqmovn_s32(v.b));
    int16x8_t hi = vcombine_s16(vqmovn_s32(v.c), vqmovn_s32(v.d));
    int8x16_t bytes = vcombine_s8(vqmovn_s16(lo), vqmovn_s16(hi));
    vst1q_s8(p, bytes);
    return vaddlvq_s8(bytes);
}

#define BYTES(i, x) vreinterpretq_s8_u8(x.i)
#define LOW4(i, x)  vreinterpretq_s8_u8(vandq_u8(x.i, vdupq_n_u8(15)))
#define HIGH4(i, x) vreinterpretq_s8_u8(vshrq_n_u8(x.i, 4))

INLINE uint8x16x4_t load_bytes(const uint8_t *p)
{
    return (uint8x16x4_t){{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
}

#undef EACH
#define EACH_BYTES(f, x) ((vw){f(val[0], x), f(val[1], x), f(val[2], x), f(val[3], x)})

INLINE vw vw_load_u8(const uint8_t *p)
{
    uint8x16x4_t x = load_bytes(p);
    return EACH_BYTES(BYTES, x);
}

INLINE vw vw_load_q8(const uint8_t *p)
{
    return vw_load_u8(p);
}

INLINE vw vw_load_low4(const uint8_t *p)
{
    uint8x16x4_t x = load_bytes(p);
    return EACH_BYTES(LOW4, x);
}

INLINE vw vw_load_high4(const uint8_t *p)
{
    uint8x16x4_t x = load_bytes(p);
    return EACH_BYTES(HIGH4, x);
}

INLINE vi vi_start_q8(int32_t minus128)
{
    (void)minus128;
    return vi_set1(0);
}

INLINE va va_load(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

INLINE int32x4_t dot_quarter(int32x4_t acc, int8x16_t w, va a)
{
#if defined(VECTOR_DOT)
    return vdotq_s32(acc, w, a);
#else
    int16x8_t lo = vmull_s8(vget_low_s8(w), vget_low_s8(a));
    int16x8_t hi = vmull_high_s8(w, a);
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi)));
#endif
}

INLINE vi vi_dot(vi acc, vw w, va a)
{
    return (vi){dot_quarter(acc.a, w.a, a), dot_quarter(acc.b, w.b, a), dot_quarter(acc.c, w.c, a),
                dot_quarter(acc.d, w.d, a)};
}
