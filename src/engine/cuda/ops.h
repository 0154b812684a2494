// The kernels of one GPU as the engine's steps call them: which of them for a shape, and the grid.
// Pointers are the device's; work is queued (gpu.h).
#pragma once

#include "engine/cuda/gpu.h"
#include "engine/kernel/panel.h"

// Panels of the device: `data` of w is the device's. Of a only what the caller knows is filled in:
// the rest (panels, panel_bytes, outputs, cols) comes from w. At most GPU_ROWS_MAX rows.
enum err gpu_product(struct gpu *g, const struct panels *w, struct gpu_product_args *a,
                     struct diag *d) MUST_USE;
enum err gpu_embed(struct gpu *g, const struct panels *w, struct gpu_embed_args *a, size_t rows,
                   struct diag *d) MUST_USE; // as gpu_product
enum err gpu_norm(struct gpu *g, struct gpu_norm_args *a, size_t rows, struct diag *d) MUST_USE;
enum err gpu_quantise(struct gpu *g, struct gpu_quantise_args *a, size_t rows,
                      struct diag *d) MUST_USE; // n a multiple of 32
enum err gpu_gate(struct gpu *g, struct gpu_gate_args *a, size_t rows, struct diag *d) MUST_USE;
enum err gpu_store_kv(struct gpu *g, struct gpu_store_args *a, size_t rows,
                      struct diag *d) MUST_USE;
enum err gpu_attention(struct gpu *g, struct gpu_attention_args *a, size_t rows,
                       struct diag *d) MUST_USE;
enum err gpu_map(struct gpu *g, struct gpu_map_args *a, struct diag *d) MUST_USE;

// A device's copy of bytes that lie here: allocated, copied, waited for.
enum err gpu_copy_of(struct gpu *g, const void *from, size_t bytes, void *ret_pointer,
                     struct diag *d) MUST_USE;

enum { GPU_ROWS_MAX = 65535 };
