// The llama family (llama, mistral, qwen2, qwen3, smollm): RMS norms, rotary positions, grouped
// queries, gated feed-forward with SiLU; biases and head norms where the file has them.
#include "engine/arch/model_impl.h"

#include "base/banned.h"

static enum err load_attention(struct loader *l, const struct hparams *hp, uint32_t i,
                               struct layer *layer)
{
    static const char *const WEIGHT[3] = {"attn_q.weight", "attn_k.weight", "attn_v.weight"};
    static const char *const BIAS[3] = {"attn_q.bias", "attn_k.bias", "attn_v.bias"};
    uint32_t q = hp->n_head * hp->head_dim, kv = hp->n_head_kv * hp->head_dim;
    for (int j = 0; j < 3; j++) {
        uint32_t rows = j == 0 ? q : kv;
        ERR_TRY(loader_matrix(l, loader_name(l, i, WEIGHT[j]), rows, hp->n_embd, &layer->qkv[j]));
        ERR_TRY(loader_vector(l, loader_name(l, i, BIAS[j]), rows, false, &layer->qkv[j].bias));
    }
    if (hp->qk_norm) {
        ERR_TRY(loader_vector(l, loader_name(l, i, "attn_q_norm.weight"), hp->head_dim, true,
                              &layer->q_norm));
        ERR_TRY(loader_vector(l, loader_name(l, i, "attn_k_norm.weight"), hp->head_dim, true,
                              &layer->k_norm));
    }
    ERR_TRY(
        loader_matrix(l, loader_name(l, i, "attn_output.weight"), hp->n_embd, q, &layer->attn_out));
    return loader_vector(l, loader_name(l, i, "attn_output.bias"), hp->n_embd, false,
                         &layer->attn_out.bias);
}

static enum err load_layer(struct loader *l, const struct hparams *hp, uint32_t i,
                           struct layer *layer)
{
    uint32_t n = hp->n_embd, ff = hp->n_ff;
    ERR_TRY(
        loader_vector(l, loader_name(l, i, "attn_norm.weight"), n, true, &layer->attn_norm.weight));
    ERR_TRY(load_attention(l, hp, i, layer));
    ERR_TRY(
        loader_vector(l, loader_name(l, i, "ffn_norm.weight"), n, true, &layer->ffn_norm.weight));
    ERR_TRY(loader_matrix(l, loader_name(l, i, "ffn_gate.weight"), ff, n, &layer->gate));
    ERR_TRY(loader_matrix(l, loader_name(l, i, "ffn_up.weight"), ff, n, &layer->up));
    ERR_TRY(loader_matrix(l, loader_name(l, i, "ffn_down.weight"), n, ff, &layer->down));
    ERR_TRY(loader_vector(l, loader_name(l, i, "ffn_gate.bias"), ff, false, &layer->gate.bias));
    ERR_TRY(loader_vector(l, loader_name(l, i, "ffn_up.bias"), ff, false, &layer->up.bias));
    return loader_vector(l, loader_name(l, i, "ffn_down.bias"), n, false, &layer->down.bias);
}

static void scale_yarn(double *f, const struct hparams *hp, double *ret_attention)
{
    const struct rope_yarn y = {.base = (double)hp->rope_base,
                                .factor = (double)hp->rope_factor,
                                .fast = (double)hp->yarn.beta_fast,
                                .slow = (double)hp->yarn.beta_slow,
                                .original_context = (double)hp->rope_original_ctx,
                                .whole = hp->yarn.whole_dims};
    double mscale = (double)hp->yarn.mscale, all = (double)hp->yarn.mscale_all_dim;
    double attention = (double)hp->yarn.attention_factor;
    if (attention == 0.0 && mscale != 0.0 && all != 0.0)
        attention = rope_yarn_attention(y.factor, mscale) / rope_yarn_attention(y.factor, all);
    else if (attention == 0.0)
        attention = rope_yarn_attention(y.factor, 1.0);
    rope_scale_yarn(f, hp->rope_dims, &y);
    *ret_attention = attention * (double)hp->yarn.attention_times;
}

