#include "engine/cuda/ops.h"

#include <string.h>

#include "base/banned.h"

_Static_assert((int)GPU_KERNEL_thin_q6_k - (int)GPU_KERNEL_thin_f32 == (int)PANEL_Q6_K, "in order");
_Static_assert((int)GPU_KERNEL_wide_q6_k - (int)GPU_KERNEL_wide_f32 == (int)PANEL_Q6_K, "in order");
_Static_assert((int)GPU_KIND_Q6_K == (int)PANEL_Q6_K, "one numbering");
_Static_assert(GPU_SUPER == PANEL_SUPER && GPU_SUPER_HEAD == PANEL_SUPER_HEAD &&
                   GPU_SUPER_BYTES == PANEL_SUPER_BYTES,
               "one layout");
_Static_assert(sizeof(struct gpu_act) == sizeof(struct act_block), "one layout");
_Static_assert(offsetof(struct gpu_act, minus32_of16) == offsetof(struct act_block, minus32_of16),
               "one layout");

static unsigned parts(size_t n, size_t of)
{
    return (unsigned)((n + of - 1) / of);
}

enum err gpu_product(struct gpu *g, const struct panels *w, struct gpu_product_args *a,
                     struct diag *d)
{
    a->panels = w->data;
    a->panel_bytes = w->panel_bytes;
    a->outputs = w->rows;
    a->cols = w->cols;
    if (a->rows <= GPU_THIN_ROWS)
        return gpu_launch(g, GPU_KERNEL_thin_f32 + (unsigned)w->kind, (unsigned)w->n_panels, 1, a,
                          d);
    unsigned tile = panel_kind_quantised(w->kind) ? GPU_WIDE_OUTPUTS_Q : GPU_WIDE_OUTPUTS;
    return gpu_launch(g, GPU_KERNEL_wide_f32 + (unsigned)w->kind, parts(w->rows, tile),
                      parts(a->rows, GPU_WIDE_ROWS), a, d);
}

enum err gpu_embed(struct gpu *g, const struct panels *w, struct gpu_embed_args *a, size_t rows,
                   struct diag *d)
{
    a->panels = w->data;
    a->panel_bytes = w->panel_bytes;
    a->kind = w->kind;
    a->cols = w->cols;
    return gpu_launch(g, GPU_KERNEL_embed, (unsigned)rows, 1, a, d);
}

enum err gpu_norm(struct gpu *g, struct gpu_norm_args *a, size_t rows, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_norm, (unsigned)rows, 1, a, d);
}

enum err gpu_quantise(struct gpu *g, struct gpu_quantise_args *a, size_t rows, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_quantise, parts(a->n, 4 * ACT_BLOCK), (unsigned)rows, a, d);
}

enum err gpu_gate(struct gpu *g, struct gpu_gate_args *a, size_t rows, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_gate, parts(a->n, 256), (unsigned)rows, a, d);
}

enum err gpu_store_kv(struct gpu *g, struct gpu_store_args *a, size_t rows, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_store_kv, a->cache.heads_kv, (unsigned)rows, a, d);
}

enum err gpu_attention(struct gpu *g, struct gpu_attention_args *a, size_t rows, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_attention, a->cache.heads, (unsigned)rows, a, d);
}

enum err gpu_map(struct gpu *g, struct gpu_map_args *a, struct diag *d)
{
    return gpu_launch(g, GPU_KERNEL_map, parts(a->n, 256), 1, a, d);
}

enum err gpu_copy_of(struct gpu *g, const void *from, size_t bytes, void *ret_pointer,
                     struct diag *d)
{
    void *p;
    ERR_TRY(gpu_alloc(g, bytes, &p, d));
    ERR_TRY(gpu_write(g, p, from, bytes, d));
    ERR_TRY(gpu_wait(g, d));
    memcpy(ret_pointer, &p, sizeof p);
    return ERR_OK;
}
