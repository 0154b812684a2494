#include "support/gguf_write.h"

#include "base/mem.h"
#include "support/quantize.h"

#include "base/banned.h"

enum { ALIGNMENT = 32, KV_BYTES_MAX = 1 << 30 };

// GGUF's own numbers, on purpose not those of the reader's header.
enum {
    TYPE_U32 = 4,
    TYPE_I32 = 5,
    TYPE_F32 = 6,
    TYPE_BOOL = 7,
    TYPE_STR = 8,
    TYPE_ARRAY = 9,
    TYPE_U64 = 10
};

struct pending {
    char name[64];
    enum tensor_type type;
    uint32_t n_dims;
    uint64_t dims[4], offset, row_bytes, rows;
    gguf_write_row_fn fill;
    void *ctx;
};

struct gguf_write {
    struct buf kv;
    uint64_t n_kv;
    struct pending *tensors;
    size_t n_tensors, cap;
    uint64_t data_bytes;
};

struct gguf_write *gguf_write_new(void)
{
    struct gguf_write *w = mem_new(struct gguf_write);
    buf_init(&w->kv, KV_BYTES_MAX);
    return w;
}

void gguf_write_free(struct gguf_write *w)
{
    if (!w)
        return;
    buf_done(&w->kv);
    mem_free(w->tensors);
    mem_free(w);
}

static void put(struct buf *b, const void *data, size_t len)
{
    enum err e = buf_append(b, data, len);
    ASSERT(e == ERR_OK);
}

static void put_u32(struct buf *b, uint32_t v)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    put(b, bytes, 4);
}

static void put_u64(struct buf *b, uint64_t v)
{
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_f32(struct buf *b, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put_u32(b, bits);
}

static void put_str(struct buf *b, str s)
{
    put_u64(b, s.len);
    put(b, s.ptr, s.len);
}

static struct buf *key(struct gguf_write *w, const char *name, uint32_t type)
{
    put_str(&w->kv, str_of(name));
    put_u32(&w->kv, type);
    w->n_kv++;
    return &w->kv;
}

static struct buf *array_key(struct gguf_write *w, const char *name, uint32_t item_type, size_t n)
{
    struct buf *b = key(w, name, TYPE_ARRAY);
    put_u32(b, item_type);
    put_u64(b, n);
    return b;
}

void gguf_write_u32(struct gguf_write *w, const char *name, uint32_t v)
{
    put_u32(key(w, name, TYPE_U32), v);
}

void gguf_write_u64(struct gguf_write *w, const char *name, uint64_t v)
{
    put_u64(key(w, name, TYPE_U64), v);
}

void gguf_write_f32(struct gguf_write *w, const char *name, float v)
{
    put_f32(key(w, name, TYPE_F32), v);
}

void gguf_write_bool(struct gguf_write *w, const char *name, bool v)
{
    put(key(w, name, TYPE_BOOL), v ? "\1" : "\0", 1);
}

void gguf_write_str(struct gguf_write *w, const char *name, str v)
{
    put_str(key(w, name, TYPE_STR), v);
}

void gguf_write_strs(struct gguf_write *w, const char *name, const str *v, size_t n)
{
    struct buf *b = array_key(w, name, TYPE_STR, n);
    for (size_t i = 0; i < n; i++)
        put_str(b, v[i]);
}

void gguf_write_f32s(struct gguf_write *w, const char *name, const float *v, size_t n)
{
    struct buf *b = array_key(w, name, TYPE_F32, n);
    for (size_t i = 0; i < n; i++)
        put_f32(b, v[i]);
}

void gguf_write_i32s(struct gguf_write *w, const char *name, const int32_t *v, size_t n)
{
    struct buf *b = array_key(w, name, TYPE_I32, n);
    for (size_t i = 0; i < n; i++)
        put_u32(b, (uint32_t)v[i]);
}

void gguf_write_tensor(struct gguf_write *w, const char *name, enum tensor_type type,
                       uint32_t n_dims, const uint64_t *dims, gguf_write_row_fn fill, void *ctx)
{
    uint32_t values, bytes;
    quantize_block(type, &values, &bytes);
    ASSERT(n_dims >= 1 && n_dims <= 4 && dims[0] % values == 0);
    ASSERT(strlen(name) < sizeof w->tensors->name);
    if (w->n_tensors == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->tensors = mem_resize(w->tensors, w->cap, sizeof *w->tensors);
    }
    struct pending *t = &w->tensors[w->n_tensors++];
    *t = (struct pending){.type = type, .n_dims = n_dims, .rows = 1, .fill = fill, .ctx = ctx};
    memcpy(t->name, name, strlen(name));
    for (uint32_t i = 0; i < n_dims; i++) {
        t->dims[i] = dims[i];
        t->rows *= i ? dims[i] : 1;
    }
    t->row_bytes = dims[0] / values * bytes;
    t->offset = w->data_bytes;
    uint64_t size = t->row_bytes * t->rows;
    w->data_bytes += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void put_head(const struct gguf_write *w, struct buf *b)
{
    put(b, "GGUF", 4);
    put_u32(b, 3);
    put_u64(b, w->n_tensors);
    put_u64(b, w->n_kv);
    put(b, buf_ptr(&w->kv), w->kv.len);
    for (size_t i = 0; i < w->n_tensors; i++) {
        const struct pending *t = &w->tensors[i];
        put_str(b, str_of(t->name));
        put_u32(b, t->n_dims);
        for (uint32_t j = 0; j < t->n_dims; j++)
            put_u64(b, t->dims[j]);
        put_u32(b, (uint32_t)t->type);
        put_u64(b, t->offset);
    }
    while (b->len % ALIGNMENT)
        put(b, "", 1);
}

static bool write_tensor(const struct pending *t, gguf_write_sink_fn sink, void *ctx)
{
    static const char zeros[ALIGNMENT];
    float *row = mem_array((size_t)t->dims[0], sizeof *row);
    uint8_t *bytes = mem_alloc((size_t)t->row_bytes);
    bool good = true;
    for (uint64_t r = 0; good && r < t->rows; r++) {
        t->fill(t->ctx, r, row);
        quantize_row(t->type, row, (size_t)t->dims[0], bytes);
        good = sink(ctx, bytes, (size_t)t->row_bytes);
    }
    size_t rest = (size_t)(t->row_bytes * t->rows % ALIGNMENT);
    mem_free(row);
    mem_free(bytes);
    return good && (rest == 0 || sink(ctx, zeros, ALIGNMENT - rest));
}

bool gguf_write_to(struct gguf_write *w, gguf_write_sink_fn sink, void *ctx)
{
    struct buf head;
    buf_init(&head, KV_BYTES_MAX);
    put_head(w, &head);
    bool good = sink(ctx, buf_ptr(&head), head.len);
    buf_done(&head);
    for (size_t i = 0; good && i < w->n_tensors; i++)
        good = write_tensor(&w->tensors[i], sink, ctx);
    return good;
}

static bool to_buf(void *ctx, const void *data, size_t len)
{
    return buf_append(ctx, data, len) == ERR_OK;
}

void gguf_write_image(struct gguf_write *w, struct buf *out)
{
    bool good = gguf_write_to(w, to_buf, out);
    ASSERT(good);
}
