// The steps of a pass. Members that make a step together are handed units of it by a counter, in
// any order; who makes it alone takes them in turn.
#include <string.h>

#include "engine/arch/device.h"
#include "engine/arch/model_impl.h"

#include "base/banned.h"

// The next units [from, to) of `total`, `chunk` at a time; false when all are taken.
static bool take(struct member *me, size_t total, size_t chunk, size_t *ret_from, size_t *ret_to)
{
    size_t from = me->next;
    if (me->size > 1)
        from = atomic_fetch_add_explicit(&me->pass->counters[me->step].next, chunk,
                                         memory_order_relaxed);
    else
        me->next += chunk;
    if (from >= total)
        return false;
    *ret_from = from;
    *ret_to = min_size(from + chunk, total);
    return true;
}

static void step_end(struct member *me)
{
    me->next = 0;
    me->step++;
    if (me->size > 1)
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
    return (struct matmul_in){in, stride, me->slice->act, me->slice->act_stride};
}

static void rows_of(float *base, size_t stride, size_t n, float **ret)
{
    for (size_t r = 0; r < n; r++)
        ret[r] = base + r * stride;
}

static void embed_row(struct member *me, size_t row)
{
    struct model *m = me->m;
    struct slice *s = me->slice;
    const struct model_row *in = &s->rows[row];
    float *x = s->x + row * s->embd_stride, *other = s->h + row * s->embd_stride;
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
                    s->cosines + row * half, s->sines + row * half);
    }
}

void step_embed(struct member *me)
{
    for (size_t from, to; take(me, me->slice->n, 1, &from, &to);)
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
    struct slice *s = me->slice;
    for (size_t row, to; take(me, s->n, 1, &row, &to);) {
        float *h = s->h + row * s->embd_stride;
        norm_row(me->m, norm, s->x + row * s->embd_stride, h);
        if (quantised)
            me->m->kernel->quantise(h, me->m->hp->n_embd, s->act + row * s->act_stride);
    }
    step_end(me);
}

static void quantise_rows(struct member *me, const float *in, size_t stride, size_t n, size_t rows)
{
    enum { UNIT = 512 };
    struct slice *s = me->slice;
    size_t units = (n + UNIT - 1) / UNIT;
    for (size_t unit, to; take(me, rows * units, 1, &unit, &to);) {
        size_t row = unit / units, at = unit % units * UNIT;
        me->m->kernel->quantise(in + row * stride + at, min_size(UNIT, n - at),
                                s->act + row * s->act_stride + at / ACT_BLOCK);
    }
    step_end(me);
}

void step_quantise(struct member *me, const float *in, size_t stride, size_t n)
{
    if (me->m->device)
        device_quantise(me, in, stride, n);
    else
        quantise_rows(me, in, stride, n, me->slice->n);
}

// What follows a product on the columns [at, at + n) of a row.
static void finish(struct member *me, const struct product *of, size_t row, size_t at, size_t n,
                   enum after after)
{
    const struct kernel *k = me->m->kernel;
    struct slice *s = me->slice;
    float *out = of->out + row * of->stride + at;
    const float *bias = of->w->bias;
    if (bias && after == AFTER_ADD_TO_X) {
        k->add_sum(s->x + row * s->embd_stride + at, out, bias + at, n);
        return;
    }
    if (bias)
        k->add(out, bias + at, n);
    if (after == AFTER_GELU)
        k->gelu(out, n);
    else if (after == AFTER_ADD_TO_X)
        k->add(s->x + row * s->embd_stride + at, out, n);
}

static void product_panels(struct member *me, const struct product *of, size_t from, size_t to,
                           const struct matmul_in *in, enum after after)
{
    float *out[SLICE_ROOM] = {NULL};
    const struct panels *w = &of->w->panels;
    size_t n = me->slice->n, at = from * LANES, end = min_size(to * LANES, w->rows);
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
    size_t chunk = panel_chunk(me, total, me->slice->n);
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
    struct slice *s = me->slice;
    struct matmul_in left = input(me, s->h, s->embd_stride);
    struct product gate = {&l->gate, s->gate, s->ff_stride}, up = {&l->up, s->up, s->ff_stride};
    size_t total = l->gate.panels.n_panels, chunk = panel_chunk(me, total, s->n);
    for (size_t from, to; take(me, total, chunk, &from, &to);) {
        product_panels(me, &gate, from, to, &left, AFTER_NOTHING);
        product_panels(me, &up, from, to, &left, AFTER_NOTHING);
        size_t at = from * LANES, n = min_size(to * LANES, l->gate.panels.rows) - at;
        for (size_t row = 0; row < s->n; row++)
            me->m->kernel->silu_mul(s->gate + row * s->ff_stride + at,
                                    s->up + row * s->ff_stride + at, n);
    }
    step_end(me);
}

