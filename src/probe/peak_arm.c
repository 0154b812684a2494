#if defined(__aarch64__)
#include "probe/peak.h"

#include <arm_neon.h>
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "base/banned.h"

// Chains enough to hide an instruction's latency behind the others'. They are named one by one: an
// array would be kept in memory.
#define N_CHAINS 16
#define EACH(DO)                                                                                   \
    DO(0)                                                                                          \
    DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)
#define CHAINS(TYPE, FROM)                                                                         \
    TYPE v0 = (FROM), v1 = v0, v2 = v0, v3 = v0, v4 = v0, v5 = v0, v6 = v0, v7 = v0, v8 = v0,      \
         v9 = v0, v10 = v0, v11 = v0, v12 = v0, v13 = v0, v14 = v0, v15 = v0
// The compiler must not see that nobody uses the value.
#define KEPT(V) __asm__ volatile("" : "+w"(V))

static double fma_neon(size_t turns)
{
    float32x4_t half = vdupq_n_f32(0.5f);
    CHAINS(float32x4_t, half);
#define STEP(i)                                                                                    \
    v##i = vfmaq_f32(half, v##i, half);                                                            \
    KEPT(v##i);
    for (size_t turn = 0; turn < turns; turn++) {
        EACH(STEP)
    }
#undef STEP
    return (double)turns * N_CHAINS * 4 * 2;
}

static double int8_neon(size_t turns)
{
    int8x16_t ones = vdupq_n_s8(1);
    CHAINS(int32x4_t, vdupq_n_s32(1));
// In assembly: the intrinsic asks the whole file to be compiled for processors that have it.
#define STEP(i)                                                                                    \
    __asm__ volatile(".arch armv8.2-a+dotprod\n\tsdot %0.4s, %1.16b, %1.16b"                       \
                     : "+w"(v##i)                                                                  \
                     : "w"(ones));
    for (size_t turn = 0; turn < turns; turn++) {
        EACH(STEP)
    }
#undef STEP
    return (double)turns * N_CHAINS * 16 * 2;
}

static bool has_dot(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return true; // Apple's
#endif
}

peak_fn *peak_find(enum probe_peak p)
{
    if (p == PROBE_FMA)
        return fma_neon;
    return p == PROBE_INT8_DOT && has_dot() ? int8_neon : NULL;
}
#endif
