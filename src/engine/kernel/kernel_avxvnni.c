// Compiled with AVX2, FMA, F16C and AVX-VNNI (kernel.cmake); chosen only on a CPU that has them.
#if defined(__x86_64__)
#define VECTOR_AVX2
#define VECTOR_VNNI
#define KERNEL      kernel_avxvnni
#define KERNEL_NAME "avxvnni"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
#endif
