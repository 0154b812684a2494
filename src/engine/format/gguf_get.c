// Typed access to GGUF metadata.
#include "base/buf.h"
#include "engine/format/gguf.h"
#include "engine/format/half.h"
#include "engine/format/parts.h"

#include "base/banned.h"

static uint64_t load_u64(const uint8_t *p)
{
    return (uint64_t)half_load_u32(p) | (uint64_t)half_load_u32(p + 4) << 32;
}

static double load_f64(const uint8_t *p)
{
    uint64_t bits = load_u64(p);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

// An item of any integer type; false for other types and for what does not fit.
static bool load_int(enum gguf_type type, const uint8_t *p, int64_t *ret)
{
    uint64_t wide;
    switch (type) {
    case GGUF_U8:
        *ret = p[0];
        return true;
    case GGUF_I8:
        *ret = p[0] < 128 ? p[0] : p[0] - 256;
        return true;
    case GGUF_U16:
        *ret = half_load_u16(p);
        return true;
    case GGUF_I16:
        *ret = (int16_t)half_load_u16(p);
        return true;
    case GGUF_U32:
        *ret = half_load_u32(p);
        return true;
    case GGUF_I32:
        *ret = (int32_t)half_load_u32(p);
        return true;
    case GGUF_U64:
        wide = load_u64(p);
        *ret = (int64_t)wide;
        return wide <= INT64_MAX;
    case GGUF_I64:
        *ret = (int64_t)load_u64(p);
        return true;
    default:
        return false;
    }
}

static enum err wrong_type(const struct gguf_kv *kv, const char *wanted, struct diag *d)
{
    return diag_set(d, ERR_INVALID, "metadata key \"" STR_FMT "\" must be %s, not %s%s",
                    STR_ARG(kv->key), wanted, kv->type == GGUF_ARRAY ? "an array of " : "",
                    gguf_type_name(kv->item_type));
}

enum err gguf_get_u32(const struct gguf *g, const char *key, uint32_t *ret, struct diag *d)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    int64_t v;
    if (!kv)
        return ERR_NOT_FOUND;
    if (kv->type == GGUF_ARRAY || !load_int(kv->type, kv->value, &v))
        return wrong_type(kv, "an integer", d);
    if (v < 0 || v > UINT32_MAX)
        return diag_set(d, ERR_INVALID, "metadata key \"%s\" is %lld: out of range", key,
                        (long long)v);
    *ret = (uint32_t)v;
    return ERR_OK;
}

enum err gguf_get_f32(const struct gguf *g, const char *key, float *ret, struct diag *d)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv)
        return ERR_NOT_FOUND;
    if (kv->type != GGUF_F32 && kv->type != GGUF_F64)
        return wrong_type(kv, "a floating-point number", d);
    float v =
        kv->type == GGUF_F32 ? half_bits_f32(half_load_u32(kv->value)) : (float)load_f64(kv->value);
    if (!__builtin_isfinite(v))
        return diag_set(d, ERR_INVALID, "metadata key \"%s\" is not a finite number", key);
    *ret = v;
    return ERR_OK;
}

enum err gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct diag *d)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv)
        return ERR_NOT_FOUND;
    if (kv->type != GGUF_BOOL || kv->value[0] > 1)
        return wrong_type(kv, "a bool of 0 or 1", d);
    *ret = kv->value[0] != 0;
    return ERR_OK;
}

// The string at *at, whose bounds the parser has checked; moves *at behind it.
static str load_str(const uint8_t **at)
{
    str s = str_slice((const char *)*at + 8, (size_t)load_u64(*at));
    *at += 8 + s.len;
    return s;
}

enum err gguf_get_str(const struct gguf *g, const char *key, str *ret, struct diag *d)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    if (!kv)
        return ERR_NOT_FOUND;
    if (kv->type != GGUF_STRING)
        return wrong_type(kv, "a string", d);
    const uint8_t *at = kv->value;
    *ret = load_str(&at);
    return ERR_OK;
}

// The key if it is an array whose items are of `type`; else NULL and the error.
static const struct gguf_kv *find_array(const struct gguf *g, const char *key, enum gguf_type type,
                                        const char *wanted, enum err *ret_error, struct diag *d)
{
    const struct gguf_kv *kv = gguf_find(g, key);
    *ret_error = ERR_NOT_FOUND;
    if (!kv)
        return NULL;
    if (kv->type != GGUF_ARRAY || kv->item_type != type) {
        *ret_error = wrong_type(kv, wanted, d);
        return NULL;
    }
    if (kv->count > INT32_MAX) {
        *ret_error = diag_set(d, ERR_LIMIT, "metadata key \"%s\" has %llu items: too many", key,
                              (unsigned long long)kv->count);
        return NULL;
    }
    return kv;
}

