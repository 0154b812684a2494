// Matrix products on AMX tiles (Intel's Sapphire Rapids and later): bf16 factors, f32 sums.
#pragma once
#include "matmul.h"

int amx_usable(void); // asks the kernel for the tiles; call it once, before other threads start
// out[m][n] = (add ? out : 0) + a[m][k] * b[n][k]^T; the rows of out are out_step floats apart
void amx_product(size_t m, size_t n, size_t k, struct factor a, struct factor b, int add,
                 float *out, size_t out_step);
