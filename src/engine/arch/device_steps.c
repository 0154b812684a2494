// The steps of a pass as kernels on the device.
#include "engine/arch/device_impl.h"

#include "base/banned.h"

static struct device *device_of(const struct member *me)
{
    return me->m->device;
}

static struct gpu_act *acts_of(const struct slice *s)
{
    return (struct gpu_act *)(void *)s->act;
}

void device_quantise(struct member *me, const float *in, size_t stride, size_t n)
{
    struct device *dev = device_of(me);
    struct slice *s = me->slice;
    struct gpu_quantise_args a = {.x = in,
                                  .out = acts_of(s),
                                  .n = (uint32_t)n,
                                  .x_stride = (uint32_t)stride,
                                  .out_stride = (uint32_t)s->act_stride};
    DEVICE_DO(dev, gpu_quantise(dev->gpu, &a, s->n, &dev->diag));
}

void device_norm(struct member *me, const struct norm *norm, bool quantised)
{
    struct device *dev = device_of(me);
    struct slice *s = me->slice;
    struct gpu_norm_args a = {.x = s->x,
                              .weight = norm->weight,
                              .bias = norm->bias,
                              .out = s->h,
                              .n = me->m->hp->n_embd,
                              .x_stride = (uint32_t)s->embd_stride,
                              .out_stride = (uint32_t)s->embd_stride,
                              .eps = me->m->hp->norm_eps};
    DEVICE_DO(dev, gpu_norm(dev->gpu, &a, s->n, &dev->diag));
    if (quantised)
        device_quantise(me, s->h, s->embd_stride, me->m->hp->n_embd);
}

void device_products(struct member *me, const struct product *list, size_t n, const float *in,
                     size_t in_stride, enum after after)
{
    struct device *dev = device_of(me);
    struct slice *s = me->slice;
    for (size_t i = 0; i < n; i++) {
        struct gpu_product_args a = {.in = in,
                                     .act = acts_of(s),
                                     .out = list[i].out,
                                     .bias = list[i].w->bias,
                                     .add = s->x,
                                     .rows = (uint32_t)s->n,
                                     .in_stride = (uint32_t)in_stride,
                                     .act_stride = (uint32_t)s->act_stride,
                                     .out_stride = (uint32_t)list[i].stride,
                                     .add_stride = (uint32_t)s->embd_stride,
                                     .after = after == AFTER_GELU       ? GPU_AFTER_GELU
                                              : after == AFTER_ADD_TO_X ? GPU_AFTER_ADD
                                                                        : GPU_AFTER_NOTHING};
        DEVICE_DO(dev, gpu_product(dev->gpu, &list[i].w->panels, &a, &dev->diag));
    }
}

void device_gated(struct member *me, const struct layer *l)
{
    struct device *dev = device_of(me);
    struct slice *s = me->slice;
    const struct product both[2] = {{&l->gate, s->gate, s->ff_stride},
                                    {&l->up, s->up, s->ff_stride}};
    struct gpu_gate_args a = {
        .gate = s->gate, .up = s->up, .n = me->m->hp->n_ff, .stride = (uint32_t)s->ff_stride};
    device_products(me, both, 2, s->h, s->embd_stride, AFTER_NOTHING);
    DEVICE_DO(dev, gpu_gate(dev->gpu, &a, s->n, &dev->diag));
}

static struct gpu_cache cache_of(const struct device *dev, size_t layer)
{
    const struct model *m = dev->m;
    return (struct gpu_cache){
        .chunks = dev->chunks_there,
        .blocks_a_chunk = (uint32_t)dev->blocks_a_chunk,
        .tables = dev->tables,
        .table_at = dev->table_at,
        .positions = dev->positions,
        .block_bytes = model_kv_block_bytes(m),
        .layer_at = layer * m->hp->n_head_kv * (m->kv_k_bytes + m->kv_v_bytes),
        .k_bytes = m->kv_k_bytes,
        .v_bytes = m->kv_v_bytes,
        .head_dim = m->hp->head_dim,
        .heads = m->hp->n_head,
        .heads_kv = m->hp->n_head_kv,
        .f16 = m->kv_type == KV_F16,
    };
}

void device_store_kv(struct member *me, const struct layer *l, size_t layer)
{
    struct device *dev = device_of(me);
    const struct model *m = me->m;
    struct slice *s = me->slice;
    struct gpu_store_args a = {.cache = cache_of(dev, layer),
                               .qkv = s->qkv,
                               .q_norm = l->q_norm,
                               .k_norm = l->k_norm,
                               .cosines = dev->cosines,
                               .sines = dev->sines,
                               .q = m->qkv.q,
                               .k = m->qkv.k,
                               .v = m->qkv.v,
                               .qkv_stride = (uint32_t)s->qkv_stride,
                               .rope_dims = l->turned ? m->hp->rope_dims : 0,
                               .pairs_near = m->hp->rope == ROPE_NORM,
                               .eps = m->hp->norm_eps};
    DEVICE_DO(dev, gpu_store_kv(dev->gpu, &a, s->n, &dev->diag));
}

// As many rows at once as the room for scores allows.
void device_attention(struct member *me, size_t layer)
{
    struct device *dev = device_of(me);
    const struct model *m = me->m;
    struct slice *s = me->slice;
    uint32_t window = m->layers[layer].window, seen = dev->position_max + 1;
    size_t stride = window && window < seen ? window : seen;
    size_t most = max_size(dev->scores_floats / (m->hp->n_head * stride), 1);
    for (size_t at = 0; at < s->n; at += most) {
        size_t n = min_size(most, s->n - at);
        struct gpu_attention_args a = {.cache = cache_of(dev, layer),
                                       .q = s->qkv + at * s->qkv_stride + m->qkv.q,
                                       .out = s->att + at * s->att_stride,
                                       .scores = dev->scores,
                                       .scores_stride = stride,
                                       .q_stride = (uint32_t)s->qkv_stride,
                                       .out_stride = (uint32_t)s->att_stride,
                                       .window = window,
                                       .scale = m->attention_scale};
        a.cache.table_at += at;
        a.cache.positions += at;
        DEVICE_DO(dev, gpu_attention(dev->gpu, &a, n, &dev->diag));
    }
}
