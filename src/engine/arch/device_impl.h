// The inside of a model on a GPU, shared by device*.c.
#pragma once

#include "engine/arch/device.h"
#include "engine/cuda/ops.h"

#define HEAD_ROWS  64 // logits of so many rows are on the device at once
#define CHUNKS_MAX 65536

struct device {
    struct gpu *gpu;
    struct model *m;
    struct layer *layers; // the model's, with pointers of the device
    struct norm output_norm;
    struct matrix head;
    float *learned;         // position rows, or NULL
    float *cosines, *sines; // [n_ctx][rope_dims / 2], filled as far as positions have come
    uint32_t n_angles;
    struct slice slice;     // buffers of the device
    size_t n_out, n_logits; // rows whose last state is wanted; those that want logits first
    float *logits, *scores;
    size_t logits_stride, scores_floats;
    // K and V by the engine's block numbers: chunks that are asked for when one of their blocks is
    // first written.
    uint8_t **chunks, **chunks_there;
    size_t n_chunks, blocks_a_chunk;
    // What a pass is told: tokens, positions, where each row's block table begins, rows wanted, and
    // the tables. Built here, copied there at once.
    uint32_t *told, *told_there;
    size_t told_cap, n_told, told_there_cap;
    uint32_t *tokens, *positions, *table_at, *pick, *tables; // of the device
    uint32_t position_max;
    float *rows_here; // room for logits, states or embeddings of HEAD_ROWS rows, copied fast
    enum err error;   // the first of this pass
    struct diag diag;
};

// The first error of a pass is kept; what follows is not tried.
#define DEVICE_DO(dev, expr)                                                                       \
    do {                                                                                           \
        if ((dev)->error == ERR_OK)                                                                \
            (dev)->error = (expr);                                                                 \
    } while (0)

static inline size_t device_row_floats(const struct device *dev)
{
    return max_size(dev->logits_stride, dev->slice.embd_stride);
}
