#include "engine/format/safetensors.h"

#include <stdlib.h>

#include "base/json.h"
#include "engine/format/half.h"
#include "engine/format/parts.h"

#include "base/banned.h"

enum { LENGTH_BYTES = 8, HEADER_DEPTH_MAX = 8, HEADER_VALUES_MAX = 1 << 22 };

static const struct {
    const char *name;
    uint32_t bytes;
    enum safetensors_dtype dtype;
} dtypes[] = {
    {"F32", 4, SAFETENSORS_F32},       {"F16", 2, SAFETENSORS_F16},
    {"BF16", 2, SAFETENSORS_BF16},     {"F64", 8, SAFETENSORS_OTHER},
    {"I64", 8, SAFETENSORS_OTHER},     {"U64", 8, SAFETENSORS_OTHER},
    {"I32", 4, SAFETENSORS_OTHER},     {"U32", 4, SAFETENSORS_OTHER},
    {"I16", 2, SAFETENSORS_OTHER},     {"U16", 2, SAFETENSORS_OTHER},
    {"I8", 1, SAFETENSORS_OTHER},      {"U8", 1, SAFETENSORS_OTHER},
    {"BOOL", 1, SAFETENSORS_OTHER},    {"F8_E4M3", 1, SAFETENSORS_OTHER},
    {"F8_E5M2", 1, SAFETENSORS_OTHER},
};

static enum err bad(const struct safetensors_entry *t, const char *what, struct diag *d)
{
    return diag_set(d, ERR_PARSE, "tensor \"" STR_FMT "\": %s", STR_ARG(t->name), what);
}

// An unsigned integer as JSON writes it.
static bool read_u64(yyjson_val *v, uint64_t *ret)
{
    return str_to_u64(json_num_text(v), ret) == ERR_OK;
}

static enum err read_dtype(yyjson_val *v, struct safetensors_entry *t, uint32_t *ret_bytes,
                           struct diag *d)
{
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        if (!str_eq_z(json_str(v), dtypes[i].name))
            continue;
        t->dtype = dtypes[i].dtype;
        t->dtype_name = str_of(dtypes[i].name);
        *ret_bytes = dtypes[i].bytes;
        return ERR_OK;
    }
    return bad(t, "its dtype is missing or unknown", d);
}

// The size in bytes that the shape asks for.
static enum err read_shape(yyjson_val *v, struct safetensors_entry *t, uint64_t item_bytes,
                           uint64_t *ret_bytes, struct diag *d)
{
    size_t i, n;
    yyjson_val *dim;
    uint64_t bytes = item_bytes;
    if (!yyjson_is_arr(v))
        return bad(t, "its shape is not an array", d);
    if (yyjson_arr_size(v) > SAFETENSORS_RANK_MAX)
        return bad(t, "it has more than 8 dimensions", d);
    yyjson_arr_foreach(v, i, n, dim)
    {
        if (!read_u64(dim, &t->shape[i]))
            return bad(t, "its shape holds something that is not a size", d);
        if (__builtin_mul_overflow(bytes, t->shape[i], &bytes))
            return bad(t, "its dimensions overflow", d);
    }
    t->rank = (uint32_t)n;
    *ret_bytes = bytes;
    return ERR_OK;
}

static enum err read_offsets(yyjson_val *v, struct safetensors_entry *t, struct diag *d)
{
    if (!yyjson_is_arr(v) || yyjson_arr_size(v) != 2 ||
        !read_u64(yyjson_arr_get(v, 0), &t->begin) || !read_u64(yyjson_arr_get(v, 1), &t->end))
        return bad(t, "data_offsets must be two sizes", d);
    if (t->begin > t->end)
        return bad(t, "data_offsets end before they begin", d);
    return ERR_OK;
}

static enum err read_entry(yyjson_val *key, yyjson_val *v, struct arena *a,
                           struct safetensors_entry *t, struct diag *d)
{
    uint32_t item_bytes = 0;
    uint64_t bytes = 0;
    t->name = arena_str(a, json_str(key));
    if (!t->name.ptr)
        return diag_set(d, ERR_LIMIT, "the tensors' names take too much memory");
    if (!yyjson_is_obj(v))
        return bad(t, "its entry is not an object", d);
    ERR_TRY(read_dtype(json_get(v, "dtype"), t, &item_bytes, d));
    ERR_TRY(read_shape(json_get(v, "shape"), t, item_bytes, &bytes, d));
    ERR_TRY(read_offsets(json_get(v, "data_offsets"), t, d));
    if (t->end - t->begin != bytes)
        return bad(t, "its bytes are not what dtype and shape ask for", d);
    return ERR_OK;
}

