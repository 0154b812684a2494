// Rows of the embedding, out of the panels of the head that shares it; as panels_row (panel.c).
#pragma once

#include "engine/cuda/ptx/device.h"
#include "engine/cuda/ptx/panel.h"

INLINE float plain_value(uint32_t kind, const uint8_t *panel, uint32_t lane, uint32_t k)
{
    if (kind == GPU_KIND_F32)
        return ((const float *)panel)[k * LANES + lane];
    if (kind == GPU_KIND_F16)
        return half_at(panel, k * LANES + lane);
    return float_of((uint32_t)((const uint16_t *)panel)[(k / 2 * LANES + lane) * 2 + k % 2] << 16);
}

INLINE float quantised_value(enum gpu_kind kind, const uint8_t *panel, uint32_t cols, uint32_t lane,
                             uint32_t k)
{
    uint32_t b = k / 32, in = k % 32, four = in % 16;
    const uint8_t *q = panel + (uint64_t)b * quant_bytes(kind);
    const uint8_t *s = panel + (uint64_t)(cols / 32) * quant_bytes(kind);
    int32_t v = four_bits(kind)
                    ? q[(four / 4 * LANES + lane) * 4 + four % 4] >> (in < 16 ? 0 : 4) & 15
                    : q[(in / 4 * LANES + lane) * 4 + in % 4];
    v = kind == GPU_KIND_Q8_0 ? (int8_t)v : v;
    v -= kind == GPU_KIND_Q4_0 ? 8 : kind == GPU_KIND_Q6_K ? 32 : 0;
    float d = scale_at(kind, s, b, lane, kind == GPU_KIND_Q6_K ? in / 16 : 0);
    return (float)v * d + (has_min(kind) ? scale_at(kind, s, b, lane, 1) : 0.0f);
}

KERNEL(embed, 128)(const struct gpu_embed_args a)
{
    uint32_t row = block_x(), token = a.tokens[row], lane = token % LANES;
    const uint8_t *panel = a.panels + (uint64_t)(token / LANES) * a.panel_bytes;
    for (uint32_t k = thread_index(); k < a.cols; k += 128) {
        float v = a.kind < GPU_KIND_Q8_0 ? plain_value(a.kind, panel, lane, k)
                                         : quantised_value(a.kind, panel, a.cols, lane, k);
        if (a.learned)
            v = v + a.learned[(uint64_t)a.positions[row] * a.out_stride + k];
        a.out[(uint64_t)row * a.out_stride + k] = v;
    }
}
