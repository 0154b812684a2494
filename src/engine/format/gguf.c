#include "engine/format/gguf.h"

#include <stdlib.h>

#include "engine/format/half.h"
#include "engine/format/parts.h"

#include "base/banned.h"

enum {
    KEY_BYTES_MAX = 65535,
    TENSOR_NAME_BYTES_MAX = 64,
    ALIGNMENT_DEFAULT = 32,
    ALIGNMENT_MIN = 8,
    ALIGNMENT_MAX = 4096,
    // The least a record can take: key (length, 1 byte), type, 1 byte of value …
    KV_BYTES_MIN = 8 + 1 + 4 + 1,
    // … and name (length, 1 byte), n_dims, one dimension, type, offset.
    TENSOR_BYTES_MIN = 8 + 1 + 4 + 8 + 4 + 8,
};

static const struct {
    const char *name;
    uint32_t bytes; // 0: variable
} value_types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},   [GGUF_I8] = {"i8", 1},       [GGUF_U16] = {"u16", 2},
    [GGUF_I16] = {"i16", 2}, [GGUF_U32] = {"u32", 4},     [GGUF_I32] = {"i32", 4},
    [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},   [GGUF_STRING] = {"string", 0},
    [GGUF_U64] = {"u64", 8}, [GGUF_ARRAY] = {"array", 0}, [GGUF_I64] = {"i64", 8},
    [GGUF_F64] = {"f64", 8},
};

const char *gguf_type_name(enum gguf_type t)
{
    return (unsigned)t < GGUF_TYPE_COUNT ? value_types[t].name : "unknown";
}

// What is left to read. Reads fail without moving when too little is left.
struct cursor {
    const uint8_t *at;
    size_t left;
};

static bool take(struct cursor *c, uint64_t size, const uint8_t **ret)
{
    if (size > c->left)
        return false;
    *ret = c->at;
    c->at += size;
    c->left -= (size_t)size;
    return true;
}

static bool take_u32(struct cursor *c, uint32_t *ret)
{
    const uint8_t *p;
    if (!take(c, 4, &p))
        return false;
    *ret = half_load_u32(p);
    return true;
}

static bool take_u64(struct cursor *c, uint64_t *ret)
{
    const uint8_t *p;
    if (!take(c, 8, &p))
        return false;
    *ret = (uint64_t)half_load_u32(p) | (uint64_t)half_load_u32(p + 4) << 32;
    return true;
}

static bool take_str(struct cursor *c, str *ret)
{
    struct cursor before = *c;
    uint64_t len;
    const uint8_t *p;
    if (!take_u64(c, &len) || !take(c, len, &p)) {
        *c = before;
        return false;
    }
    *ret = str_slice((const char *)p, (size_t)len);
    return true;
}

// Names end up in messages and listings: visible ASCII only.
static bool is_plain_name(str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~')
            return false;
    return s.len > 0;
}

static enum err parse_header(struct cursor *c, struct gguf *g, uint64_t *ret_tensors,
                             uint64_t *ret_kv, struct diag *d)
{
    const uint8_t *magic;
    if (!take(c, 4, &magic) || memcmp(magic, "GGUF", 4) != 0)
        return diag_set(d, ERR_PARSE, "not a GGUF file: it does not begin with \"GGUF\"");
    if (!take_u32(c, &g->version))
        return diag_set(d, ERR_PARSE, "the file ends inside its header");
    if (g->version == 0x02000000 || g->version == 0x03000000)
        return diag_set(d, ERR_UNSUPPORTED,
                        "a big-endian GGUF file; convert it to little-endian first");
    if (g->version != 2 && g->version != 3)
        return diag_set(d, ERR_UNSUPPORTED, "GGUF version %u; versions 2 and 3 are read",
                        g->version);
    if (!take_u64(c, ret_tensors) || !take_u64(c, ret_kv))
        return diag_set(d, ERR_PARSE, "the file ends inside its header");
    if (*ret_kv > c->left / KV_BYTES_MIN)
        return diag_set(d, ERR_PARSE,
                        "the header announces %llu metadata keys, more than the file can hold",
                        (unsigned long long)*ret_kv);
    if (*ret_tensors > c->left / TENSOR_BYTES_MIN || *ret_tensors > MODEL_TENSORS_MAX)
        return diag_set(d, ERR_PARSE,
                        "the header announces %llu tensors, more than the file can hold",
                        (unsigned long long)*ret_tensors);
    return ERR_OK;
}

// Walks over an array of strings to learn where it ends.
static bool skip_strings(struct cursor *c, uint64_t count)
{
    str ignored;
    if (count > c->left / 8)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!take_str(c, &ignored))
            return false;
    return true;
}

