#include "support/ptx_driver.h"

#include <stdio.h>
#include <stdlib.h>

void ptx_driver_or_skip(void)
{
    const char *path = getenv("WEIR_PTX_DRIVER");
    if (!path || !*path) {
        printf("skipped: no code for GPUs in this build (clang 16 or newer makes it; scripts/setup "
               "check)\n");
        exit(77);
    }
    setenv("WEIR_CUDA_DRIVER", path, 1);
}
