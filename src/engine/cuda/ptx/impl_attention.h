// K and V to the cache, and attention over its blocks of 16 positions.
#pragma once

#include "engine/cuda/ptx/math.h"
#include "engine/cuda/ptx/reduce.h"

#define HEAD_MAX 512

INLINE uint8_t *block_at(const struct gpu_cache *c, uint32_t row, uint32_t position,
                         uint32_t kv_head)
{
    uint32_t block = c->tables[c->table_at[row] + position / 16];
    return c->chunks[block / c->blocks_a_chunk] + block % c->blocks_a_chunk * c->block_bytes +
           c->layer_at + kv_head * (c->k_bytes + c->v_bytes);
}

INLINE float kv_at(const uint8_t *p, uint64_t i, bool f16)
{
    return f16 ? (float)((const _Float16 *)p)[i] : ((const float *)p)[i];
}

INLINE void kv_put(uint8_t *p, uint64_t i, float v, bool f16)
{
    if (f16)
        ((_Float16 *)p)[i] = (_Float16)v;
    else
        ((float *)p)[i] = v;
}

// Norm (where there is one) and rotation of one head, in place; a block of 64 threads.
INLINE void turn_head(const struct gpu_store_args *a, const float *norm, uint32_t row, float *head)
{
    uint32_t t = thread_index(), i, dim = a->cache.head_dim, half = a->rope_dims / 2;
    uint64_t angles = (uint64_t)a->cache.positions[row] * half;
    float sum = 0.0f;
    if (norm) {
        for (i = t; i < dim; i += 64) {
            float v = head[i] - 0.0f;
            sum = fma1(v, v, sum);
        }
        float inv = 1.0f / __nvvm_sqrt_rn_f(sum_of_64(sum) / (float)dim + a->eps);
        for (i = t; i < dim; i += 64)
            head[i] = head[i] * inv * norm[i];
        barrier();
    }
    for (i = t; i < half; i += 64) {
        float *p = head + (a->pairs_near ? 2 * i : i), *q = p + (a->pairs_near ? 1 : half);
        float c = a->cosines[angles + i], s = a->sines[angles + i];
        float x = *p, y = *q;
        *p = x * c - y * s;
        *q = x * s + y * c;
    }
    barrier();
}

KERNEL(store_kv, 64)(const struct gpu_store_args a)
{
    const struct gpu_cache *c = &a.cache;
    uint32_t kv_head = block_x(), row = block_y(), dim = c->head_dim,
             group = c->heads / c->heads_kv;
    uint32_t position = c->positions[row], slot = position % 16, padded = (dim + 15) / 16 * 16;
    float *qkv = a.qkv + (uint64_t)row * a.qkv_stride;
    float *k = qkv + a.k + kv_head * dim, *v = qkv + a.v + kv_head * dim;
    for (uint32_t i = 0; i < group; i++)
        turn_head(&a, a.q_norm, row, qkv + a.q + (kv_head * group + i) * dim);
    turn_head(&a, a.k_norm, row, k);
    uint8_t *k_block = block_at(c, row, position, kv_head), *v_block = k_block + c->k_bytes;
    for (uint32_t d = thread_index(); d < dim; d += 64) {
        kv_put(k_block, d * LANES + slot, k[d], c->f16);
        kv_put(v_block, slot * padded + d, v[d], c->f16);
    }
}

SHARED float query[HEAD_MAX];
SHARED float lane_values[128];

// The largest over a block of 128 threads.
INLINE float max_of_128(float v)
{
    uint32_t t = thread_index();
    lane_values[t] = v;
    UNROLL for (uint32_t width = 64; width > 0; width /= 2)
    {
        barrier();
        if (t < width && lane_values[t + width] > lane_values[t])
            lane_values[t] = lane_values[t + width];
    }
    barrier();
    float most = lane_values[0];
    barrier();
    return most;
}

// Scores of this row's query with positions [first, last], a thread a position; their maximum.
INLINE float score(const struct gpu_attention_args *a, uint32_t row, uint32_t kv_head,
                   uint32_t first, uint32_t last, float *scores)
{
    float most = -__builtin_inff();
    for (uint32_t p = first + thread_index(); p <= last; p += 128) {
        const uint8_t *k = block_at(&a->cache, row, p, kv_head);
        float s = 0.0f;
        _Pragma("unroll 8") for (uint32_t d = 0; d < a->cache.head_dim; d++) s =
            fma1(kv_at(k, d * LANES + p % 16, a->cache.f16), query[d], s);
        s = s * a->scale;
        scores[p - first] = s;
        most = s > most ? s : most;
    }
    return max_of_128(most);
}

// Scores to e^(score - most), and their sum: 16 lanes by position mod 16, ascending; then the tree.
INLINE float weigh(uint32_t first, uint32_t last, float most, float *scores)
{
    uint32_t t = thread_index();
    for (uint32_t p = first + t; p <= last; p += 128)
        scores[p - first] = exp1(scores[p - first] - most);
    barrier();
    if (t < 16) {
        float sum = 0.0f;
        for (uint32_t p = first + (t + 16 - first % 16) % 16; p <= last; p += 16)
            sum = sum + scores[p - first];
        lane_values[t] = sum;
    }
    UNROLL for (uint32_t width = 8; width > 0; width /= 2)
    {
        barrier();
        if (t < width)
            lane_values[t] = lane_values[t] + lane_values[t + width];
    }
    barrier();
    return lane_values[0];
}

KERNEL(attention, 128)(const struct gpu_attention_args a)
{
    const struct gpu_cache *c = &a.cache;
    uint32_t head = block_x(), row = block_y(), t = thread_index(), dim = c->head_dim;
    uint32_t kv_head = head / (c->heads / c->heads_kv), padded = (dim + 15) / 16 * 16;
    uint32_t last = c->positions[row];
    uint32_t first = a.window && last >= a.window ? last - a.window + 1 : 0;
    const float *q = a.q + (uint64_t)row * a.q_stride + head * dim;
    float *out = a.out + (uint64_t)row * a.out_stride + head * dim;
    float *scores = a.scores + ((uint64_t)row * c->heads + head) * a.scores_stride;
    for (uint32_t d = t; d < dim; d += 128)
        query[d] = q[d];
    barrier();
    float most = score(&a, row, kv_head, first, last, scores);
    float sum = weigh(first, last, most, scores);
    for (uint32_t d = t; d < dim; d += 128) {
        float acc = 0.0f;
        uint32_t p = first;
        while (p <= last) { // a block of positions at a time
            uint32_t end = min_u32(last, p | 15);
            const uint8_t *v = block_at(c, row, p, kv_head) + c->k_bytes;
            for (; p <= end; p++)
                acc =
                    fma1(scores[p - first], kv_at(v, (uint64_t)(p % 16) * padded + d, c->f16), acc);
        }
        out[d] = acc / sum;
    }
}
