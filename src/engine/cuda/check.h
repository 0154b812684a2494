// Whether a device computes what this machine's processor computes: every kernel of kernels.h on
// made numbers (ordinary ones, zeros, subnormals, very large and very small ones), at shapes that
// reach its edges, against the processor's best backend, bit for bit.
#pragma once

#include "engine/cuda/gpu.h"

struct gpu_check {
    size_t checks, values;    // how many were made, over how many numbers
    size_t different;         // numbers that have other bits
    double largest;           // difference of those that are finite
    char first_different[80]; // which check it was, or empty
};

// ERR_OK also where numbers differ: *ret says so.
enum err gpu_check(struct gpu *g, struct gpu_check *ret, struct diag *d) MUST_USE;
