#include "engine/format/model_save.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/new_file.h"
#include "base/thread.h"
#include "engine/format/half.h"
#include "engine/format/model_plan.h"
#include "engine/format/parts.h"
#include "engine/format/quantise.h"

#include "base/banned.h"

enum { SLAB_VALUES = 1 << 22, PIECE_VALUES = 1 << 15, COPY_BYTES = 8 << 20 };

struct save {
    const struct model_save_options *o;
    struct new_file file;
    struct gguf_writer writer;
    uint64_t done, total;
    size_t threads;
};

// Rows [first, first + n) of one tensor on their way: threads take pieces of them.
struct slab {
    const struct plan_tensor *t;
    uint64_t first, n, piece, row_bytes;
    uint8_t *out;
    _Atomic uint64_t next;
    pthread_mutex_t lock; // of what follows: the first row that cannot be
    uint64_t bad_row, bad_column;
    enum err bad;
};

static float element(const struct tensor *t, uint64_t i)
{
    const uint8_t *p = t->data + i * tensor_type_block_bytes(t->type);
    if (t->type == TENSOR_F32)
        return half_bits_f32(half_load_u32(p));
    return t->type == TENSOR_F16 ? half_load_f16(p) : half_from_bf16(half_load_u16(p));
}

// n rows of `columns` values. A transposed source lies by columns: it is walked as it lies.
static void read_rows(const struct plan_tensor *p, uint64_t first, uint64_t n, float *out)
{
    const struct tensor *t = p->from;
    uint64_t columns = p->dims[0];
    for (uint64_t c = 0; t->transposed && c < columns; c++)
        for (uint64_t r = 0; r < n; r++)
            out[r * columns + c] = element(t, c * t->dims[0] + first + r);
    for (uint64_t r = 0; !t->transposed && r < n; r++) {
        enum err e = tensor_row_f32(t, first + r, out + r * columns);
        ASSERT(e == ERR_OK);
    }
}

static void note_bad(struct slab *s, enum err e, uint64_t row, uint64_t column)
{
    pthread_mutex_lock(&s->lock);
    if (s->bad == ERR_OK || row < s->bad_row) {
        s->bad = e;
        s->bad_row = row;
        s->bad_column = column;
    }
    pthread_mutex_unlock(&s->lock);
}

static void work(void *arg)
{
    struct slab *s = arg;
    uint64_t columns = s->t->dims[0], at;
    float *values = mem_array((size_t)(s->piece * columns), sizeof *values);
    for (uint64_t from; (from = atomic_fetch_add(&s->next, s->piece)) < s->n;) {
        uint64_t n = s->n - from < s->piece ? s->n - from : s->piece;
        read_rows(s->t, s->first + from, n, values);
        for (uint64_t r = 0; r < n; r++) {
            enum err e = quantise_row(s->t->type, values + r * columns, columns,
                                      s->out + (from + r) * s->row_bytes, &at);
            if (e != ERR_OK)
                note_bad(s, e, s->first + from + r, at);
        }
    }
    mem_free(values);
}

static enum err refuse(const struct slab *s, struct diag *d)
{
    const char *why =
        s->bad == ERR_INVALID ? "is not a finite number" : "is too large for its type";
    return diag_set(d, s->bad, "tensor \"" STR_FMT "\": value %llu of row %llu %s (%s)",
                    STR_ARG(s->t->from->name), (unsigned long long)s->bad_column,
                    (unsigned long long)s->bad_row, why, tensor_type_name(s->t->type));
}

// With as many threads as start; the caller is one of them.
static enum err compute(const struct save *s, struct slab *slab, struct diag *d)
{
    struct thread threads[MODEL_SAVE_THREADS_MAX] = {0};
    pthread_mutex_init(&slab->lock, NULL);
    for (size_t i = 1; i < s->threads && i * slab->piece < slab->n; i++)
        if (thread_start(&threads[i], "weir-quantise", work, slab, NULL) != ERR_OK)
            break;
    work(slab);
    for (size_t i = 1; i < s->threads; i++)
        thread_join(&threads[i]);
    pthread_mutex_destroy(&slab->lock);
    return slab->bad == ERR_OK ? ERR_OK : refuse(slab, d);
}

static enum err put(struct save *s, const void *data, size_t len, struct diag *d)
{
    ERR_TRY(new_file_write(&s->file, data, len, d));
    s->done += len;
    if (s->o->progress)
        s->o->progress(s->o->progress_ctx, s->done, s->total);
    return ERR_OK;
}

static enum err put_copy(struct save *s, const uint8_t *data, uint64_t bytes, struct diag *d)
{
    while (bytes > 0) {
        size_t n = bytes < COPY_BYTES ? (size_t)bytes : COPY_BYTES;
        ERR_TRY(put(s, data, n, d));
        data += n;
        bytes -= n;
    }
    return ERR_OK;
}

