// The floating-point mode of exact arithmetic: round to nearest even, subnormals kept, no traps.
// x86: MXCSR; Arm: FPCR; elsewhere the environment is taken as C leaves it (which is the same).
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint64_t fpmode_enter(void)
{
#if defined(__x86_64__)
    uint64_t old = _mm_getcsr();
    _mm_setcsr(0x1F80);
    return old;
#elif defined(__aarch64__)
    uint64_t old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return old;
#else
    return 0;
#endif
}

static inline void fpmode_leave(uint64_t old)
{
#if defined(__x86_64__)
    _mm_setcsr((unsigned)old);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(old));
#else
    (void)old;
#endif
}
