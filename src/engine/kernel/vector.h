// One virtual vector of 16 lanes for every instruction set: the kernels are written once over it
// (kernel_impl.h) and compiled once a backend. Every operation here is exactly one IEEE operation a
// lane (round to nearest even), so all backends compute the same bits:
//   vf  16 floats     vi  16 int32     vw  64 weight bytes: 4 for each lane     va  4 activations
// vf_max(a, b) is (a > b ? a : b) and vf_min (a < b ? a : b), also for NaN and signed zeros.
// vf_load_i8: 16 signed bytes. vi_store_i8: lanes in [-128, 127] as bytes; returns their sum.
// vi_dot(acc, w, a): acc[lane] += w[lane][0]*a[0] + … + w[lane][3]*a[3], exact.
// vw_load_q8 and vi_start_q8: signed bytes. Where the instruction wants them without a sign they
// are made 128 more, and vi_start_q8(-128 * sum of activations) takes that back.
#pragma once

#include <stdint.h>
#include <string.h>

#include "engine/kernel/kernel.h"

#define INLINE static inline __attribute__((always_inline, unused))

#if defined(VECTOR_AVX512)
#include "engine/kernel/vector_avx512.h"
#elif defined(VECTOR_AVX2)
#include "engine/kernel/vector_avx2.h"
#elif defined(VECTOR_NEON)
#include "engine/kernel/vector_neon.h"
#elif defined(VECTOR_PORTABLE)
#include "engine/kernel/vector_portable.h"
#else
#error "a kernel file names its vector backend"
#endif

// Sum of the lanes by one fixed tree: i + (i+8), then +4, +2, +1.
INLINE float vf_sum(vf v)
{
    float s[LANES];
    vf_store(s, v);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            s[i] += s[i + width];
    return s[0];
}

INLINE float vf_hmax(vf v)
{
    float s[LANES];
    vf_store(s, v);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            s[i] = s[i] > s[i + width] ? s[i] : s[i + width];
    return s[0];
}