enum err gguf_get_bools(const struct gguf *g, const char *key, uint32_t count, const uint8_t **ret,
                        struct diag *d)
{
    enum err e;
    const struct gguf_kv *kv = find_array(g, key, GGUF_BOOL, "an array of bool", &e, d);
    if (!kv)
        return e;
    if (kv->count != count)
        return diag_set(d, ERR_INVALID, "metadata key \"%s\" has %llu items instead of %u", key,
                        (unsigned long long)kv->count, count);
    for (uint32_t i = 0; i < count; i++)
        if (kv->value[i] > 1)
            return wrong_type(kv, "an array of bools of 0 or 1", d);
    *ret = kv->value;
    return ERR_OK;
}

enum err gguf_get_strs(const struct gguf *g, const char *key, struct arena *a, const str **ret,
                       uint32_t *ret_count, struct diag *d)
{
    enum err e;
    const struct gguf_kv *kv = find_array(g, key, GGUF_STRING, "an array of string", &e, d);
    if (!kv)
        return e;
    str *items = parts_array(a, (size_t)kv->count, sizeof *items, d);
    if (!items)
        return ERR_LIMIT;
    const uint8_t *at = kv->value;
    for (uint64_t i = 0; i < kv->count; i++)
        items[i] = load_str(&at);
    *ret = items;
    *ret_count = (uint32_t)kv->count;
    return ERR_OK;
}

enum err gguf_get_f32s(const struct gguf *g, const char *key, struct arena *a, const float **ret,
                       uint32_t *ret_count, struct diag *d)
{
    enum err e;
    const struct gguf_kv *kv = find_array(g, key, GGUF_F32, "an array of f32", &e, d);
    if (!kv)
        return e;
    float *items = parts_array(a, (size_t)kv->count, sizeof *items, d);
    if (!items)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < kv->count; i++)
        items[i] = half_bits_f32(half_load_u32(kv->value + 4 * i));
    *ret = items;
    *ret_count = (uint32_t)kv->count;
    return ERR_OK;
}

enum err gguf_get_i32s(const struct gguf *g, const char *key, struct arena *a, const int32_t **ret,
                       uint32_t *ret_count, struct diag *d)
{
    enum err e;
    const struct gguf_kv *kv = find_array(g, key, GGUF_I32, "an array of i32", &e, d);
    if (!kv)
        return e;
    int32_t *items = parts_array(a, (size_t)kv->count, sizeof *items, d);
    if (!items)
        return ERR_LIMIT;
    for (uint64_t i = 0; i < kv->count; i++)
        items[i] = (int32_t)half_load_u32(kv->value + 4 * i);
    *ret = items;
    *ret_count = (uint32_t)kv->count;
    return ERR_OK;
}

// Text for people: control bytes become '?', long strings are cut.
static str shown_str(struct arena *a, str s)
{
    enum { SHOWN_BYTES_MAX = 4096 };
    str copy = arena_str(a, str_sub(s, 0, SHOWN_BYTES_MAX));
    char *text = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        if ((uint8_t)text[i] < ' ' && text[i] != '\n' && text[i] != '\t')
            text[i] = '?';
    return copy;
}

static str shown_value(const struct gguf_kv *kv, struct arena *a)
{
    const uint8_t *at = kv->value;
    int64_t i;
    if (kv->type == GGUF_ARRAY)
        return arena_printf(a, "[%llu × %s]", (unsigned long long)kv->count,
                            gguf_type_name(kv->item_type));
    if (kv->type == GGUF_STRING)
        return shown_str(a, load_str(&at));
    if (kv->type == GGUF_BOOL)
        return at[0] ? STR("true") : STR("false");
    if (kv->type == GGUF_F32)
        return arena_printf(a, "%.9g", (double)half_bits_f32(half_load_u32(at)));
    if (kv->type == GGUF_F64)
        return arena_printf(a, "%.17g", load_f64(at));
    if (load_int(kv->type, at, &i))
        return arena_printf(a, "%lld", (long long)i);
    return arena_printf(a, "%llu", (unsigned long long)load_u64(at));
}

bool gguf_meta(const struct gguf *g, size_t i, str *ret_key, str *ret_value, struct arena *a)
{
    if (i >= g->n_kv)
        return false;
    *ret_key = g->kv[i].key;
    *ret_value = shown_value(&g->kv[i], a);
    return true;
}
