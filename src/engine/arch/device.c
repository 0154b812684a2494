#include "engine/arch/device_impl.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "engine/cuda/check.h"

#include "base/banned.h"

enum { SCORES_BYTES = 64 << 20, CHUNK_BYTES = 16 << 20 };

static enum err alloc(struct device *dev, size_t bytes, void *ret, struct diag *d)
{
    return gpu_alloc(dev->gpu, bytes, ret, d);
}

// --- Weights

static enum err vector_there(struct device *dev, const float **p, size_t n, struct diag *d)
{
    void *there;
    if (!*p)
        return ERR_OK;
    ERR_TRY(gpu_copy_of(dev->gpu, *p, round_up(n, LANES) * sizeof **p, &there, d));
    *p = there;
    return ERR_OK;
}

static enum err norm_there(struct device *dev, struct norm *n, size_t width, struct diag *d)
{
    ERR_TRY(vector_there(dev, &n->weight, width, d));
    return vector_there(dev, &n->bias, width, d);
}

static enum err matrix_there(struct device *dev, struct matrix *w, uint8_t *region, struct diag *d)
{
    if (!w->panels.data)
        return ERR_OK; // this architecture has none here
    w->panels.data = region + (w->panels.data - dev->m->region);
    return vector_there(dev, &w->bias, w->panels.rows, d);
}

static enum err layer_there(struct device *dev, struct layer *l, uint8_t *region, struct diag *d)
{
    const struct hparams *hp = dev->m->hp;
    struct matrix *all[] = {&l->qkv[0], &l->qkv[1], &l->qkv[2], &l->attn_out,
                            &l->gate,   &l->up,     &l->down};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        ERR_TRY(matrix_there(dev, all[i], region, d));
    ERR_TRY(vector_there(dev, &l->q_norm, hp->head_dim, d));
    ERR_TRY(vector_there(dev, &l->k_norm, hp->head_dim, d));
    ERR_TRY(norm_there(dev, &l->attn_norm, hp->n_embd, d));
    return norm_there(dev, &l->ffn_norm, hp->n_embd, d);
}

// Learned positions become floats, row by row.
static enum err positions_there(struct device *dev, struct diag *d)
{
    const struct hparams *hp = dev->m->hp;
    size_t stride = round_up(hp->n_embd, LANES), bytes;
    if (!dev->m->positions)
        return ERR_OK;
    if (!mem_mul(hp->n_ctx, stride * sizeof(float), &bytes))
        return diag_set(d, ERR_LIMIT, "the table of positions is too large");
    float *rows = mem_array(hp->n_ctx, stride * sizeof *rows);
    enum err e = ERR_OK;
    for (uint32_t i = 0; i < hp->n_ctx && e == ERR_OK; i++)
        e = tensor_row_f32(dev->m->positions, i, rows + i * stride);
    if (e == ERR_OK)
        e = gpu_copy_of(dev->gpu, rows, bytes, &dev->learned, d);
    mem_free(rows);
    return e;
}

static enum err weights_there(struct device *dev, struct diag *d)
{
    struct model *m = dev->m;
    uint8_t *region;
    ERR_TRY(gpu_copy_of(dev->gpu, m->region, m->region_bytes, &region, d));
    dev->layers = mem_array(m->hp->n_layer, sizeof *dev->layers);
    memcpy(dev->layers, m->layers, m->hp->n_layer * sizeof *dev->layers);
    dev->output_norm = m->output_norm;
    dev->head = m->head;
    for (uint32_t i = 0; i < m->hp->n_layer; i++)
        ERR_TRY(layer_there(dev, &dev->layers[i], region, d));
    ERR_TRY(norm_there(dev, &dev->output_norm, m->hp->n_embd, d));
    ERR_TRY(matrix_there(dev, &dev->head, region, d));
    return positions_there(dev, d);
}

// --- Work space

static enum err rows_of_floats(struct device *dev, size_t stride, float **ret, struct diag *d)
{
    return alloc(dev, DEVICE_ROWS * stride * sizeof(float), ret, d);
}

