// The steps of a pass. Work is handed out in units by a counter a step, in any order to anybody.
#include <string.h>

#include "engine/arch/device.h"
#include "engine/arch/model_impl.h"

#include "base/banned.h"

// The next units [from, to) of `total`, `chunk` at a time; false when all are taken.
static bool take(struct member *me, size_t total, size_t chunk, size_t *ret_from, size_t *ret_to)
{
    atomic_size_t *next = &me->pass->counters[me->step].next;
    size_t from = atomic_fetch_add_explicit(next, chunk, memory_order_relaxed);
    if (from >= total)
        return false;
    *ret_from = from;
    *ret_to = min_size(from + chunk, total);
    return true;
}

static void step_end(struct member *me)
{
    me->step++;
    team_barrier(me->m->team);
}

// Panels a unit: each member's share in pieces that fill the widest register tiles (8 panels for
// one row, 12 divides by all the others).
static size_t panel_chunk(const struct member *me, size_t panels, size_t rows)
{
    size_t tile = rows == 1 ? 8 : 12;
    size_t share = (panels + me->size - 1) / me->size;
    if (me->size == 1 || share <= tile)
        return share;
    size_t pieces = min_size((share + tile - 1) / tile, 8);
    return (share / pieces + tile - 1) / tile * tile;
}

static struct matmul_in input(const struct member *me, const float *in, size_t stride)
{
    return (struct matmul_in){in, stride, me->pass->act, me->pass->act_stride};
}

static void rows_of(float *base, size_t stride, size_t n, float **ret)
{
    for (size_t r = 0; r < n; r++)
        ret[r] = base + r * stride;
}

static void embed_row(struct member *me, size_t row)
{
    struct model *m = me->m;
    struct pass *p = me->pass;
    const struct model_row *in = &p->rows[row];
    float *x = p->x + row * p->embd_stride, *other = p->h + row * p->embd_stride;
    enum err e = ERR_OK;
    if (m->embedding)
        e = tensor_row_f32(m->embedding, (uint64_t)in->token, x);
    else
        panels_row(&m->head.panels, (uint32_t)in->token, x);
    if (m->positions && e == ERR_OK) {
        e = tensor_row_f32(m->positions, in->position, other);
        m->kernel->add(x, other, m->hp->n_embd);
    }
    ASSERT(e == ERR_OK); // ranges were checked
    if (m->rope_frequencies) {
        size_t half = m->hp->rope_dims / 2;
        rope_angles(m->rope_frequencies, m->hp->rope_dims, m->rope_attention, in->position,
                    p->cosines + row * half, p->sines + row * half);
    }
}

void step_embed(struct member *me)
{
    for (size_t from, to; take(me, me->pass->n, 1, &from, &to);)
        embed_row(me, from);
    step_end(me);
}

static void norm_row(const struct model *m, const struct norm *norm, const float *x, float *out)
{
    if (norm->bias)
        m->kernel->layer_norm(x, norm->weight, norm->bias, m->hp->n_embd, m->hp->norm_eps, out);
    else
        m->kernel->rms_norm(x, norm->weight, m->hp->n_embd, m->hp->norm_eps, out);
}

void step_norm(struct member *me, const struct norm *norm, bool quantised)
{
    if (me->m->device) {
        device_norm(me, norm, quantised);
        return;
    }
    struct pass *p = me->pass;
    for (size_t row, to; take(me, p->n, 1, &row, &to);) {
        float *h = p->h + row * p->embd_stride;
        norm_row(me->m, norm, p->x + row * p->embd_stride, h);
        if (quantised)
            me->m->kernel->quantise(h, me->m->hp->n_embd, p->act + row * p->act_stride);
    }
    step_end(me);
}

void step_quantise(struct member *me, const float *in, size_t stride, size_t n)
{
    if (me->m->device) {
        device_quantise(me, in, stride, n);
        return;
    }
    enum { UNIT = 512 };
    struct pass *p = me->pass;
    size_t units = (n + UNIT - 1) / UNIT;
    for (size_t unit, to; take(me, p->n * units, 1, &unit, &to);) {
        size_t row = unit / units, at = unit % units * UNIT;
        me->m->kernel->quantise(in + row * stride + at, min_size(UNIT, n - at),
                                p->act + row * p->act_stride + at / ACT_BLOCK);
    }
    step_end(me);
}

