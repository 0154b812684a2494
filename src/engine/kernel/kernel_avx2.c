// Compiled with AVX2, FMA, F16C (kernel.cmake); chosen only on a CPU that has them.
#if defined(__x86_64__)
#define VECTOR_AVX2
#define KERNEL      kernel_avx2
#define KERNEL_NAME "avx2"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
#endif