static enum err alloc_slice(struct device *dev, struct diag *d)
{
    struct slice *s = &dev->slice;
    slice_strides(s, dev->m);
    ERR_TRY(rows_of_floats(dev, s->embd_stride, &s->x, d));
    ERR_TRY(rows_of_floats(dev, s->embd_stride, &s->h, d));
    ERR_TRY(rows_of_floats(dev, s->embd_stride, &s->y, d));
    ERR_TRY(rows_of_floats(dev, s->qkv_stride, &s->qkv, d));
    ERR_TRY(rows_of_floats(dev, s->att_stride, &s->att, d));
    ERR_TRY(rows_of_floats(dev, s->ff_stride, &s->up, d));
    ERR_TRY(rows_of_floats(dev, s->ff_stride, &s->gate, d));
    return alloc(dev, DEVICE_ROWS * s->act_stride * sizeof *s->act, &s->act, d);
}

static enum err alloc_rest(struct device *dev, struct diag *d)
{
    const struct hparams *hp = dev->m->hp;
    size_t angles = (size_t)hp->n_ctx * (hp->rope_dims / 2) * sizeof(float);
    dev->logits_stride = round_up(hp->n_vocab, LANES);
    dev->scores_floats = max_size((size_t)hp->n_head * hp->n_ctx, SCORES_BYTES / sizeof(float));
    ERR_TRY(alloc(dev, HEAD_ROWS * dev->logits_stride * sizeof(float), &dev->logits, d));
    ERR_TRY(alloc(dev, dev->scores_floats * sizeof(float), &dev->scores, d));
    if (dev->m->rope_frequencies) {
        ERR_TRY(alloc(dev, angles, &dev->cosines, d));
        ERR_TRY(alloc(dev, angles, &dev->sines, d));
    }
    dev->chunks = mem_array(CHUNKS_MAX, sizeof *dev->chunks);
    dev->blocks_a_chunk = max_size(CHUNK_BYTES / model_kv_block_bytes(dev->m), 1);
    ERR_TRY(alloc(dev, CHUNKS_MAX * sizeof *dev->chunks, &dev->chunks_there, d));
    return gpu_alloc_host(dev->gpu, HEAD_ROWS * device_row_floats(dev) * sizeof(float),
                          &dev->rows_here, d);
}

// --- Life

_Static_assert(GPU_COUNT_MAX <= 64, "a bit each");

// Once a process is enough for a device.
static enum err check_bits(struct device *dev, struct diag *d)
{
    static _Atomic uint64_t good; // by the device's index
    uint64_t bit = 1ull << (unsigned)gpu_info(dev->gpu)->index;
    struct gpu_check c;
    if (atomic_load(&good) & bit)
        return ERR_OK;
    ERR_TRY(gpu_check(dev->gpu, &c, d));
    if (c.different == 0) {
        atomic_fetch_or(&good, bit);
        return ERR_OK;
    }
    return diag_set(d, ERR_UNSUPPORTED,
                    "GPU %d (%s) computes other bits than this processor (first in: %s): weir gpu "
                    "says more",
                    gpu_info(dev->gpu)->index, gpu_info(dev->gpu)->name, c.first_different);
}

static enum err fill(struct device *dev, const char *name, bool check, struct diag *d)
{
    int index;
    ERR_TRY(gpu_parse_name(name, &index, d));
    ERR_TRY(gpu_open(index, &dev->gpu, d));
    if (check)
        ERR_TRY(check_bits(dev, d));
    ERR_TRY(weights_there(dev, d));
    ERR_TRY(alloc_slice(dev, d));
    return alloc_rest(dev, d);
}

enum err device_open(struct model *m, const char *name, bool check, struct diag *d)
{
    struct device *dev = mem_new(struct device);
    dev->m = m;
    enum err e = fill(dev, name, check, d);
    if (e != ERR_OK) {
        device_free(dev);
        return e;
    }
    model_forget_region(m);
    m->device = dev;
    return ERR_OK;
}

void device_free(struct device *dev)
{
    if (!dev)
        return;
    gpu_close(dev->gpu);
    mem_free(dev->layers);
    mem_free(dev->chunks);
    mem_free(dev->told);
    mem_free(dev);
}

