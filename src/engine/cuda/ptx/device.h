// What the GPU's code stands on: clang's C for nvptx64 without headers of NVIDIA's. Every float
// operation is one IEEE operation, round to nearest even, subnormals kept: nothing is contracted
// (-ffp-contract=off), flushed or approximated.
#pragma once

#include "engine/cuda/kernels.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("unroll")
// An entry; its one parameter is a struct.
#define KERNEL(name, threads) __attribute__((nvptx_kernel)) void name
// Memory that the threads of a block share; arbitrary at the start.
#define SHARED static __attribute__((address_space(3), loader_uninitialized))

#define LANES 16

typedef uint32_t words __attribute__((ext_vector_type(4))); // one load of 16 bytes
typedef float floats __attribute__((ext_vector_type(4)));

INLINE uint32_t thread_index(void)
{
    return (uint32_t)__nvvm_read_ptx_sreg_tid_x();
}

INLINE uint32_t block_x(void)
{
    return (uint32_t)__nvvm_read_ptx_sreg_ctaid_x();
}

INLINE uint32_t block_y(void)
{
    return (uint32_t)__nvvm_read_ptx_sreg_ctaid_y();
}

INLINE uint32_t grid_x(void)
{
    return (uint32_t)__nvvm_read_ptx_sreg_nctaid_x();
}

INLINE void barrier(void)
{
    __nvvm_bar_sync(0);
}

INLINE uint32_t bits_of(float f)
{
    return __builtin_bit_cast(uint32_t, f);
}

INLINE float float_of(uint32_t bits)
{
    return __builtin_bit_cast(float, bits);
}

INLINE float fma1(float a, float b, float c)
{
    return __builtin_fmaf(a, b, c);
}

INLINE float half_at(const uint8_t *p, uint32_t i)
{
    return (float)((const _Float16 *)p)[i];
}

INLINE float half_of(uint32_t bits)
{
    return (float)__builtin_bit_cast(_Float16, (uint16_t)bits);
}

// sum + the four products of signed bytes, exact.
INLINE int32_t dot4(uint32_t w, uint32_t a, int32_t sum)
{
    int32_t r;
    __asm__("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(w), "r"(a), "r"(sum));
    return r;
}

INLINE uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
