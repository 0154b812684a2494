// The numeric kernels, one table of functions a backend; all backends compute the same bits.
//
// The rule (numerics version 1): the order of every floating-point reduction is fixed by the
// model's mathematics.
//   matmul, F32/F16/BF16: y = one chain of fma(w[k], x[k], y) over ascending k, from +0; weights
//     are widened exactly, activations stay f32.
//   matmul, quantised: activations are quantised by blocks of 32 (struct act_block); for each block
//     in ascending order y = fma((float)isum, dw * da, y), isum the exact integer sum; types with
//     minima then y = fma(m, sa, y) with sa = da * (float)(sum of the quantised activations).
//     Q6_K does so for each 16 weights (two scales a block). See panel.h for what dw and m are.
//   norms: 64 partial sums (element i goes to sum i mod 64, ascending), folded by a fixed tree.
//   softmax: 16 partial sums (lane = position mod 16, ascending), folded by a fixed tree; values
//   are
//     one fma chain over ascending positions, divided at the end.
//   K and V in q8: each head's values of a position by blocks of 32 along the head's dimensions:
//     d = amax / 127, q = round_half_even(x / d) held in [-127, 127]; read as (float)q * d. A block
//     that holds a non-finite value has d = NaN.
// Functions are pure and may run on any thread in the floating-point mode of fpmode.h. Vectors of n
// floats lie in buffers padded to a multiple of LANES; elementwise kernels may touch the padding.
#pragma once

#include "base/base.h"

#define LANES         16
#define ACT_BLOCK     32
#define ATTENTION_MAX 8 // queries in one call of attention()
#define KV_POSITIONS  16

#define NUMERICS_VERSION 1

#define WEIGHT_ONE_BITS 30 // the weight of the likeliest token, in exp_weights
#define WEIGHT_ONE      (1u << WEIGHT_ONE_BITS)

struct panels;

// 32 quantised activations: q = round_half_even(x * (127 / amax)), d = amax / 127, in one cache
// line. A block whose amax is below 2^-100 is all zeros; one that holds a non-finite value has
// d = NaN.
struct act_block {
    _Alignas(64) int8_t q[ACT_BLOCK];
    float d;
    float sum;        // d * (float)(sum of q)
    int32_t minus128; // -128 * sum of q: for instructions that want Q8 weights without a sign
    int32_t minus8;   // -8 * sum of q: of Q4_0
    int32_t minus32_of16[2]; // -32 * sum of each half: of Q6_K
    int32_t unused[2];
};

// The left side of a matrix product: m rows, f32 or quantised as the weights ask
// (panel_kind_quantised).
struct matmul_in {
    const float *x;
    size_t x_stride; // floats from row to row
    const struct act_block *q;
    size_t q_stride; // blocks from row to row
};

// How K and V are kept. One head's K in a block of KV_POSITIONS: [head_dim][16] values, lanes are
// positions; its V: [16][head_dim padded to LANES]. In q8 the bytes are followed by the scales in
// f32: K [head_dim/32][16] at the next multiple of 64, V [16][head_dim/32].
enum kv_type { KV_F32, KV_F16, KV_Q8 };

#define KV_SCALED 32 // values under one scale

// Queries that share a KV head and a block table: consecutive rows of one sequence, and the heads
// of a group.
struct attention {
    const uint8_t *pool;
    const uint32_t *blocks;
    size_t block_bytes;
    size_t k_offset; // of this layer and KV head inside a block: K [head_dim][16]
    size_t v_offset; // V [16][head_dim_padded]
    uint32_t head_dim;
    enum kv_type kv_type;
    float scale;
    uint32_t n;                    // queries, 1..ATTENTION_MAX
    const float *q[ATTENTION_MAX]; // head_dim floats each
    float *out[ATTENTION_MAX];     // head_dim floats each, padding to LANES is not written
    uint32_t first[ATTENTION_MAX], last[ATTENTION_MAX]; // positions seen, both inclusive
};

struct kernel {
    const char *name;
    // out[r][row] for the rows of panels [from, to) and r < m; out[r] points to row 0. Rows past
    // the matrix's own are not written.
    void (*matmul)(const struct panels *w, size_t from, size_t to, const struct matmul_in *in,
                   size_t m, float *const *out);
    void (*quantise)(const float *x, size_t n, struct act_block *out); // n a multiple of 32
    void (*layer_norm)(const float *x, const float *weight, const float *bias, size_t n, float eps,
                       float *out);
    void (*rms_norm)(const float *x, const float *weight, size_t n, float eps, float *out);
    void (*add)(float *x, const float *y, size_t n);
    void (*add_sum)(float *x, const float *y, const float *z, size_t n); // x = x + (y + z)
    void (*gelu)(float *x, size_t n);                                    // tanh form
    void (*silu_mul)(float *gate, const float *up, size_t n);            // gate = silu(gate) * up
    // K and V of one head at a slot of a block, rounded to the KV type.
    void (*kv_store)(uint8_t *k_block, uint8_t *v_block, uint32_t slot, const float *k,
                     const float *v, uint32_t head_dim, enum kv_type type);
    // scores: room for n * (last/16 - first/16 + 1) * 16 floats over all queries' range,
    // 64-aligned.
    void (*attention)(const struct attention *a, float *scores);
    bool (*all_finite)(const float *x, size_t n); // exactly n
    // For the sampler, over logits (finite or -infinity; exactly n). The largest; the weights
    // floor(e^((x - max) * scale) * 2^30 + 1/2) with their sum; the sum of e^(x - max) in double
    // (lane = index mod 16, ascending, then a fixed tree).
    float (*max)(const float *x, size_t n);
    uint64_t (*exp_weights)(const float *x, size_t n, float max, float scale, uint32_t *weights);
    double (*exp_sum)(const float *x, size_t n, float max);
    // For tests of the functions themselves: y = exp(x).
    void (*exp)(const float *x, size_t n, float *y);
};

// The best backend of this CPU (name NULL) or the named one: "portable", "avx2", "avxvnni",
// "avx512", "amx", "neon", "neondot". NULL when this build or this CPU has none of that name.
const struct kernel *kernel_find(const char *name);
// All that this build has and this CPU runs, best first; NULL at the end.
const struct kernel *kernel_at(size_t i);

static inline size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static inline size_t kv_value_bytes(enum kv_type t)
{
    return t == KV_F32 ? 4 : t == KV_F16 ? 2 : 1;
}

// Where K's scales begin (q8), and all bytes of one head's K and V in a block: multiples of 64.
static inline size_t kv_k_scales_at(uint32_t head_dim)
{
    return round_up((size_t)head_dim * KV_POSITIONS, 64);
}

static inline size_t kv_scales(uint32_t head_dim)
{
    return round_up(head_dim, KV_SCALED) / KV_SCALED;
}

static inline size_t kv_k_bytes(enum kv_type t, uint32_t head_dim)
{
    if (t == KV_Q8)
        return kv_k_scales_at(head_dim) + kv_scales(head_dim) * KV_POSITIONS * sizeof(float);
    return round_up((size_t)head_dim * KV_POSITIONS * kv_value_bytes(t), 64);
}

static inline size_t kv_v_bytes(enum kv_type t, uint32_t head_dim)
{
    size_t scales = t == KV_Q8 ? kv_scales(head_dim) * KV_POSITIONS * sizeof(float) : 0;
    return round_up(head_dim, LANES) * KV_POSITIONS * kv_value_bytes(t) + scales;
}