// What follows a product on the columns [at, at + n) of a row.
static void finish(struct member *me, const struct product *of, size_t row, size_t at, size_t n,
                   enum after after)
{
    const struct kernel *k = me->m->kernel;
    struct pass *p = me->pass;
    float *out = of->out + row * of->stride + at;
    if (of->w->bias)
        k->add(out, of->w->bias + at, n);
    if (after == AFTER_GELU)
        k->gelu(out, n);
    else if (after == AFTER_ADD_TO_X)
        k->add(p->x + row * p->embd_stride + at, out, n);
}

static void product_panels(struct member *me, const struct product *of, size_t from, size_t to,
                           const struct matmul_in *in, enum after after)
{
    float *out[PASS_ROWS] = {NULL};
    const struct panels *w = &of->w->panels;
    size_t n = me->pass->n, at = from * LANES, end = min_size(to * LANES, w->rows);
    rows_of(of->out, of->stride, n, out);
    me->m->kernel->matmul(w, from, to, in, n, out);
    for (size_t row = 0; row < n; row++)
        finish(me, of, row, at, end - at, after);
}

void step_products(struct member *me, const struct product *list, size_t n, const float *in,
                   size_t in_stride, enum after after)
{
    if (me->m->device) {
        device_products(me, list, n, in, in_stride, after);
        return;
    }
    struct matmul_in left = input(me, in, in_stride);
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += list[i].w->panels.n_panels;
    size_t chunk = panel_chunk(me, total, me->pass->n);
    for (size_t from, to; take(me, total, chunk, &from, &to);) {
        size_t first = 0; // panels before product i
        for (size_t i = 0; i < n && first < to; first += list[i++].w->panels.n_panels) {
            size_t end = first + list[i].w->panels.n_panels;
            if (from < end)
                product_panels(me, &list[i], max_size(from, first) - first,
                               min_size(to, end) - first, &left, after);
        }
    }
    step_end(me);
}

void step_gated(struct member *me, const struct layer *l)
{
    if (me->m->device) {
        device_gated(me, l);
        return;
    }
    struct pass *p = me->pass;
    struct matmul_in left = input(me, p->h, p->embd_stride);
    struct product gate = {&l->gate, p->gate, p->ff_stride}, up = {&l->up, p->up, p->ff_stride};
    size_t total = l->gate.panels.n_panels, chunk = panel_chunk(me, total, p->n);
    for (size_t from, to; take(me, total, chunk, &from, &to);) {
        product_panels(me, &gate, from, to, &left, AFTER_NOTHING);
        product_panels(me, &up, from, to, &left, AFTER_NOTHING);
        size_t at = from * LANES, n = min_size(to * LANES, l->gate.panels.rows) - at;
        for (size_t row = 0; row < p->n; row++)
            me->m->kernel->silu_mul(p->gate + row * p->ff_stride + at,
                                    p->up + row * p->ff_stride + at, n);
    }
    step_end(me);
}

// Norm (where the model has it) and rotation of one head of q or k.
static void turn_head(struct member *me, const float *norm, bool turned, size_t row, float *head)
{
    const struct hparams *hp = me->m->hp;
    struct pass *p = me->pass;
    if (norm) {
        float out[KV_HEAD_MAX];
        me->m->kernel->rms_norm(head, norm, hp->head_dim, hp->norm_eps, out);
        memcpy(head, out, hp->head_dim * sizeof *out);
    }
    if (turned) {
        size_t at = row * (hp->rope_dims / 2);
        rope_turn(head, hp->rope_dims, hp->rope == ROPE_NORM ? ROPE_PAIRS_NEAR : ROPE_PAIRS_FAR,
                  p->cosines + at, p->sines + at);
    }
}

// Offset of a layer's and KV head's K inside a block; V follows it.
static size_t kv_offset(const struct model *m, size_t layer, size_t head)
{
    return (layer * m->hp->n_head_kv + head) * (m->kv_k_bytes + m->kv_v_bytes);
}

static void store_kv(struct member *me, const struct layer *l, size_t layer, size_t row,
                     size_t head)
{
    const struct model *m = me->m;
    const struct hparams *hp = m->hp;
    struct pass *p = me->pass;
    size_t group = hp->n_head / hp->n_head_kv, dim = hp->head_dim;
    float *qkv = p->qkv + row * p->qkv_stride;
    float *k = qkv + m->qkv.k + head * dim, *v = qkv + m->qkv.v + head * dim;
    for (size_t i = 0; i < group; i++)
        turn_head(me, l->q_norm, l->turned, row, qkv + m->qkv.q + (head * group + i) * dim);
    turn_head(me, l->k_norm, l->turned, row, k);
    uint32_t position = p->rows[row].position;
    uint8_t *block =
        p->pool + (size_t)p->rows[row].blocks[position / KV_POSITIONS] * model_kv_block_bytes(m) +
        kv_offset(m, layer, head);
    m->kernel->kv_store(block, block + m->kv_k_bytes, position % KV_POSITIONS, k, v, hp->head_dim,
                        m->kv_type);
}