// A tenth is left to the driver and to what else runs there.
uint64_t device_kv_room(const struct device *dev)
{
    return gpu_memory_free(dev->gpu) / 10 * 9;
}

// --- What a pass is told

static uint32_t *tell(struct device *dev, const uint32_t *words, size_t n)
{
    if (dev->n_told + n > dev->told_cap) {
        dev->told_cap = 2 * (dev->n_told + n);
        dev->told = mem_resize(dev->told, dev->told_cap, sizeof *dev->told);
    }
    if (words)
        memcpy(dev->told + dev->n_told, words, n * sizeof *words);
    dev->n_told += n;
    return dev->told + dev->n_told - n;
}

static bool is_wanted(const struct model_row *r)
{
    return r->logits || r->hidden;
}

// Rows of one sequence stand side by side and share a table: as long as its last row needs.
static void tell_tables(struct device *dev, const struct model_row *rows, size_t n, size_t at_word)
{
    size_t from = dev->n_told;
    for (size_t r = 0; r < n;) {
        size_t end = r;
        uint32_t most = 0;
        for (; end < n && rows[end].blocks == rows[r].blocks; end++)
            most = rows[end].position > most ? rows[end].position : most;
        uint32_t at = (uint32_t)(dev->n_told - from);
        tell(dev, rows[r].blocks, most / KV_POSITIONS + 1);
        for (; r < end; r++)
            dev->told[at_word + r] = at;
        dev->position_max = most > dev->position_max ? most : dev->position_max;
    }
}

// Words in order: tokens, positions, table_at, pick (rows wanted, those with logits first), tables.
static void tell_rows(struct device *dev, const struct model_row *rows, size_t n)
{
    dev->n_told = dev->n_out = dev->n_logits = 0;
    dev->position_max = 0;
    uint32_t *w = tell(dev, NULL, 4 * n);
    for (size_t r = 0; r < n; r++) {
        w[r] = (uint32_t)rows[r].token;
        w[n + r] = rows[r].position;
        w[3 * n + r] = 0;
    }
    for (size_t r = 0; r < n; r++)
        if (rows[r].logits)
            w[3 * n + dev->n_logits++] = (uint32_t)r;
    dev->n_out = dev->n_logits;
    for (size_t r = 0; r < n; r++)
        if (is_wanted(&rows[r]) && !rows[r].logits)
            w[3 * n + dev->n_out++] = (uint32_t)r;
    tell_tables(dev, rows, n, 2 * n);
}

static enum err send_told(struct device *dev, size_t n, struct diag *d)
{
    if (!dev->told_there || dev->n_told > dev->told_there_cap) {
        gpu_free(dev->gpu, dev->told_there);
        dev->told_there = NULL;
        ERR_TRY(alloc(dev, dev->told_cap * sizeof *dev->told, &dev->told_there, d));
        dev->told_there_cap = dev->told_cap;
    }
    dev->tokens = dev->told_there;
    dev->positions = dev->tokens + n;
    dev->table_at = dev->positions + n;
    dev->pick = dev->table_at + n;
    dev->tables = dev->pick + n;
    return gpu_write(dev->gpu, dev->told_there, dev->told, dev->n_told * sizeof *dev->told, d);
}

// --- K and V

static uint32_t last_block(const struct model_row *rows, size_t n)
{
    uint32_t most = 0;
    for (size_t r = 0; r < n; r++) {
        uint32_t block = rows[r].blocks[rows[r].position / KV_POSITIONS];
        most = block > most ? block : most;
    }
    return most;
}

static enum err grow_pool(struct device *dev, const struct model_row *rows, size_t n,
                          struct diag *d)
{
    size_t need = last_block(rows, n) / dev->blocks_a_chunk + 1, had = dev->n_chunks;
    size_t bytes = dev->blocks_a_chunk * model_kv_block_bytes(dev->m);
    if (need > CHUNKS_MAX)
        return diag_set(d, ERR_LIMIT, "more K and V than %d chunks hold", CHUNKS_MAX);
    for (; dev->n_chunks < need; dev->n_chunks++)
        ERR_TRY(alloc(dev, bytes, &dev->chunks[dev->n_chunks], d));
    if (need <= had)
        return ERR_OK;
    return gpu_write(dev->gpu, dev->chunks_there + had, dev->chunks + had,
                     (need - had) * sizeof *dev->chunks, d);
}

