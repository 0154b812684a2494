// Writes GGUF v3 files, for tests and generators: metadata and tensors in the order they are added,
// tensors row by row, so that a large file never stands in memory whole. Strings and arrays are
// copied; a tensor's fill function is called at gguf_write_to. Aborts on misuse. One thread.
#pragma once

#include "base/buf.h"
#include "engine/format/model_file.h"

struct gguf_write;

struct gguf_write *gguf_write_new(void);
void gguf_write_free(struct gguf_write *w);

void gguf_write_u32(struct gguf_write *w, const char *key, uint32_t v);
void gguf_write_u64(struct gguf_write *w, const char *key, uint64_t v);
void gguf_write_f32(struct gguf_write *w, const char *key, float v);
void gguf_write_bool(struct gguf_write *w, const char *key, bool v);
void gguf_write_str(struct gguf_write *w, const char *key, str v);
void gguf_write_strs(struct gguf_write *w, const char *key, const str *v, size_t n);
void gguf_write_f32s(struct gguf_write *w, const char *key, const float *v, size_t n);
void gguf_write_i32s(struct gguf_write *w, const char *key, const int32_t *v, size_t n);

// Row `row` (dims[0] values) into out.
typedef void (*gguf_write_row_fn)(void *ctx, uint64_t row, float *out);
// dims as GGUF's: dims[0] contiguous. ctx must live until gguf_write_to.
void gguf_write_tensor(struct gguf_write *w, const char *name, enum tensor_type type,
                       uint32_t n_dims, const uint64_t *dims, gguf_write_row_fn fill, void *ctx);

// false from the sink ends the writing.
typedef bool (*gguf_write_sink_fn)(void *ctx, const void *data, size_t len);
bool gguf_write_to(struct gguf_write *w, gguf_write_sink_fn sink, void *ctx) MUST_USE;
// The same into a buf (whose limit must suffice).
void gguf_write_image(struct gguf_write *w, struct buf *out);
