// exp and what is made of it, from IEEE operations only.
#pragma once

#include "engine/kernel/vector.h"

// e^x for x <= 88, relative error below 2e-7; exactly 0 below -87; NaN stays NaN.
// x = n ln2 + r with n rounded by adding 1.5 * 2^23; then a polynomial (Cephes' expf) and 2^n from
// the bits of that sum.
INLINE vf vf_exp(vf x)
{
    vf shifted = vf_fma(x, vf_set1(1.44269504f), vf_set1(12582912.0f));
    vf n = vf_sub(shifted, vf_set1(12582912.0f));
    vf r = vf_fma(n, vf_set1(-0.693359375f), x);
    r = vf_fma(n, vf_set1(2.12194440e-4f), r);
    vf p = vf_set1(1.9875691500e-4f);
    p = vf_fma(p, r, vf_set1(1.3981999507e-3f));
    p = vf_fma(p, r, vf_set1(8.3334519073e-3f));
    p = vf_fma(p, r, vf_set1(4.1665795894e-2f));
    p = vf_fma(p, r, vf_set1(1.6666665459e-1f));
    p = vf_fma(p, r, vf_set1(5.0000001201e-1f));
    p = vf_fma(p, vf_mul(r, r), vf_add(r, vf_set1(1.0f)));
    vi power = vi_add(vi_shl(vf_bits(shifted), 23), vi_set1(0x3F800000));
    return vf_select_lt(x, vf_set1(-87.0f), vf_set1(0.0f), vf_mul(p, vf_from_bits(power)));
}

// x / (1 + e^-z): z is kept above -80, so that nothing overflows or turns subnormal.
INLINE vf vf_x_sigmoid(vf x, vf z)
{
    vf e = vf_exp(vf_min(vf_set1(80.0f), vf_sub(vf_set1(0.0f), z)));
    return vf_div(x, vf_add(vf_set1(1.0f), e));
}

// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) = x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))
INLINE vf vf_gelu(vf x)
{
    vf t = vf_fma(vf_mul(x, x), vf_set1(0.0713548163f), vf_set1(1.59576912f));
    return vf_x_sigmoid(x, vf_mul(x, t));
}

INLINE vf vf_silu(vf x)
{
    return vf_x_sigmoid(x, x);
}
