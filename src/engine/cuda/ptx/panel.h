// How quantised panels lie (engine/kernel/panel.h, which is for the processor).
#pragma once

#include "engine/cuda/ptx/device.h"

INLINE uint32_t four_bits(enum gpu_kind k)
{
    return k == GPU_KIND_Q4_0 || k == GPU_KIND_Q4_1 || k == GPU_KIND_Q4_K;
}

INLINE uint32_t has_min(enum gpu_kind k)
{
    return k == GPU_KIND_Q4_1 || k == GPU_KIND_Q4_K || k == GPU_KIND_Q5_K;
}

INLINE uint32_t is_super(enum gpu_kind k)
{
    return k == GPU_KIND_Q4_K || k == GPU_KIND_Q5_K;
}

// Bytes of the quants of 32 columns.
INLINE uint32_t quant_bytes(enum gpu_kind k)
{
    return four_bits(k) ? 256 : 512;
}

// Scale `which` of a lane in a block; `scales` is the panel's.
INLINE float scale_at(enum gpu_kind k, const uint8_t *scales, uint32_t block, uint32_t lane,
                      uint32_t which)
{
    uint32_t two = has_min(k) || k == GPU_KIND_Q6_K ? 2 : 1;
    uint32_t at = (block * two + which) * LANES + lane;
    if (!is_super(k))
        return k == GPU_KIND_Q6_K ? ((const float *)scales)[at] : half_at(scales, at);
    const uint8_t *shared = scales + (uint64_t)(block / GPU_SUPER) * GPU_SUPER_BYTES;
    return half_at(shared, which * LANES + lane) *
           (float)shared[GPU_SUPER_HEAD + (block % GPU_SUPER * 2 + which) * LANES + lane];
}