static bool skip_items(struct cursor *c, enum gguf_type type, uint64_t count)
{
    const uint8_t *ignored;
    uint32_t bytes = value_types[type].bytes;
    if (type == GGUF_STRING)
        return skip_strings(c, count);
    return count <= c->left / bytes && take(c, count * bytes, &ignored);
}

static enum err parse_array_head(struct cursor *c, struct gguf_kv *kv, struct diag *d)
{
    uint32_t type;
    if (!take_u32(c, &type) || !take_u64(c, &kv->count))
        return diag_set(d, ERR_PARSE, "the file ends inside the array of key \"" STR_FMT "\"",
                        STR_ARG(kv->key));
    if (type == GGUF_ARRAY)
        return diag_set(d, ERR_UNSUPPORTED, "key \"" STR_FMT "\" holds an array of arrays",
                        STR_ARG(kv->key));
    if (type >= GGUF_TYPE_COUNT)
        return diag_set(d, ERR_PARSE, "key \"" STR_FMT "\": unknown item type %u", STR_ARG(kv->key),
                        type);
    kv->item_type = (enum gguf_type)type;
    return ERR_OK;
}

static enum err parse_value(struct cursor *c, struct gguf_kv *kv, struct diag *d)
{
    uint32_t type;
    if (!take_u32(c, &type))
        return diag_set(d, ERR_PARSE, "the file ends after key \"" STR_FMT "\"", STR_ARG(kv->key));
    if (type >= GGUF_TYPE_COUNT)
        return diag_set(d, ERR_PARSE, "key \"" STR_FMT "\": unknown value type %u",
                        STR_ARG(kv->key), type);
    kv->type = kv->item_type = (enum gguf_type)type;
    kv->count = 1;
    if (type == GGUF_ARRAY)
        ERR_TRY(parse_array_head(c, kv, d));
    kv->value = c->at;
    if (!skip_items(c, kv->item_type, kv->count))
        return diag_set(
            d, ERR_PARSE, "key \"" STR_FMT "\": its value of %llu × %s passes the end of the file",
            STR_ARG(kv->key), (unsigned long long)kv->count, gguf_type_name(kv->item_type));
    kv->value_bytes = (size_t)(c->at - kv->value);
    return ERR_OK;
}

static enum err parse_kv(struct cursor *c, size_t index, size_t n, struct gguf_kv *kv,
                         struct diag *d)
{
    if (!take_str(c, &kv->key))
        return diag_set(d, ERR_PARSE, "the file ends inside metadata key %zu of %zu", index + 1, n);
    if (kv->key.len > KEY_BYTES_MAX || !is_plain_name(kv->key))
        return diag_set(d, ERR_PARSE,
                        "metadata key %zu of %zu is empty, longer than %d bytes or not plain ASCII",
                        index + 1, n, KEY_BYTES_MAX);
    return parse_value(c, kv, d);
}

static int by_key(const void *a, const void *b)
{
    const struct gguf_kv *const *x = a, *const *y = b;
    return str_cmp((*x)->key, (*y)->key);
}

static enum err parse_kvs(struct cursor *c, size_t n, struct arena *a, struct gguf *g,
                          struct diag *d)
{
    struct gguf_kv *kv = parts_array(a, n, sizeof *kv, d);
    if (!kv)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        ERR_TRY(parse_kv(c, i, n, &kv[i], d));
    const struct gguf_kv **sorted = parts_array(a, n, sizeof(*sorted), d);
    if (!sorted)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        sorted[i] = &kv[i];
    qsort(sorted, n, sizeof(*sorted), by_key);
    for (size_t i = 1; i < n; i++)
        if (str_eq(sorted[i - 1]->key, sorted[i]->key))
            return diag_set(d, ERR_PARSE, "metadata key \"" STR_FMT "\" stands twice",
                            STR_ARG(sorted[i]->key));
    g->kv = kv;
    g->by_key = sorted;
    g->n_kv = n;
    return ERR_OK;
}

static enum err read_alignment(struct gguf *g, struct diag *d)
{
    g->alignment = ALIGNMENT_DEFAULT;
    const struct gguf_kv *kv = gguf_find(g, "general.alignment");
    if (!kv)
        return ERR_OK;
    if (kv->type != GGUF_U32)
        return diag_set(d, ERR_INVALID, "general.alignment must be a u32, not %s",
                        gguf_type_name(kv->type));
    uint32_t v = half_load_u32(kv->value);
    if (v < ALIGNMENT_MIN || v > ALIGNMENT_MAX || (v & (v - 1)) != 0)
        return diag_set(d, ERR_INVALID,
                        "general.alignment is %u; it must be a power of two between %d and %d", v,
                        ALIGNMENT_MIN, ALIGNMENT_MAX);
    g->alignment = v;
    return ERR_OK;
}