static enum err put_converted(struct save *s, const struct plan_tensor *t, struct diag *d)
{
    uint64_t columns = t->dims[0], rows = t->dims[1] * t->dims[2] * t->dims[3];
    uint64_t a_slab = SLAB_VALUES / columns + 1, a_piece = PIECE_VALUES / columns + 1;
    uint64_t row_bytes = t->bytes / rows;
    uint8_t *out = mem_array((size_t)(a_slab < rows ? a_slab : rows), (size_t)row_bytes);
    enum err e = ERR_OK;
    for (uint64_t first = 0; e == ERR_OK && first < rows; first += a_slab) {
        uint64_t n = rows - first < a_slab ? rows - first : a_slab;
        struct slab slab = {
            .t = t, .first = first, .n = n, .piece = a_piece, .row_bytes = row_bytes, .out = out};
        e = compute(s, &slab, d);
        if (e == ERR_OK)
            e = put(s, out, (size_t)(n * row_bytes), d);
    }
    mem_free(out);
    return e;
}

static enum err put_tensor(struct save *s, const struct plan_tensor *t, struct diag *d)
{
    static const char zeros[4096];
    if (!t->from)
        ERR_TRY(put(s, t->values, (size_t)t->bytes, d));
    else if (t->type == t->from->type && !t->from->transposed && !t->from->halves)
        ERR_TRY(put_copy(s, t->from->data, t->bytes, d));
    else
        ERR_TRY(put_converted(s, t, d));
    return put(s, zeros, gguf_writer_padding(&s->writer, t->bytes), d);
}

static enum err put_head(struct save *s, const struct plan *p, struct diag *d)
{
    struct buf head;
    for (size_t i = 0; i < p->n; i++) {
        const struct plan_tensor *t = &p->tensors[i];
        uint32_t n_dims = t->from ? t->from->n_dims : 1;
        str name = t->from ? t->from->name : STR("rope_freqs.weight");
        gguf_writer_tensor(&s->writer, name, t->type, n_dims, t->dims, t->bytes);
    }
    ERR_TRY(gguf_writer_head(&s->writer, &head, d));
    s->total = head.len + s->writer.data_bytes;
    enum err e = put(s, buf_ptr(&head), head.len, d);
    buf_done(&head);
    return e;
}

static enum err put_all(struct save *s, const struct plan *p, struct diag *d)
{
    ERR_TRY(put_head(s, p, d));
    for (size_t i = 0; i < p->n; i++)
        ERR_TRY(put_tensor(s, &p->tensors[i], d));
    return ERR_OK;
}

static enum tensor_type commonest(const struct plan *p)
{
    uint64_t bytes[32] = {0};
    enum tensor_type best = TENSOR_F32;
    for (size_t i = 0; i < p->n; i++) {
        bytes[p->tensors[i].type] += p->tensors[i].bytes;
        if (bytes[p->tensors[i].type] > bytes[best])
            best = p->tensors[i].type;
    }
    return best;
}

static enum err write_file(struct save *s, const struct model_file *f, const struct plan *p,
                           const char *path, struct diag *d)
{
    enum tensor_type type = s->o->retype ? s->o->type : commonest(p);
    ERR_TRY(plan_keys(f, type, &s->writer, d));
    ERR_TRY(new_file_open(&s->file, path, d));
    enum err e = put_all(s, p, d);
    if (e == ERR_OK)
        return new_file_commit(&s->file, s->o->replace, d);
    new_file_abandon(&s->file);
    return e;
}

enum err model_save(const struct model_file *f, const char *path,
                    const struct model_save_options *o, struct model_save_report *ret,
                    struct diag *d)
{
    struct model_save_report report = {0};
    struct plan plan;
    struct save s = {.o = o, .threads = o->threads ? o->threads : thread_cpu_count()};
    s.threads = min_size(s.threads, MODEL_SAVE_THREADS_MAX);
    if (f->n_tensors == 0 && f->gguf)
        return diag_set(d, ERR_INVALID, "this file holds a vocabulary alone, no weights");
    if (f->n_tensors == 0)
        return diag_set(d, ERR_INVALID,
                        "this folder holds no weights: there is neither a model.safetensors nor a "
                        "model.safetensors.index.json in it");
    if (!o->replace && fs_exists(path))
        return diag_set(d, ERR_DENIED, "%s is there already", path);
    ERR_TRY(plan_init(f, o, &plan, &report, d));
    gguf_writer_init(&s.writer, f->gguf ? f->gguf->alignment : 32);
    enum err e = write_file(&s, f, &plan, path, d);
    gguf_writer_done(&s.writer);
    plan_done(&plan);
    if (e != ERR_OK)
        return e;
    report.bytes = s.done;
    *ret = report;
    return ERR_OK;
}