// --- A pass

static enum err turn_angles(struct device *dev, struct diag *d)
{
    enum { AHEAD = 256 };
    const struct hparams *hp = dev->m->hp;
    size_t half = hp->rope_dims / 2, from = dev->n_angles;
    if (!dev->m->rope_frequencies || dev->position_max < from)
        return ERR_OK;
    size_t to = min_size(round_up(dev->position_max + 1, AHEAD), hp->n_ctx), n = (to - from) * half;
    float *c = mem_array(2 * n, sizeof *c), *s = c + n;
    for (size_t i = from; i < to; i++)
        rope_angles(dev->m->rope_frequencies, hp->rope_dims, dev->m->rope_attention, (uint32_t)i,
                    c + (i - from) * half, s + (i - from) * half);
    enum err e = gpu_write(dev->gpu, dev->cosines + from * half, c, n * sizeof *c, d);
    if (e == ERR_OK)
        e = gpu_write(dev->gpu, dev->sines + from * half, s, n * sizeof *s, d);
    if (e == ERR_OK)
        e = gpu_wait(dev->gpu, d);
    mem_free(c);
    if (e == ERR_OK)
        dev->n_angles = (uint32_t)to;
    return e;
}

// Embeddings that lie in the file are made floats here.
static enum err embed_here(struct device *dev, const struct model_row *rows, size_t n,
                           struct diag *d)
{
    size_t stride = dev->slice.embd_stride;
    for (size_t at = 0; at < n; at += HEAD_ROWS) {
        size_t some = min_size(HEAD_ROWS, n - at);
        for (size_t r = 0; r < some; r++)
            ERR_TRY(tensor_row_f32(dev->m->embedding, (uint64_t)rows[at + r].token,
                                   dev->rows_here + r * stride));
        ERR_TRY(gpu_write(dev->gpu, dev->slice.x + at * stride, dev->rows_here,
                          some * stride * sizeof(float), d));
        ERR_TRY(gpu_wait(dev->gpu, d));
    }
    return ERR_OK;
}

static enum err begin(struct device *dev, const struct model_row *rows, size_t n, struct diag *d)
{
    struct gpu_embed_args a = {.out = dev->slice.x,
                               .learned = dev->learned,
                               .out_stride = (uint32_t)dev->slice.embd_stride};
    dev->slice.rows = rows;
    dev->slice.n = n;
    tell_rows(dev, rows, n);
    ERR_TRY(send_told(dev, n, d));
    ERR_TRY(grow_pool(dev, rows, n, d));
    ERR_TRY(turn_angles(dev, d));
    if (dev->m->embedding)
        return embed_here(dev, rows, n, d);
    a.tokens = dev->tokens;
    a.positions = dev->positions;
    return gpu_embed(dev->gpu, &dev->head.panels, &a, n, d);
}

// What has come back for the rows [at, at + n) of those that were picked.
static void hand_out(struct device *dev, const struct model_row *rows, size_t at, size_t n,
                     bool logits, size_t *bad)
{
    const struct model *m = dev->m;
    size_t stride = logits ? dev->logits_stride : dev->slice.embd_stride;
    size_t width = logits ? m->hp->n_vocab : m->hp->n_embd;
    const uint32_t *pick = dev->told + 3 * dev->slice.n;
    for (size_t i = 0; i < n; i++) {
        const float *from = dev->rows_here + i * stride;
        size_t row = pick[at + i];
        float *to = logits ? rows[row].logits : rows[row].hidden;
        if (!m->kernel->all_finite(from, width) && row < *bad)
            *bad = row;
        if (to)
            memcpy(to, from, width * sizeof *to);
    }
}