static void scale_frequencies(double *f, const struct hparams *hp, const float *divisors,
                              double *ret_attention)
{
    for (uint32_t i = 0; divisors && i < hp->rope_dims / 2; i++)
        f[i] /= (double)divisors[i];
    if (hp->rope_scaling == ROPE_SCALING_YARN)
        scale_yarn(f, hp, ret_attention);
    if (hp->rope_scaling == ROPE_SCALING_LLAMA3 && !divisors)
        rope_scale_llama3(f, hp->rope_dims, (double)hp->rope_factor,
                          (double)hp->rope_low_freq_factor, (double)hp->rope_high_freq_factor,
                          (double)hp->rope_original_ctx);
    for (uint32_t i = 0; hp->rope_scaling == ROPE_SCALING_LINEAR && i < hp->rope_dims / 2; i++)
        f[i] /= (double)hp->rope_factor;
}

// Frequencies by the hyper-parameters, and by the divisors that a GGUF file may carry.
static enum err load_rope(struct loader *l, struct model *m)
{
    const struct hparams *hp = m->hp;
    const float *divisors;
    if (hp->rope == ROPE_NONE)
        return ERR_OK;
    ERR_TRY(loader_vector(l, "rope_freqs.weight", hp->rope_dims / 2, false, &divisors));
    double *f = loader_doubles(l, hp->rope_dims / 2);
    rope_frequencies((double)hp->rope_base, hp->rope_dims, f);
    m->rope_attention = 1.0;
    scale_frequencies(f, hp, divisors, &m->rope_attention);
    for (uint32_t i = 0; i < hp->rope_dims / 2; i++)
        if (!(f[i] >= 0.0 && f[i] * (double)hp->n_ctx < ROPE_ANGLE_MAX))
            return loader_refuse(l, "the rotary frequencies (base, scaling or rope_freqs.weight) "
                                    "are not finite or too large");
    m->rope_frequencies = f;
    return ERR_OK;
}

static enum err load(struct loader *l, struct model *m)
{
    const struct hparams *hp = m->hp;
    size_t q = round_up((size_t)hp->n_head * hp->head_dim, LANES);
    size_t kv = round_up((size_t)hp->n_head_kv * hp->head_dim, LANES);
    m->n_qkv = 3;
    m->qkv = (struct qkv_layout){0, q, q + kv, q + 2 * kv};
    ERR_TRY(load_rope(l, m));
    ERR_TRY(loader_vector(l, "output_norm.weight", hp->n_embd, true, &m->output_norm.weight));
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        enum layer_kind kind = hp->layer_kinds ? hp->layer_kinds[i] : LAYER_WINDOWED;
        m->layers[i].turned = m->rope_frequencies && !(kind & LAYER_UNTURNED);
        m->layers[i].window = kind & LAYER_WINDOWED ? hp->sliding_window : 0;
        ERR_TRY(load_layer(l, hp, i, &m->layers[i]));
    }
    return ERR_OK;
}

static bool quantised_qkv(const struct layer *l)
{
    return matrix_quantised(&l->qkv[0]) || matrix_quantised(&l->qkv[1]) ||
           matrix_quantised(&l->qkv[2]);
}

static void attention(struct member *me, const struct layer *l, size_t index)
{
    struct slice *s = me->slice;
    const struct hparams *hp = me->m->hp;
    const struct product qkv[3] = {
        {&l->qkv[0], s->qkv + me->m->qkv.q, s->qkv_stride},
        {&l->qkv[1], s->qkv + me->m->qkv.k, s->qkv_stride},
        {&l->qkv[2], s->qkv + me->m->qkv.v, s->qkv_stride},
    };
    step_norm(me, &l->attn_norm, quantised_qkv(l));
    step_products(me, qkv, 3, s->h, s->embd_stride, AFTER_NOTHING);
    step_store_kv(me, l, index);
    step_attention(me, index);
    if (matrix_quantised(&l->attn_out))
        step_quantise(me, s->att, s->att_stride, (size_t)hp->n_head * hp->head_dim);
    step_products(me, &(struct product){&l->attn_out, s->y, s->embd_stride}, 1, s->att,
                  s->att_stride, AFTER_ADD_TO_X);
}

static void feed_forward(struct member *me, const struct layer *l)
{
    struct slice *s = me->slice;
    step_norm(me, &l->ffn_norm, matrix_quantised(&l->gate) || matrix_quantised(&l->up));
    step_gated(me, l);
    if (matrix_quantised(&l->down))
        step_quantise(me, s->gate, s->ff_stride, me->m->hp->n_ff);
    step_products(me, &(struct product){&l->down, s->y, s->embd_stride}, 1, s->gate, s->ff_stride,
                  AFTER_ADD_TO_X);
}

const struct arch arch_llama = {load, attention, feed_forward};
