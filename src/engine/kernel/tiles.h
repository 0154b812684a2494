// Products with quantised weights by a matrix unit (Intel's AMX, 8-bit tiles): the sums of a block
// are exact integers in any order, so they are the same bits as those of the vector kernels, at
// several times the speed where many rows come together. The rest is the AVX-512 backend's.
#pragma once

#include "engine/kernel/kernel.h"

struct panels;

// Whether this CPU has it and the system lets this process use it (asked once; Linux).
bool tiles_here(void);
// kernel.h's matmul.
void tiles_matmul(const struct panels *w, size_t from, size_t to, const struct matmul_in *in,
                  size_t m, float *const *out);
