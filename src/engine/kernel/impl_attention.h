// Attention over paged K and V. Scores: lanes are the 16 positions of a block, each one ascending
// chain over the head's dimensions. Values: lanes are dimensions, each one ascending chain over
// positions. Queries that share K and V are worked on together; each has its own chains, so how
// they were grouped leaves no trace.
#pragma once

#include "engine/kernel/impl_math.h"
#include "engine/kernel/impl_matmul.h"

#define VALUE_GROUP 4 // vectors of head dimensions in flight

INLINE const uint8_t *block_at(const struct attention *a, size_t block)
{
    return a->pool + (size_t)a->blocks[block] * a->block_bytes;
}

// Values i .. i+15 of the type; in q8 times their scale or scales.
INLINE vf kv_load(const uint8_t *p, size_t i, enum kv_type type, vf scale)
{
    if (type == KV_F32)
        return vf_load((const float *)(const void *)p + i);
    if (type == KV_F16)
        return vf_load_f16((const uint16_t *)(const void *)p + i);
    return vf_mul(vf_load_i8((const int8_t *)(const void *)p + i), scale);
}

// The scales of the 16 positions for dimensions d ..
INLINE vf k_scales(const uint8_t *k, uint32_t head_dim, size_t d)
{
    const float *scales = (const float *)(const void *)(k + kv_k_scales_at(head_dim));
    return vf_load(scales + d / KV_SCALED * LANES);
}

// The scale of one position for dimensions d ..
INLINE vf v_scale(const uint8_t *v, uint32_t head_dim, size_t slot, size_t d)
{
    size_t at = round_up(head_dim, LANES) * KV_POSITIONS;
    const float *scales = (const float *)(const void *)(v + at);
    return vf_set1(scales[slot * kv_scales(head_dim) + d / KV_SCALED]);
}

// Scores of Q queries from q0 against T blocks from `block`, to scores[q][(block -
// first_block)*16]. The values of these blocks are fetched meanwhile: they are next, and lie
// elsewhere.
TILED void score_tile(const struct attention *a, enum kv_type type, size_t q0, size_t block,
                      float *const *scores, size_t first_block, int Q, int T)
{
    vf acc[8];
    vf d32[8]; // q8: the scales of 16 positions
    const uint8_t *k[8];
    size_t step = LANES * kv_value_bytes(type), to_values = a->v_offset - a->k_offset;
    UNROLL for (int i = 0; i < Q * T; i++) acc[i] = vf_set1(0.0f);
    UNROLL for (int t = 0; t < T; t++) d32[t] = vf_set1(0.0f);
    UNROLL for (int t = 0; t < T; t++) k[t] = block_at(a, block + (size_t)t) + a->k_offset;
    for (size_t d = 0; d < a->head_dim; d++) {
        vf v[8];
        if (type == KV_Q8 && d % KV_SCALED == 0)
            UNROLL for (int t = 0; t < T; t++) d32[t] = k_scales(k[t], a->head_dim, d);
        UNROLL for (int t = 0; t < T; t++)
        {
            __builtin_prefetch(k[t] + to_values + d * step, 0, 2);
            v[t] = kv_load(k[t], d * LANES, type, d32[t]);
        }
        UNROLL for (int q = 0; q < Q; q++)
        {
            vf b = vf_set1(a->q[q0 + (size_t)q][d]);
            UNROLL for (int t = 0; t < T; t++) acc[q * T + t] = vf_fma(v[t], b, acc[q * T + t]);
        }
    }
    vf scale = vf_set1(a->scale);
    UNROLL for (int q = 0; q < Q; q++) UNROLL for (int t = 0; t < T; t++)
        vf_store(scores[q0 + (size_t)q] + (block - first_block + (size_t)t) * LANES,
                 vf_mul(acc[q * T + t], scale));
}

// All blocks [from, to), T at a time. The last tile may do some blocks again: to the same result,
// and sooner than one by one.
TILED void score_blocks(const struct attention *a, enum kv_type type, size_t q0, size_t from,
                        size_t to, float *const *scores, int Q, int T)
{
    size_t block = from;
    if (to - from >= (size_t)T) {
        for (; block < to; block += (size_t)T)
            score_tile(a, type, q0, min_size(block, to - (size_t)T), scores, from, Q, T);
        return;
    }
    if (T > 4 && block + 4 <= to) {
        score_tile(a, type, q0, block, scores, from, Q, 4);
        block += 4;
    }
    if (T > 2 && block + 2 <= to) {
        score_tile(a, type, q0, block, scores, from, Q, 2);
        block += 2;
    }
    for (; block < to; block++)
        score_tile(a, type, q0, block, scores, from, Q, 1);
}

