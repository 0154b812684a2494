// Sums and maxima across threads, in the CPU's order where there are floats.
#pragma once

#include "engine/cuda/ptx/device.h"

// The value of the thread whose index in the warp differs in `mask`. All 32 take part.
INLINE int32_t exchange(int32_t v, int32_t mask)
{
    return __nvvm_shfl_sync_bfly_i32(0xFFFFFFFFu, v, mask, 31);
}

INLINE uint32_t warp_max(uint32_t v)
{
    UNROLL for (int32_t mask = 16; mask > 0; mask /= 2)
    {
        uint32_t other = (uint32_t)exchange((int32_t)v, mask);
        v = other > v ? other : v;
    }
    return v;
}

// Of the 16 threads of a half warp.
INLINE int32_t sum_of_16(int32_t v)
{
    UNROLL for (int32_t mask = 8; mask > 0; mask /= 2) v += exchange(v, mask);
    return v;
}

SHARED float partial_sums[64];

// The tree over a block's 64 threads: t + (t+32), then +16, +8, +4, +2, +1. All threads get it.
INLINE float sum_of_64(float v)
{
    uint32_t t = thread_index();
    partial_sums[t] = v;
    UNROLL for (uint32_t width = 32; width > 0; width /= 2)
    {
        barrier();
        if (t < width)
            partial_sums[t] = partial_sums[t] + partial_sums[t + width];
    }
    barrier();
    float sum = partial_sums[0];
    barrier();
    return sum;
}
