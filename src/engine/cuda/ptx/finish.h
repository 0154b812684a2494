// What follows a product, on one output.
#pragma once

#include "engine/cuda/ptx/math.h"

INLINE void finish(const struct gpu_product_args *a, uint32_t output, uint32_t row, float v)
{
    if (a->bias)
        v = v + a->bias[output];
    if (a->after == GPU_AFTER_ADD) {
        float *x = a->add + (uint64_t)row * a->add_stride + output;
        *x = *x + v;
        return;
    }
    a->out[(uint64_t)row * a->out_stride + output] = a->after == GPU_AFTER_GELU ? gelu(v) : v;
}
