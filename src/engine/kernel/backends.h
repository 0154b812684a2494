// The tables that the kernel_<backend>.c files define. kernel.c chooses among them.
#pragma once

#include "engine/kernel/kernel.h"

#if defined(__x86_64__)
extern const struct kernel kernel_amx, kernel_avx512, kernel_avxvnni, kernel_avx2;
#elif defined(__aarch64__)
extern const struct kernel kernel_neondot, kernel_neon;
#endif
extern const struct kernel kernel_portable;