void step_store_kv(struct member *me, const struct layer *l, size_t layer)
{
    if (me->m->device) {
        device_store_kv(me, l, layer);
        return;
    }
    size_t heads = me->m->hp->n_head_kv;
    for (size_t unit, to; take(me, me->pass->n * heads, 1, &unit, &to);)
        store_kv(me, l, layer, unit / heads, unit % heads);
    step_end(me);
}

// Queries of a group of rows, for `heads` query heads of one KV head from `first_head`.
static void attend(struct member *me, size_t layer, const struct row_group *g, size_t kv_head,
                   size_t first_head, size_t heads)
{
    const struct model *m = me->m;
    const struct hparams *hp = m->hp;
    struct pass *p = me->pass;
    struct attention a = {
        .pool = p->pool,
        .blocks = p->rows[g->row].blocks,
        .block_bytes = model_kv_block_bytes(m),
        .k_offset = kv_offset(m, layer, kv_head),
        .v_offset = kv_offset(m, layer, kv_head) + m->kv_k_bytes,
        .head_dim = hp->head_dim,
        .kv_type = m->kv_type,
        .scale = m->attention_scale,
        .n = (uint32_t)(g->n * heads),
    };
    for (size_t r = 0; r < g->n; r++)
        for (size_t h = 0; h < heads; h++) {
            size_t row = g->row + r, at = (first_head + h) * hp->head_dim, i = r * heads + h;
            uint32_t position = p->rows[row].position, window = m->layers[layer].window;
            a.q[i] = p->qkv + row * p->qkv_stride + m->qkv.q + at;
            a.out[i] = p->att + row * p->att_stride + at;
            a.last[i] = position;
            a.first[i] = window && position >= window ? position - window + 1 : 0;
        }
    m->kernel->attention(&a, p->scores + me->index * p->scores_stride);
}

void step_attention(struct member *me, size_t layer)
{
    if (me->m->device) {
        device_attention(me, layer);
        return;
    }
    const struct hparams *hp = me->m->hp;
    struct pass *p = me->pass;
    size_t group = hp->n_head / hp->n_head_kv, heads = min_size(group, ATTENTION_MAX);
    size_t parts = (group + heads - 1) / heads, units = hp->n_head_kv * parts;
    for (size_t unit, to; take(me, p->n_groups * units, 1, &unit, &to);) {
        size_t kv_head = unit % units / parts, first = unit % parts * heads;
        attend(me, layer, &p->groups[unit / units], kv_head, kv_head * group + first,
               min_size(heads, group - first));
    }
    step_end(me);
}

// Rows whose last state is wanted, those with logits first, packed together in h.
static void last_norms(struct member *me)
{
    struct pass *p = me->pass;
    const struct model *m = me->m;
    for (size_t i, to; take(me, p->n_out, 1, &i, &to);) {
        size_t row = p->out_rows[i];
        float *h = p->h + i * p->embd_stride, *hidden = p->rows[row].hidden;
        norm_row(m, &m->output_norm, p->x + row * p->embd_stride, h);
        if (matrix_quantised(&m->head))
            m->kernel->quantise(h, m->hp->n_embd, p->act + i * p->act_stride);
        if (!m->kernel->all_finite(h, m->hp->n_embd))
            atomic_store_explicit(&p->bad[row], true, memory_order_relaxed);
        if (hidden)
            memcpy(hidden, h, m->hp->n_embd * sizeof *h);
    }
    step_end(me);
}

void step_output(struct member *me)
{
    struct pass *p = me->pass;
    const struct panels *w = &me->m->head.panels;
    struct matmul_in left = input(me, p->h, p->embd_stride);
    last_norms(me);
    size_t chunk = panel_chunk(me, w->n_panels, p->n_logits);
    for (size_t from, to; p->n_logits && take(me, w->n_panels, chunk, &from, &to);) {
        size_t at = from * LANES, n = min_size(to * LANES, w->rows) - at;
        me->m->kernel->matmul(w, from, to, &left, p->n_logits, p->logits);
        for (size_t i = 0; i < p->n_logits; i++)
            if (!me->m->kernel->all_finite(p->logits[i] + at, n))
                atomic_store_explicit(&p->bad[p->out_rows[i]], true, memory_order_relaxed);
    }
    step_end(me);
}
