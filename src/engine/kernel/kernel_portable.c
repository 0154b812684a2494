#define VECTOR_PORTABLE
#define KERNEL      kernel_portable
#define KERNEL_NAME "portable"
#include "engine/kernel/backends.h"
#include "engine/kernel/kernel_impl.h"