static enum err check_metadata(yyjson_val *v, struct diag *d)
{
    size_t i, n;
    yyjson_val *key, *value;
    if (!yyjson_is_obj(v))
        return diag_set(d, ERR_PARSE, "__metadata__ is not an object");
    yyjson_obj_foreach(v, i, n, key, value)
    {
        if (!yyjson_is_str(value))
            return diag_set(d, ERR_PARSE, "__metadata__ holds something that is not a string");
    }
    return ERR_OK;
}

static int by_begin(const void *a, const void *b)
{
    const struct safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

// No hole, no overlap, nothing behind the last: what lies in the file is named.
static enum err check_tiling(const struct safetensors *s, uint64_t data_bytes, struct diag *d)
{
    uint64_t at = 0;
    for (size_t i = 0; i < s->n_entries; i++) {
        if (s->entries[i].begin != at)
            return bad(&s->entries[i], "its data does not begin where the one before ends", d);
        at = s->entries[i].end;
    }
    if (at != data_bytes)
        return diag_set(d, ERR_PARSE,
                        "the tensors take %llu bytes, but the file holds %llu: it is truncated or "
                        "damaged",
                        (unsigned long long)at, (unsigned long long)data_bytes);
    return ERR_OK;
}

static enum err read_entries(yyjson_val *root, struct arena *a, struct safetensors *s,
                             struct diag *d)
{
    size_t i, n;
    yyjson_val *key, *value;
    if (!yyjson_is_obj(root))
        return diag_set(d, ERR_PARSE, "the header is not a JSON object");
    if (yyjson_obj_size(root) > MODEL_TENSORS_MAX)
        return diag_set(d, ERR_LIMIT, "the header names %zu tensors; %d are accepted",
                        yyjson_obj_size(root), MODEL_TENSORS_MAX);
    s->entries = parts_array(a, yyjson_obj_size(root), sizeof *s->entries, d);
    if (!s->entries)
        return ERR_LIMIT;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        if (str_eq_z(json_str(key), "__metadata__"))
            ERR_TRY(check_metadata(value, d));
        else
            ERR_TRY(read_entry(key, value, a, &s->entries[s->n_entries++], d));
    }
    qsort(s->entries, s->n_entries, sizeof *s->entries, by_begin);
    return ERR_OK;
}

static enum err read_length(str image, uint64_t *ret, struct diag *d)
{
    const uint8_t *p = (const uint8_t *)image.ptr;
    if (image.len < LENGTH_BYTES)
        return diag_set(d, ERR_PARSE, "not a safetensors file: shorter than its header's length");
    uint64_t len = (uint64_t)half_load_u32(p) | (uint64_t)half_load_u32(p + 4) << 32;
    if (len > SAFETENSORS_HEADER_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "not a safetensors file, or its header is too large (%llu)",
                        (unsigned long long)len);
    if (len > image.len - LENGTH_BYTES)
        return diag_set(d, ERR_PARSE,
                        "the header of %llu bytes passes the end of the file: it is truncated",
                        (unsigned long long)len);
    *ret = len;
    return ERR_OK;
}

enum err safetensors_parse(str image, struct arena *a, struct safetensors *ret, struct diag *d)
{
    struct safetensors s = {0};
    struct json_doc doc;
    uint64_t len = 0;
    ERR_TRY(read_length(image, &len, d));
    s.data_offset = LENGTH_BYTES + len;
    s.header = str_sub(image, LENGTH_BYTES, (size_t)len);
    if (!str_starts(s.header, STR("{")))
        return diag_set(d, ERR_PARSE, "the header does not begin with {");
    const struct json_limits limits = {SAFETENSORS_HEADER_BYTES_MAX, HEADER_DEPTH_MAX,
                                       HEADER_VALUES_MAX};
    ERR_TRY(json_parse(&doc, s.header, limits, d));
    enum err e = read_entries(doc.root, a, &s, d);
    json_done(&doc);
    if (e == ERR_OK)
        e = check_tiling(&s, image.len - s.data_offset, d);
    if (e == ERR_OK)
        *ret = s;
    return e;
}
