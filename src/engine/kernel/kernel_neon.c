// Any 64-bit Arm.
#if defined(__aarch64__)
#define VECTOR_NEON
#define KERNEL      kernel_neon
#define KERNEL_NAME "neon"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
#endif
