// The kernels, once; each kernel_<backend>.c defines its vector backend and KERNEL (the name of its
// table) and includes this.
#pragma once

#include "engine/kernel/vector.h"

#include "engine/kernel/impl_matmul.h"
#include "engine/kernel/impl_matmul_q.h"

#include "engine/kernel/impl_math.h"

#include "engine/kernel/impl_attention.h"
#include "engine/kernel/impl_rows.h"
#include "engine/kernel/impl_sample.h"

#define KERNEL_TABLE(NAME, MATMUL)                                                                 \
    {                                                                                              \
        .name = (NAME),                                                                            \
        .matmul = (MATMUL),                                                                        \
        .quantise = quantise,                                                                      \
        .layer_norm = layer_norm,                                                                  \
        .rms_norm = rms_norm,                                                                      \
        .add = add,                                                                                \
        .add_sum = add_sum,                                                                        \
        .gelu = gelu,                                                                              \
        .silu_mul = silu_mul,                                                                      \
        .kv_store = kv_store,                                                                      \
        .attention = attention,                                                                    \
        .all_finite = all_finite,                                                                  \
        .max = max_of,                                                                             \
        .exp_weights = exp_weights,                                                                \
        .exp_sum = exp_sum,                                                                        \
        .exp = exp_each,                                                                           \
    }

const struct kernel KERNEL = KERNEL_TABLE(KERNEL_NAME, matmul);
