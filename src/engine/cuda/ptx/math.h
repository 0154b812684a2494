// exp and what is made of it: engine/kernel/impl_math.h, operation by operation.
#pragma once

#include "engine/cuda/ptx/device.h"

INLINE float exp1(float x)
{
    float shifted = fma1(x, 1.44269504f, 12582912.0f);
    float n = shifted - 12582912.0f;
    float r = fma1(n, -0.693359375f, x);
    r = fma1(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fma1(p, r, 1.3981999507e-3f);
    p = fma1(p, r, 8.3334519073e-3f);
    p = fma1(p, r, 4.1665795894e-2f);
    p = fma1(p, r, 1.6666665459e-1f);
    p = fma1(p, r, 5.0000001201e-1f);
    p = fma1(p, r * r, r + 1.0f);
    float power = float_of((bits_of(shifted) << 23) + 0x3F800000u);
    return x < -87.0f ? 0.0f : p * power;
}

INLINE float x_sigmoid(float x, float z)
{
    float minus = 0.0f - z, kept = 80.0f < minus ? 80.0f : minus;
    return x / (1.0f + exp1(kept));
}

INLINE float gelu(float x)
{
    return x_sigmoid(x, x * fma1(x * x, 0.0713548163f, 1.59576912f));
}

INLINE float silu(float x)
{
    return x_sigmoid(x, x);
}