static enum err finish_some(struct device *dev, const struct model_row *rows, size_t at, size_t n,
                            size_t *bad, struct diag *d)
{
    struct slice *s = &dev->slice;
    bool hidden = false;
    for (size_t i = 0; i < n; i++)
        hidden = hidden || rows[dev->told[3 * s->n + at + i]].hidden;
    if (hidden) {
        ERR_TRY(gpu_read(dev->gpu, dev->rows_here, s->h, n * s->embd_stride * sizeof(float), d));
        hand_out(dev, rows, at, n, false, bad);
    }
    if (at >= dev->n_logits)
        return ERR_OK;
    n = min_size(n, dev->n_logits - at);
    struct gpu_product_args a = {.in = s->h,
                                 .act = (const struct gpu_act *)(const void *)s->act,
                                 .out = dev->logits,
                                 .rows = (uint32_t)n,
                                 .in_stride = (uint32_t)s->embd_stride,
                                 .act_stride = (uint32_t)s->act_stride,
                                 .out_stride = (uint32_t)dev->logits_stride};
    ERR_TRY(gpu_product(dev->gpu, &dev->head.panels, &a, d));
    ERR_TRY(
        gpu_read(dev->gpu, dev->rows_here, dev->logits, n * dev->logits_stride * sizeof(float), d));
    hand_out(dev, rows, at, n, true, bad);
    return ERR_OK;
}

// The last norm of the rows that are wanted, packed together, and their logits.
static enum err finish(struct device *dev, const struct model_row *rows, size_t *bad,
                       struct diag *d)
{
    struct slice *s = &dev->slice;
    for (size_t at = 0; at < dev->n_out; at += HEAD_ROWS) {
        size_t n = min_size(HEAD_ROWS, dev->n_out - at);
        struct gpu_norm_args norm = {.x = s->x,
                                     .weight = dev->output_norm.weight,
                                     .bias = dev->output_norm.bias,
                                     .out = s->h,
                                     .pick = dev->pick + at,
                                     .n = dev->m->hp->n_embd,
                                     .x_stride = (uint32_t)s->embd_stride,
                                     .out_stride = (uint32_t)s->embd_stride,
                                     .eps = dev->m->hp->norm_eps};
        struct gpu_quantise_args q = {.x = s->h,
                                      .out = (struct gpu_act *)(void *)s->act,
                                      .n = dev->m->hp->n_embd,
                                      .x_stride = (uint32_t)s->embd_stride,
                                      .out_stride = (uint32_t)s->act_stride};
        ERR_TRY(gpu_norm(dev->gpu, &norm, n, d));
        if (matrix_quantised(&dev->head))
            ERR_TRY(gpu_quantise(dev->gpu, &q, n, d));
        ERR_TRY(finish_some(dev, rows, at, n, bad, d));
    }
    return ERR_OK;
}

static enum err run_pass(struct device *dev, const struct model_row *rows, size_t n, size_t *bad)
{
    struct model *m = dev->m;
    struct member me = {.slice = &dev->slice, .m = m, .size = 1};
    dev->error = begin(dev, rows, n, &dev->diag);
    for (size_t i = 0; i < m->hp->n_layer && dev->error == ERR_OK; i++) {
        m->arch->attention(&me, &dev->layers[i], i);
        m->arch->feed_forward(&me, &dev->layers[i]);
    }
    DEVICE_DO(dev, finish(dev, rows, bad, &dev->diag));
    DEVICE_DO(dev, gpu_wait(dev->gpu, &dev->diag)); // `told` is written anew by the next pass
    return dev->error;
}

enum err device_forward(struct model *m, const struct model_row *rows, size_t n,
                        size_t *ret_bad_row, struct diag *d)
{
    for (size_t at = 0; at < n; at += DEVICE_ROWS) {
        size_t some = min_size(DEVICE_ROWS, n - at), bad = SIZE_MAX;
        enum err e = run_pass(m->device, rows + at, some, &bad);
        if (e != ERR_OK) {
            *d = m->device->diag;
            return e == ERR_INVALID ? ERR_IO : e; // which would be a row's fault
        }
        if (bad != SIZE_MAX && *ret_bad_row == SIZE_MAX)
            *ret_bad_row = at + bad;
    }
    return ERR_OK;
}
