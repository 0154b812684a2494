// What both sides know of the GPU's kernels: their names, threads a block, and arguments. Included
// by the host (C) and by the GPU's code (ptx/*.c); every kernel takes one struct, all pointers in
// it are the device's. The order of every reduction is that of engine/kernel/kernel.h, so that the
// results are the CPU's, bit for bit.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gpu_after { GPU_AFTER_NOTHING, GPU_AFTER_GELU, GPU_AFTER_ADD };

// As enum panel_kind (panel.h).
enum gpu_kind {
    GPU_KIND_F32,
    GPU_KIND_F16,
    GPU_KIND_BF16,
    GPU_KIND_Q8_0,
    GPU_KIND_Q4_0,
    GPU_KIND_Q4_1,
    GPU_KIND_Q4_K,
    GPU_KIND_Q5_K,
    GPU_KIND_Q6_K
};

// As PANEL_SUPER … (panel.h).
#define GPU_SUPER       8
#define GPU_SUPER_HEAD  64
#define GPU_SUPER_BYTES 320

// As struct act_block (kernel.h).
struct gpu_act {
    uint32_t q[8]; // 32 signed bytes
    float d, sum;
    int32_t minus128, minus8, minus32_of16[2];
    int32_t unused[2];
};

// Grid: rows. out[i] = norm of x[pick ? pick[i] : i].
struct gpu_norm_args {
    const float *x, *weight, *bias; // bias NULL: RMS norm
    float *out;
    const uint32_t *pick;
    uint32_t n, x_stride, out_stride;
    float eps;
};

// Grid: ceil(n / 128) x rows.
struct gpu_quantise_args {
    const float *x;
    struct gpu_act *out;
    uint32_t n, x_stride, out_stride;
};

// out[row] = panels * in[row] (+ bias), then what `after` says: GELU, or added to add[row] instead
// of stored. Thin kernels: up to 8 rows a block, grid panels x ceil(rows / 8). Wide ones: grid
// ceil(outputs / (128 or, quantised, 64)) x ceil(rows / 64).
struct gpu_product_args {
    const uint8_t *panels; // panel.h
    uint64_t panel_bytes;
    const float *in;
    const struct gpu_act *act; // for quantised weights
    float *out;
    const float *bias;
    float *add;
    uint32_t outputs, cols, rows;
    uint32_t in_stride, act_stride, out_stride, add_stride; // floats, blocks, floats, floats
    uint32_t after;                                         // enum gpu_after
};

// Grid: ceil(n / 256) x rows. gate = silu(gate) * up.
struct gpu_gate_args {
    float *gate;
    const float *up;
    uint32_t n, stride;
};

// What the steps on K and V have in common. Row r: position positions[r], block table
// tables + table_at[r].
struct gpu_cache {
    uint8_t *const *chunks; // of blocks_a_chunk blocks each
    const uint32_t *tables, *table_at, *positions;
    uint64_t block_bytes, layer_at; // of this layer's first KV head inside a block
    uint64_t k_bytes, v_bytes;      // of one layer and KV head in a block
    uint32_t blocks_a_chunk, head_dim, heads, heads_kv;
    bool f16;
};

// Grid: KV heads x rows. Head norms and rotation of q and k, then K and V to the cache.
struct gpu_store_args {
    struct gpu_cache cache;
    float *qkv;
    const float *q_norm, *k_norm;   // or NULL
    const float *cosines, *sines;   // [position][rope_dims / 2]
    uint64_t q, k, v;               // floats from a row's start
    uint32_t qkv_stride, rope_dims; // 0: no rotation
    bool pairs_near;
    float eps;
};

// Grid: heads x rows.
struct gpu_attention_args {
    struct gpu_cache cache;
    const float *q; // of row 0, head 0
    float *out;
    float *scores; // [row][head][scores_stride]
    uint64_t scores_stride;
    uint32_t q_stride, out_stride;
    uint32_t window; // positions a query sees; 0 = all
    float scale;
};

// Grid: rows. out[r] = row tokens[r] of a matrix in panels, plus row positions[r] of the learned
// positions where there are some.
struct gpu_embed_args {
    const uint8_t *panels;
    uint64_t panel_bytes;
    const uint32_t *tokens, *positions;
    const float *learned; // [position][out_stride], or NULL
    float *out;
    uint32_t kind; // enum gpu_kind
    uint32_t cols, out_stride;
};

// Functions of one value, for tests: y = f(x). Grid: ceil(n / 256).
enum gpu_function { GPU_EXP, GPU_GELU, GPU_SILU, GPU_HALF_ROUND };
struct gpu_map_args {
    const float *x;
    float *y;
    uint32_t n, function;
};

// Measures. read: every block sums the words it reads of n 16-byte units. The others: `turns` of
// independent multiply-adds in registers.
struct gpu_measure_args {
    const void *from;
    uint32_t *out;
    uint64_t n;
    uint32_t turns;
};

// name, threads a block
#define GPU_KERNELS(X)                                                                             \
    X(norm, 64)                                                                                    \
    X(quantise, 128)                                                                               \
    X(thin_f32, 128)                                                                               \
    X(thin_f16, 128)                                                                               \
    X(thin_bf16, 128)                                                                              \
    X(thin_q8_0, 128)                                                                              \
    X(thin_q4_0, 128)                                                                              \
    X(thin_q4_1, 128)                                                                              \
    X(thin_q4_k, 128)                                                                              \
    X(thin_q5_k, 128)                                                                              \
    X(thin_q6_k, 128)                                                                              \
    X(wide_f32, 256)                                                                               \
    X(wide_f16, 256)                                                                               \
    X(wide_bf16, 256)                                                                              \
    X(wide_q8_0, 256)                                                                              \
    X(wide_q4_0, 256)                                                                              \
    X(wide_q4_1, 256)                                                                              \
    X(wide_q4_k, 256)                                                                              \
    X(wide_q5_k, 256)                                                                              \
    X(wide_q6_k, 256)                                                                              \
    X(embed, 128)                                                                                  \
    X(gate, 256)                                                                                   \
    X(store_kv, 64)                                                                                \
    X(attention, 128)                                                                              \
    X(map, 256)                                                                                    \
    X(measure_read, 256)                                                                           \
    X(measure_fma, 256)                                                                            \
    X(measure_int8, 256)                                                                           \
    X(measure_bf16, 256)

enum gpu_kernel {
#define GPU_ENUM(name, threads) GPU_KERNEL_##name,
    GPU_KERNELS(GPU_ENUM)
#undef GPU_ENUM
        GPU_KERNEL_COUNT
};

enum {
    GPU_THIN_ROWS = 8,
    GPU_WIDE_ROWS = 64,
    GPU_WIDE_OUTPUTS = 128,  // plain weights
    GPU_WIDE_OUTPUTS_Q = 64, // quantised ones
    GPU_MEASURE_CHAINS = 8,  // independent chains a thread or warp
};
