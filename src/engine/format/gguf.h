// GGUF v2/v3 container: header, metadata, tensor table. Everything points into the image, which
// must outlive the gguf; the tables lie in the caller's arena. Immutable after parse. The layout is
// ggml/docs/gguf.md. Every count is held against the bytes that are left before anything is
// allocated for it.
#pragma once

#include "base/arena.h"
#include "engine/format/model_file.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_kv {
    str key;
    enum gguf_type type;      // of the value; GGUF_ARRAY for arrays
    enum gguf_type item_type; // of an array's items
    uint64_t count;           // of an array's items, else 1
    const uint8_t *value;     // first item
    size_t value_bytes;
};

struct gguf {
    uint32_t version;
    uint32_t alignment;
    uint64_t data_offset; // where tensor data begins
    const struct gguf_kv *kv;
    size_t n_kv;
    const struct gguf_kv **by_key;
    struct tensor *tensors;
    size_t n_tensors;
};

enum err gguf_parse(str image, struct arena *a, struct gguf *ret, struct diag *d) MUST_USE;
const struct gguf_kv *gguf_find(const struct gguf *g, const char *key); // NULL when absent
const char *gguf_type_name(enum gguf_type t);

// Typed reading. ERR_NOT_FOUND (no diag) when absent; ERR_INVALID, with the key named, when the
// type or the range is wrong. Any integer type serves for an integer.
enum err gguf_get_u32(const struct gguf *g, const char *key, uint32_t *ret,
                      struct diag *d) MUST_USE;
enum err gguf_get_f32(const struct gguf *g, const char *key, float *ret, struct diag *d) MUST_USE;
enum err gguf_get_bool(const struct gguf *g, const char *key, bool *ret, struct diag *d) MUST_USE;
enum err gguf_get_str(const struct gguf *g, const char *key, str *ret, struct diag *d) MUST_USE;
// An array of `count` bools, one a byte, checked to be 0 or 1.
enum err gguf_get_bools(const struct gguf *g, const char *key, uint32_t count, const uint8_t **ret,
                        struct diag *d) MUST_USE;
// Arrays: copied into the arena. Items of another type are ERR_INVALID.
enum err gguf_get_strs(const struct gguf *g, const char *key, struct arena *a, const str **ret,
                       uint32_t *ret_count, struct diag *d) MUST_USE;
enum err gguf_get_f32s(const struct gguf *g, const char *key, struct arena *a, const float **ret,
                       uint32_t *ret_count, struct diag *d) MUST_USE;
enum err gguf_get_i32s(const struct gguf *g, const char *key, struct arena *a, const int32_t **ret,
                       uint32_t *ret_count, struct diag *d) MUST_USE;
