// Compiled with AVX-512 F, BW, DQ, VL, VNNI (kernel.cmake); chosen only on a CPU that has them.
#if defined(__x86_64__)
#define VECTOR_AVX512
#define KERNEL      kernel_avx512
#define KERNEL_NAME "avx512"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
#include "engine/kernel/tiles.h"

const struct kernel kernel_amx = KERNEL_TABLE("amx", tiles_matmul);
#endif
