// How fast a device is: reading its memory, multiply-adds of each kind at most, and weir's own
// exact products. Each figure is the best of several runs, timed by the device's clock, on a size
// that grows until a run takes milliseconds.
#pragma once

#include "engine/cuda/gpu.h"

enum gpu_figure {
    GPU_READ,      // bytes/s
    GPU_FMA,       // f32 operations/s (a multiply-add is two)
    GPU_BF16,      // matrix unit, operations/s
    GPU_INT8,      // matrix unit, operations/s
    GPU_MANY_F32,  // products of 512 rows: operations/s
    GPU_MANY_Q8_0, // operations/s
    GPU_ONE_F32,   // products of one row: bytes of weights/s
    GPU_ONE_Q8_0,  // bytes of weights/s
    GPU_FIGURES
};

struct gpu_speed {
    double figure[GPU_FIGURES]; // 0: this device cannot
};

const char *gpu_figure_name(enum gpu_figure f);  // "read_bytes_per_s"
const char *gpu_figure_label(enum gpu_figure f); // for people
bool gpu_figure_is_bytes(enum gpu_figure f);

enum err gpu_measure(struct gpu *g, struct gpu_speed *ret, struct diag *d) MUST_USE;
