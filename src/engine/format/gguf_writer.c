#include "engine/format/gguf_writer.h"

#include <string.h>

#include "engine/format/parts.h"

#include "base/banned.h"

enum { VERSION = 3 };

void gguf_writer_init(struct gguf_writer *w, uint32_t alignment)
{
    *w = (struct gguf_writer){.alignment = alignment};
    buf_init(&w->keys, MODEL_ARENA_BYTES_MAX);
    buf_init(&w->tensors, MODEL_ARENA_BYTES_MAX);
}

void gguf_writer_done(struct gguf_writer *w)
{
    buf_done(&w->keys);
    buf_done(&w->tensors);
}

static void put(struct buf *b, uint64_t v, size_t bytes)
{
    uint8_t little[8];
    for (size_t i = 0; i < bytes; i++)
        little[i] = (uint8_t)(v >> (8 * i));
    (void)buf_append(b, little, bytes);
}

static void put_str(struct buf *b, str s)
{
    put(b, s.len, 8);
    (void)buf_append_str(b, s);
}

static void put_f32(struct buf *b, float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    put(b, bits, 4);
}

static void begin(struct gguf_writer *w, str key, enum gguf_type type)
{
    w->n_keys++;
    put_str(&w->keys, key);
    put(&w->keys, type, 4);
}

static void begin_array(struct gguf_writer *w, const char *key, enum gguf_type item, uint32_t n)
{
    begin(w, str_of(key), GGUF_ARRAY);
    put(&w->keys, item, 4);
    put(&w->keys, n, 8);
}

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v)
{
    begin(w, str_of(key), GGUF_U32);
    put(&w->keys, v, 4);
}

void gguf_writer_f32(struct gguf_writer *w, const char *key, float v)
{
    begin(w, str_of(key), GGUF_F32);
    put_f32(&w->keys, v);
}

void gguf_writer_bool(struct gguf_writer *w, const char *key, bool v)
{
    begin(w, str_of(key), GGUF_BOOL);
    put(&w->keys, v, 1);
}

void gguf_writer_str(struct gguf_writer *w, const char *key, str v)
{
    begin(w, str_of(key), GGUF_STRING);
    put_str(&w->keys, v);
}

void gguf_writer_strs(struct gguf_writer *w, const char *key, const str *v, uint32_t n)
{
    begin_array(w, key, GGUF_STRING, n);
    for (uint32_t i = 0; i < n; i++)
        put_str(&w->keys, v[i]);
}

void gguf_writer_f32s(struct gguf_writer *w, const char *key, const float *v, uint32_t n)
{
    begin_array(w, key, GGUF_F32, n);
    for (uint32_t i = 0; i < n; i++)
        put_f32(&w->keys, v[i]);
}

void gguf_writer_i32s(struct gguf_writer *w, const char *key, const int32_t *v, uint32_t n)
{
    begin_array(w, key, GGUF_I32, n);
    for (uint32_t i = 0; i < n; i++)
        put(&w->keys, (uint32_t)v[i], 4);
}

void gguf_writer_bools(struct gguf_writer *w, const char *key, const bool *v, uint32_t n)
{
    begin_array(w, key, GGUF_BOOL, n);
    for (uint32_t i = 0; i < n; i++)
        put(&w->keys, v[i], 1);
}

void gguf_writer_copy(struct gguf_writer *w, const struct gguf_kv *kv)
{
    begin(w, kv->key, kv->type);
    if (kv->type == GGUF_ARRAY) {
        put(&w->keys, kv->item_type, 4);
        put(&w->keys, kv->count, 8);
    }
    (void)buf_append(&w->keys, kv->value, kv->value_bytes);
}

size_t gguf_writer_padding(const struct gguf_writer *w, uint64_t bytes)
{
    return (size_t)(w->alignment - 1 - (bytes + w->alignment - 1) % w->alignment);
}

void gguf_writer_tensor(struct gguf_writer *w, str name, enum tensor_type type, uint32_t n_dims,
                        const uint64_t *dims, uint64_t bytes)
{
    w->n_tensors++;
    put_str(&w->tensors, name);
    put(&w->tensors, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++)
        put(&w->tensors, dims[i], 8);
    put(&w->tensors, type, 4);
    put(&w->tensors, w->data_bytes, 8);
    w->data_bytes += bytes + gguf_writer_padding(w, bytes);
}

enum err gguf_writer_head(const struct gguf_writer *w, struct buf *ret, struct diag *d)
{
    static const char zeros[4096];
    struct buf b;
    buf_init(&b, 2 * (size_t)MODEL_ARENA_BYTES_MAX + sizeof zeros);
    (void)buf_append_str(&b, STR("GGUF"));
    put(&b, VERSION, 4);
    put(&b, w->n_tensors, 8);
    put(&b, w->n_keys, 8);
    (void)buf_append_str(&b, buf_str(&w->keys));
    (void)buf_append_str(&b, buf_str(&w->tensors));
    (void)buf_append(&b, zeros, gguf_writer_padding(w, b.len));
    if (b.failed || w->keys.failed || w->tensors.failed) {
        buf_done(&b);
        return diag_set(d, ERR_LIMIT, "the file's head would be larger than %u MiB",
                        MODEL_ARENA_BYTES_MAX >> 20);
    }
    *ret = b;
    return ERR_OK;
}