// acc[q][0..D) += p[q][pos] * V[pos], positions from..to inclusive; p is indexed from first_block.
TILED void value_range(const struct attention *a, enum kv_type type, size_t dim, size_t from,
                       size_t to, float *const *p, size_t first_block,
                       float acc_at[][VALUE_GROUP * LANES], int Q, int D)
{
    vf acc[4 * VALUE_GROUP];
    size_t padded = round_up(a->head_dim, LANES);
    UNROLL for (int q = 0; q < Q; q++) UNROLL for (int i = 0; i < D; i++) acc[q * D + i] =
        vf_load(acc_at[q] + i * LANES);
    for (size_t pos = from; pos <= to; pos++) {
        const uint8_t *v = block_at(a, pos / KV_POSITIONS) + a->v_offset;
        size_t slot = pos % KV_POSITIONS, at = slot * padded + dim;
        vf value[VALUE_GROUP], d32 = vf_set1(0.0f);
        UNROLL for (int i = 0; i < D; i++)
        {
            if (type == KV_Q8)
                d32 = v_scale(v, a->head_dim, slot, dim + (size_t)i * LANES);
            value[i] = kv_load(v, at + (size_t)i * LANES, type, d32);
        }
        UNROLL for (int q = 0; q < Q; q++)
        {
            vf b = vf_set1(p[q][pos - first_block * KV_POSITIONS]);
            UNROLL for (int i = 0; i < D; i++) acc[q * D + i] = vf_fma(b, value[i], acc[q * D + i]);
        }
    }
    UNROLL for (int q = 0; q < Q; q++) UNROLL for (int i = 0; i < D; i++)
        vf_store(acc_at[q] + i * LANES, acc[q * D + i]);
}

// D vectors of dimensions of Q queries: the positions that all see are shared, what one sees before
// and after them is its own.
TILED void value_group(const struct attention *a, enum kv_type type, size_t q0, size_t dim,
                       float *const *p, size_t first_block, const float *sums, int Q, int D)
{
    float acc[4][VALUE_GROUP * LANES] = {{0}};
    size_t from = 0, to = SIZE_MAX;
    for (int q = 0; q < Q; q++) {
        from = max_size(from, a->first[q0 + (size_t)q]);
        to = min_size(to, a->last[q0 + (size_t)q]);
    }
    for (int q = 0; q < Q; q++) { // without common positions all is done here
        size_t first = a->first[q0 + (size_t)q], last = a->last[q0 + (size_t)q];
        size_t end = from <= to ? from : last + 1;
        if (first < end)
            value_range(a, type, dim, first, end - 1, p + q0 + q, first_block, acc + q, 1, D);
    }
    if (from <= to)
        value_range(a, type, dim, from, to, p + q0, first_block, acc, Q, D);
    for (int q = 0; q < Q && from <= to; q++)
        if (to < a->last[q0 + (size_t)q])
            value_range(a, type, dim, to + 1, a->last[q0 + (size_t)q], p + q0 + q, first_block,
                        acc + q, 1, D);
    for (int q = 0; q < Q; q++) {
        for (int i = 0; i < D; i++)
            vf_store(acc[q] + i * LANES,
                     vf_div(vf_load(acc[q] + i * LANES), vf_set1(sums[q0 + (size_t)q])));
        memcpy(a->out[q0 + (size_t)q] + dim, acc[q],
               min_size((size_t)D * LANES, a->head_dim - dim) * sizeof(float));
    }
}

TILED void values(const struct attention *a, enum kv_type type, size_t q0, float *const *p,
                  size_t first_block, const float *sums, int Q)
{
    size_t dim = 0, step = (size_t)VALUE_GROUP * LANES;
    for (; dim + step <= round_up(a->head_dim, LANES); dim += step)
        value_group(a, type, q0, dim, p, first_block, sums, Q, VALUE_GROUP);
    for (; dim < a->head_dim; dim += LANES)
        value_group(a, type, q0, dim, p, first_block, sums, Q, 1);
}

