// Compiled with the dot-product extension (kernel.cmake); chosen only on a CPU that has it.
#if defined(__aarch64__)
#define VECTOR_NEON
#define VECTOR_DOT
#define KERNEL      kernel_neondot
#define KERNEL_NAME "neondot"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
#endif
