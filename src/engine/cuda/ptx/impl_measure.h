// What the device can do at most: reading its memory, and multiply-adds of each kind in registers.
#pragma once

#include "engine/cuda/ptx/device.h"

KERNEL(measure_read, 256)(const struct gpu_measure_args a)
{
    const words *from = a.from;
    uint64_t step = (uint64_t)grid_x() * 256, i = (uint64_t)block_x() * 256 + thread_index();
    words sum = (words)0;
    for (; i + 3 * step < a.n; i += 4 * step) {
        words w[4];
        UNROLL for (uint32_t j = 0; j < 4; j++) w[j] = from[i + j * step];
        sum ^= w[0] ^ w[1] ^ w[2] ^ w[3];
    }
    for (; i < a.n; i += step)
        sum ^= from[i];
    a.out[block_x() * 256 + thread_index()] = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
}

// turns * GPU_MEASURE_CHAINS multiply-adds a thread.
KERNEL(measure_fma, 256)(const struct gpu_measure_args a)
{
    float x[GPU_MEASURE_CHAINS], sum = 0.0f, by = 1.0f - (float)a.turns * 0x1p-40f;
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) x[j] = (float)(thread_index() + j);
    for (uint32_t i = 0; i < a.turns; i++)
        UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) x[j] = fma1(x[j], by, 0.25f);
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) sum = sum + x[j];
    a.out[block_x() * 256 + thread_index()] = bits_of(sum);
}

// turns * GPU_MEASURE_CHAINS products of 16 x 32 by 32 x 8 signed bytes a warp.
KERNEL(measure_int8, 256)(const struct gpu_measure_args a)
{
    uint32_t t = thread_index(), w = t * 0x01030507u, x = ~w;
    int32_t c[GPU_MEASURE_CHAINS][4], sum = 0;
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) UNROLL for (uint32_t i = 0; i < 4; i++)
        c[j][i] = (int32_t)(t + j);
    for (uint32_t n = 0; n < a.turns; n++)
        UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) __asm__ volatile(
            "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, "
            "{%4, %5, %4, %5}, {%4, %5}, {%0, %1, %2, %3};" : "+r"(c[j][0]),
            "+r"(c[j][1]), "+r"(c[j][2]), "+r"(c[j][3]) : "r"(w), "r"(x));
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) UNROLL for (uint32_t i = 0; i < 4; i++)
        sum ^= c[j][i];
    a.out[block_x() * 256 + t] = (uint32_t)sum;
}

// turns * GPU_MEASURE_CHAINS products of 16 x 16 by 16 x 8 bf16 a warp.
KERNEL(measure_bf16, 256)(const struct gpu_measure_args a)
{
    uint32_t t = thread_index(), w = 0x3F803E80u + t, x = 0x3E803F80u + t;
    float c[GPU_MEASURE_CHAINS][4], sum = 0.0f;
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) UNROLL for (uint32_t i = 0; i < 4; i++)
        c[j][i] = (float)(t + j);
    for (uint32_t n = 0; n < a.turns; n++)
        UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) __asm__ volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, "
            "%3}, {%4, %5, %4, %5}, {%4, %5}, {%0, %1, %2, %3};" : "+f"(c[j][0]),
            "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3]) : "r"(w), "r"(x));
    UNROLL for (uint32_t j = 0; j < GPU_MEASURE_CHAINS; j++) UNROLL for (uint32_t i = 0; i < 4; i++)
        sum = sum + c[j][i];
    a.out[block_x() * 256 + t] = bits_of(sum);
}
