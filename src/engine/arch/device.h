// A model on a GPU: its weights, K and V there, and the steps of a pass as kernels of engine/cuda,
// with the same bits. The pass is the architecture's own: its steps come here when the model has a
// device. What the device reports is kept until the pass ends. Used by one thread at a time.
#pragma once

#include "engine/arch/model_impl.h"
#include "engine/cuda/gpu.h"

#define DEVICE_ROWS 512 // of one pass

struct device;

// Weights are copied from the model, whose own copies of the matrices are given back. `check`: the
// device is refused unless it computes this processor's bits.
enum err device_open(struct model *m, const char *name, bool check, struct diag *d) MUST_USE;
void device_free(struct device *dev);
// Bytes that K and V may still take there.
uint64_t device_kv_room(const struct device *dev);
// Rows in range. *ret_bad_row, where a result is not finite: the first such row; other rows are
// good.
enum err device_forward(struct model *m, const struct model_row *rows, size_t n,
                        size_t *ret_bad_row, struct diag *d) MUST_USE;

// The steps (model_impl.h) on the device.
void device_norm(struct member *me, const struct norm *norm, bool quantised);
void device_quantise(struct member *me, const float *in, size_t stride, size_t n);
void device_products(struct member *me, const struct product *list, size_t n, const float *in,
                     size_t in_stride, enum after after);
void device_gated(struct member *me, const struct layer *l);
void device_store_kv(struct member *me, const struct layer *l, size_t layer);
void device_attention(struct member *me, size_t layer);