// Scores to e^(score - max), zero outside [first, last]; returns their sum.
static float softmax(float *s, size_t first, size_t last)
{
    static const float LANE[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vf none = vf_set1(-__builtin_inff()), lane = vf_load(LANE), max = none, sum = vf_set1(0.0f);
    for (size_t b = first / LANES; b <= last / LANES; b++) {
        vf v = vf_load(s + b * LANES);
        if (b == first / LANES)
            v = vf_select_lt(lane, vf_set1((float)(first % LANES)), none, v);
        if (b == last / LANES)
            v = vf_select_lt(vf_set1((float)(last % LANES)), lane, none, v);
        vf_store(s + b * LANES, v);
        max = vf_max(max, v);
    }
    vf top = vf_set1(vf_hmax(max));
    for (size_t b = first / LANES; b <= last / LANES; b++) {
        vf e = vf_exp(vf_sub(vf_load(s + b * LANES), top));
        vf_store(s + b * LANES, e);
        sum = vf_add(sum, e);
    }
    return vf_sum(sum);
}

TILED void attention_typed(const struct attention *a, enum kv_type type, float *scores)
{
    size_t low = SIZE_MAX, high = 0;
    for (size_t q = 0; q < a->n; q++) {
        low = min_size(low, a->first[q] / KV_POSITIONS);
        high = max_size(high, a->last[q] / KV_POSITIONS + 1);
    }
    float *s[ATTENTION_MAX], sums[ATTENTION_MAX];
    for (size_t q = 0; q < a->n; q++)
        s[q] = scores + q * (high - low) * LANES;
    size_t q = 0;
    for (; q + 4 <= a->n; q += 4)
        score_blocks(a, type, q, low, high, s, 4, ACCUMULATORS >= 24 ? 2 : 1);
    for (; q < a->n; q++)
        score_blocks(a, type, q, low, high, s, 1, ACCUMULATORS >= 24 ? 8 : 4);
    for (q = 0; q < a->n; q++)
        sums[q] = softmax(s[q], a->first[q] - low * LANES, a->last[q] - low * LANES);
    for (q = 0; q + 4 <= a->n; q += 4)
        values(a, type, q, s, low, sums, 4);
    for (; q < a->n; q++)
        values(a, type, q, s, low, sums, 1);
}

static void attention(const struct attention *a, float *scores)
{
    switch (a->kv_type) {
    case KV_F32:
        attention_typed(a, KV_F32, scores);
        break;
    case KV_F16:
        attention_typed(a, KV_F16, scores);
        break;
    case KV_Q8:
        attention_typed(a, KV_Q8, scores);
        break;
    }
}

// Up to 32 values of a head to bytes; returns their scale.
static float kv_quantise(const float *x, size_t n, int8_t *ret_q)
{
    float most = 0.0f;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        float size = __builtin_fabsf(x[i]);
        finite = finite && size <= __FLT_MAX__;
        most = size > most ? size : most;
    }
    float d = most / 127.0f, inverse = 1.0f / d;
    if (!finite || !(inverse <= __FLT_MAX__)) { // not a number, or as good as nothing
        memset(ret_q, 0, n);
        return finite ? 0.0f : __builtin_nanf("");
    }
    for (size_t i = 0; i < n; i++) {
        float q = (x[i] * inverse + 12582912.0f) - 12582912.0f; // to the nearest, ties to even
        q = q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q;
        ret_q[i] = (int8_t)q;
    }
    return d;
}

static void kv_store_q8(uint8_t *k_block, uint8_t *v_block, uint32_t slot, const float *k,
                        const float *v, uint32_t head_dim)
{
    size_t padded = round_up(head_dim, LANES);
    float *k_scale = (float *)(void *)(k_block + kv_k_scales_at(head_dim));
    float *v_scale_at = (float *)(void *)(v_block + padded * KV_POSITIONS);
    for (size_t d = 0; d < head_dim; d += KV_SCALED) {
        size_t n = min_size(KV_SCALED, head_dim - d);
        int8_t q[KV_SCALED] = {0};
        k_scale[d / KV_SCALED * LANES + slot] = kv_quantise(k + d, n, q);
        for (size_t i = 0; i < n; i++)
            k_block[(d + i) * LANES + slot] = (uint8_t)q[i];
        memset(q, 0, sizeof q);
        v_scale_at[slot * kv_scales(head_dim) + d / KV_SCALED] = kv_quantise(v + d, n, q);
        memcpy(v_block + slot * padded + d, q, min_size(KV_SCALED, padded - d));
    }
}

// One vector of K into its slot, of V into its row. The lanes of K that there are: n.
INLINE void kv_store_lanes(uint8_t *k_block, uint8_t *v_block, size_t k_at, size_t v_at, vf k, vf v,
                           size_t n, bool kv_f16)
{
    if (kv_f16) {
        uint16_t half[LANES], *to = (uint16_t *)(void *)k_block + k_at;
        vf_store_f16(half, k);
        for (size_t i = 0; i < n; i++)
            to[i * LANES] = half[i];
        vf_store_f16((uint16_t *)(void *)v_block + v_at, v);
    } else {
        float part[LANES], *to = (float *)(void *)k_block + k_at;
        vf_store(part, k);
        for (size_t i = 0; i < n; i++)
            to[i * LANES] = part[i];
        vf_store((float *)(void *)v_block + v_at, v);
    }
}

static void kv_store_whole(uint8_t *k_block, uint8_t *v_block, uint32_t slot, const float *k,
                           const float *v, uint32_t head_dim, bool kv_f16)
{
    size_t padded = round_up(head_dim, LANES), d = 0;
    for (; d + LANES <= head_dim; d += LANES)
        kv_store_lanes(k_block, v_block, d * LANES + slot, slot * padded + d, vf_load(k + d),
                       vf_load(v + d), LANES, kv_f16);
    if (d < head_dim) {
        size_t n = head_dim - d;
        float k_last[LANES] = {0}, v_last[LANES] = {0};
        memcpy(k_last, k + d, n * sizeof *k_last);
        memcpy(v_last, v + d, n * sizeof *v_last);
        kv_store_lanes(k_block, v_block, d * LANES + slot, slot * padded + d, vf_load(k_last),
                       vf_load(v_last), n, kv_f16);
    }
}

static void kv_store(uint8_t *k_block, uint8_t *v_block, uint32_t slot, const float *k,
                     const float *v, uint32_t head_dim, enum kv_type type)
{
    if (type == KV_Q8)
        kv_store_q8(k_block, v_block, slot, k, v, head_dim);
    else
        kv_store_whole(k_block, v_block, slot, k, v, head_dim, type == KV_F16);
}
