// GPT-2: learned positions, layer norms with biases, fused q, k, v, GELU (tanh form).
#include "engine/arch/model_impl.h"

#include "base/banned.h"

static enum err load_norm(struct loader *l, const char *weight, const char *bias, uint32_t layer,
                          uint32_t n, struct norm *ret)
{
    ERR_TRY(loader_vector(l, loader_name(l, layer, weight), n, true, &ret->weight));
    return loader_vector(l, loader_name(l, layer, bias), n, true, &ret->bias);
}

static enum err load_linear(struct loader *l, const char *weight, const char *bias, uint32_t layer,
                            uint32_t rows, uint32_t cols, struct matrix *ret)
{
    ERR_TRY(loader_matrix(l, loader_name(l, layer, weight), rows, cols, ret));
    return loader_vector(l, loader_name(l, layer, bias), rows, true, &ret->bias);
}

static enum err load_layer(struct loader *l, const struct hparams *hp, uint32_t i,
                           struct layer *layer)
{
    uint32_t n = hp->n_embd;
    ERR_TRY(load_norm(l, "attn_norm.weight", "attn_norm.bias", i, n, &layer->attn_norm));
    ERR_TRY(load_linear(l, "attn_qkv.weight", "attn_qkv.bias", i, 3 * n, n, &layer->qkv[0]));
    ERR_TRY(load_linear(l, "attn_output.weight", "attn_output.bias", i, n, n, &layer->attn_out));
    ERR_TRY(load_norm(l, "ffn_norm.weight", "ffn_norm.bias", i, n, &layer->ffn_norm));
    ERR_TRY(load_linear(l, "ffn_up.weight", "ffn_up.bias", i, hp->n_ff, n, &layer->up));
    return load_linear(l, "ffn_down.weight", "ffn_down.bias", i, n, hp->n_ff, &layer->down);
}

static enum err load(struct loader *l, struct model *m)
{
    const struct hparams *hp = m->hp;
    uint32_t n = hp->n_embd;
    m->n_qkv = 1;
    m->qkv = (struct qkv_layout){0, n, 2 * (size_t)n, 3 * (size_t)n};
    ERR_TRY(loader_rows(l, "position_embd.weight", hp->n_ctx, n, &m->positions));
    ERR_TRY(loader_vector(l, "output_norm.weight", n, true, &m->output_norm.weight));
    ERR_TRY(loader_vector(l, "output_norm.bias", n, true, &m->output_norm.bias));
    for (uint32_t i = 0; i < hp->n_layer; i++)
        ERR_TRY(load_layer(l, hp, i, &m->layers[i]));
    return ERR_OK;
}

static void attention(struct member *me, const struct layer *l, size_t index)
{
    struct slice *s = me->slice;
    const struct hparams *hp = me->m->hp;
    step_norm(me, &l->attn_norm, matrix_quantised(&l->qkv[0]));
    step_products(me, &(struct product){&l->qkv[0], s->qkv, s->qkv_stride}, 1, s->h, s->embd_stride,
                  AFTER_NOTHING);
    step_store_kv(me, l, index);
    step_attention(me, index);
    if (matrix_quantised(&l->attn_out))
        step_quantise(me, s->att, s->att_stride, hp->n_embd);
    step_products(me, &(struct product){&l->attn_out, s->y, s->embd_stride}, 1, s->att,
                  s->att_stride, AFTER_ADD_TO_X);
}

static void feed_forward(struct member *me, const struct layer *l)
{
    struct slice *s = me->slice;
    step_norm(me, &l->ffn_norm, matrix_quantised(&l->up));
    step_products(me, &(struct product){&l->up, s->up, s->ff_stride}, 1, s->h, s->embd_stride,
                  AFTER_GELU);
    if (matrix_quantised(&l->down))
        step_quantise(me, s->up, s->ff_stride, me->m->hp->n_ff);
    step_products(me, &(struct product){&l->down, s->y, s->embd_stride}, 1, s->up, s->ff_stride,
                  AFTER_ADD_TO_X);
}

const struct arch arch_gpt2 = {load, attention, feed_forward};