static enum err parse_dims(struct cursor *c, struct tensor *t, struct diag *d)
{
    if (!take_u32(c, &t->n_dims))
        return diag_set(d, ERR_PARSE, "the file ends inside tensor \"" STR_FMT "\"",
                        STR_ARG(t->name));
    if (t->n_dims < 1 || t->n_dims > 4)
        return diag_set(d, ERR_PARSE,
                        "tensor \"" STR_FMT "\" has %u dimensions; 1 to 4 are allowed",
                        STR_ARG(t->name), t->n_dims);
    for (size_t i = 0; i < 4; i++) {
        t->dims[i] = 1;
        if (i < t->n_dims && !take_u64(c, &t->dims[i]))
            return diag_set(d, ERR_PARSE, "the file ends inside tensor \"" STR_FMT "\"",
                            STR_ARG(t->name));
    }
    return ERR_OK;
}

// Leaves t->data NULL and the offset (relative to the data's start) in *ret_offset.
static enum err parse_tensor(struct cursor *c, size_t index, size_t n, uint32_t alignment,
                             struct tensor *t, uint64_t *ret_offset, struct diag *d)
{
    uint32_t type;
    if (!take_str(c, &t->name))
        return diag_set(d, ERR_PARSE, "the file ends inside tensor %zu of %zu", index + 1, n);
    if (t->name.len > TENSOR_NAME_BYTES_MAX || !is_plain_name(t->name))
        return diag_set(d, ERR_PARSE,
                        "tensor %zu of %zu: its name is empty, longer than %d bytes or not plain "
                        "ASCII",
                        index + 1, n, TENSOR_NAME_BYTES_MAX);
    ERR_TRY(parse_dims(c, t, d));
    if (!take_u32(c, &type) || !take_u64(c, ret_offset))
        return diag_set(d, ERR_PARSE, "the file ends inside tensor \"" STR_FMT "\"",
                        STR_ARG(t->name));
    t->type = (enum tensor_type)type;
    ERR_TRY(tensor_check_shape(t, d));
    if (*ret_offset % alignment)
        return diag_set(d, ERR_PARSE,
                        "tensor \"" STR_FMT "\": offset %llu is not a multiple of the alignment %u",
                        STR_ARG(t->name), (unsigned long long)*ret_offset, alignment);
    return ERR_OK;
}

// The data begins at the next multiple of the alignment after the tables. A file without tensors
// may end before.
static enum err place_data(str image, const struct cursor *c, struct gguf *g,
                           const uint64_t *offsets, struct diag *d)
{
    uint64_t head = (uint64_t)(c->at - (const uint8_t *)image.ptr);
    g->data_offset = (head + g->alignment - 1) / g->alignment * g->alignment;
    uint64_t room = g->data_offset < image.len ? image.len - g->data_offset : 0;
    for (size_t i = 0; i < g->n_tensors; i++) {
        struct tensor *t = &g->tensors[i];
        if (offsets[i] > room || t->size_bytes > room - offsets[i])
            return diag_set(d, ERR_PARSE,
                            "tensor \"" STR_FMT
                            "\" (%llu bytes at data offset %llu) passes the end "
                            "of the file: it is truncated or damaged",
                            STR_ARG(t->name), (unsigned long long)t->size_bytes,
                            (unsigned long long)offsets[i]);
        t->data = (const uint8_t *)image.ptr + g->data_offset + offsets[i];
    }
    return ERR_OK;
}

static enum err parse_tensors(struct cursor *c, size_t n, str image, struct arena *a,
                              struct gguf *g, struct diag *d)
{
    g->tensors = parts_array(a, n, sizeof *g->tensors, d);
    uint64_t *offsets = parts_array(a, n, sizeof *offsets, d);
    if (!g->tensors || !offsets)
        return ERR_LIMIT;
    for (size_t i = 0; i < n; i++)
        ERR_TRY(parse_tensor(c, i, n, g->alignment, &g->tensors[i], &offsets[i], d));
    g->n_tensors = n;
    return place_data(image, c, g, offsets, d);
}

enum err gguf_parse(str image, struct arena *a, struct gguf *ret, struct diag *d)
{
    struct cursor c = {(const uint8_t *)image.ptr, image.len};
    struct gguf g = {0};
    uint64_t n_tensors = 0, n_kv = 0;
    ERR_TRY(parse_header(&c, &g, &n_tensors, &n_kv, d));
    ERR_TRY(parse_kvs(&c, (size_t)n_kv, a, &g, d));
    ERR_TRY(read_alignment(&g, d));
    ERR_TRY(parse_tensors(&c, (size_t)n_tensors, image, a, &g, d));
    *ret = g;
    return ERR_OK;
}

const struct gguf_kv *gguf_find(const struct gguf *g, const char *key)
{
    str wanted = str_of(key);
    size_t low = 0, high = g->n_kv;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_cmp(g->by_key[mid]->key, wanted);
        if (order == 0)
            return g->by_key[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
