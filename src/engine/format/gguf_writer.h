// The head of a GGUF v3 file: metadata and tensor table, in the order in which they are added.
// Nothing is written to a file here; the tensors' data follow the head, each at the next multiple
// of the alignment (gguf_writer_padding). One owner, one thread. A text or table that passes
// MODEL_ARENA_BYTES_MAX shows at gguf_writer_head.
#pragma once

#include "base/buf.h"
#include "engine/format/gguf.h"

struct gguf_writer {
    struct buf keys, tensors;
    uint64_t n_keys, n_tensors, data_bytes;
    uint32_t alignment;
};

void gguf_writer_init(struct gguf_writer *w, uint32_t alignment);
void gguf_writer_done(struct gguf_writer *w);

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_writer_f32(struct gguf_writer *w, const char *key, float v);
void gguf_writer_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_writer_str(struct gguf_writer *w, const char *key, str v);
void gguf_writer_strs(struct gguf_writer *w, const char *key, const str *v, uint32_t n);
void gguf_writer_f32s(struct gguf_writer *w, const char *key, const float *v, uint32_t n);
void gguf_writer_i32s(struct gguf_writer *w, const char *key, const int32_t *v, uint32_t n);
void gguf_writer_bools(struct gguf_writer *w, const char *key, const bool *v, uint32_t n);
// A key of another file, byte for byte.
void gguf_writer_copy(struct gguf_writer *w, const struct gguf_kv *kv);

// Its data have their place after those before.
void gguf_writer_tensor(struct gguf_writer *w, str name, enum tensor_type type, uint32_t n_dims,
                        const uint64_t *dims, uint64_t bytes);
// Zeros between `bytes` of data and the next tensor's.
size_t gguf_writer_padding(const struct gguf_writer *w, uint64_t bytes);
// Everything up to the first tensor's data; *ret is the caller's.
enum err gguf_writer_head(const struct gguf_writer *w, struct buf *ret, struct diag *d) MUST_USE;