// Norm (where the model has it) and rotation of one head of q or k.
static void turn_head(struct member *me, const float *norm, bool turned, size_t row, float *head)
{
    const struct hparams *hp = me->m->hp;
    struct slice *s = me->slice;
    if (norm) {
        float out[KV_HEAD_MAX];
        me->m->kernel->rms_norm(head, norm, hp->head_dim, hp->norm_eps, out);
        memcpy(head, out, hp->head_dim * sizeof *out);
    }
    if (turned) {
        size_t at = row * (hp->rope_dims / 2);
        rope_turn(head, hp->rope_dims, hp->rope == ROPE_NORM ? ROPE_PAIRS_NEAR : ROPE_PAIRS_FAR,
                  s->cosines + at, s->sines + at);
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
    struct slice *s = me->slice;
    size_t group = hp->n_head / hp->n_head_kv, dim = hp->head_dim;
    float *qkv = s->qkv + row * s->qkv_stride;
    float *k = qkv + m->qkv.k + head * dim, *v = qkv + m->qkv.v + head * dim;
    for (size_t i = 0; i < group; i++)
        turn_head(me, l->q_norm, l->turned, row, qkv + m->qkv.q + (head * group + i) * dim);
    turn_head(me, l->k_norm, l->turned, row, k);
    uint32_t position = s->rows[row].position;
    uint8_t *block =
        me->pass->pool +
        (size_t)s->rows[row].blocks[position / KV_POSITIONS] * model_kv_block_bytes(m) +
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
    for (size_t unit, to; take(me, me->slice->n * heads, 1, &unit, &to);)
        store_kv(me, l, layer, unit / heads, unit % heads);
    step_end(me);
    if (!me->pass->together)
        progress_advance(&me->pass->stored[me->slice->index]);
}

// Queries of a group of rows, for `heads` query heads of one KV head from `first_head`.
static void attend(struct member *me, size_t layer, const struct row_group *g, size_t kv_head,
                   size_t first_head, size_t heads)
{
    const struct model *m = me->m;
    const struct hparams *hp = m->hp;
    struct slice *s = me->slice;
    struct attention a = {
        .pool = me->pass->pool,
        .blocks = s->rows[g->row].blocks,
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
            uint32_t position = s->rows[row].position, window = m->layers[layer].window;
            a.q[i] = s->qkv + row * s->qkv_stride + m->qkv.q + at;
            a.out[i] = s->att + row * s->att_stride + at;
            a.last[i] = position;
            a.first[i] = window && position >= window ? position - window + 1 : 0;
        }
    m->kernel->attention(&a, me->pass->scores + me->index * me->pass->scores_stride);
}

// K and V of earlier rows may be those of other members' slices.
static void await_earlier(struct member *me, size_t layer)
{
    for (size_t i = me->pass->together ? 0 : me->slice->index; i-- > 0;)
        progress_reach(&me->pass->stored[i], (unsigned)layer + 1);
}

void step_attention(struct member *me, size_t layer)
{
    if (me->m->device) {
        device_attention(me, layer);
        return;
    }
    const struct hparams *hp = me->m->hp;
    struct slice *s = me->slice;
    size_t group = hp->n_head / hp->n_head_kv, heads = min_size(group, ATTENTION_MAX);
    await_earlier(me, layer);
    size_t parts = (group + heads - 1) / heads, units = hp->n_head_kv * parts;
    for (size_t unit, to; take(me, s->n_groups * units, 1, &unit, &to);) {
        size_t kv_head = unit % units / parts, first = unit % parts * heads;
        attend(me, layer, &s->groups[unit / units], kv_head, kv_head * group + first,
               min_size(heads, group - first));
    }
    step_end(me);
}

void step_last_norm(struct member *me)
{
    struct slice *s = me->slice;
    struct pass *p = me->pass;
    const struct model *m = me->m;
    for (size_t row, to; take(me, s->n, 1, &row, &to);) {
        size_t at = s->first_row + row;
        float *h = s->h + row * s->embd_stride;
        if (!s->rows[row].logits && !s->rows[row].hidden)
            continue;
        if (s->rows[row].logits)
            h = p->last + p->logits_at[at] * s->embd_stride;
        norm_row(m, &m->output_norm, s->x + row * s->embd_stride, h);
        if (!m->kernel->all_finite(h, m->hp->n_embd))
            atomic_store_explicit(&p->bad[at], true, memory_order_relaxed);
        if (s->rows[row].hidden)
            memcpy(s->rows[row].hidden, h, m->hp->n_embd * sizeof *h);
    }
    step_end(me);
}

// Logits [at, at + n) of the pass.
static void logits_of(struct member *me, size_t at, size_t n)
{
    struct pass *p = me->pass;
    const struct panels *w = &me->m->head.panels;
    size_t stride = me->slice->embd_stride;
    struct matmul_in left = input(me, p->last + at * stride, stride);
    size_t chunk = panel_chunk(me, w->n_panels, n);
    if (matrix_quantised(&me->m->head))
        quantise_rows(me, p->last + at * stride, stride, me->m->hp->n_embd, n);
    for (size_t from, to; take(me, w->n_panels, chunk, &from, &to);) {
        size_t first = from * LANES, some = min_size(to * LANES, w->rows) - first;
        me->m->kernel->matmul(w, from, to, &left, n, p->logits + at);
        for (size_t i = at; i < at + n; i++)
            if (!me->m->kernel->all_finite(p->logits[i] + first, some))
                atomic_store_explicit(&p->bad[p->logits_row[i]], true, memory_order_relaxed);
    }
    step_end(me);
}

void step_logits(struct member *me)
{
    size_t n = me->pass->n_logits;
    for (size_t at = 0; at < n; at += SLICE_ROWS)
        logits_of(me, at, min_size(SLICE_ROWS, n - at));
}
