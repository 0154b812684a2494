// Matrix products in one of two ways: bf16 factors on AMX tiles with f32 sums where the processor
// has them, f32 by OpenBLAS elsewhere.
//
// Which way is taken changes the last bits of a training run, so the trainer prints matmul_name().
// Thread: any; each thread keeps its own packing buffers.
#pragma once
#include <stddef.h>

struct factor { // element (i, k) is at base[i * step_i + k * step_k]; one of the steps is 1
    const float *base;
    size_t step_i, step_k;
};

void matmul_init(int allow_amx);
const char *matmul_name(void);
// out[m][n] = a[m][k] * b[n][k]^T, plus out if add; the rows of out are out_step floats apart
void matmul(size_t m, size_t n, size_t k, struct factor a, struct factor b, int add, float *out,
            size_t out_step);
