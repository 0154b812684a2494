#include <stdio.h>
#include <stdlib.h>

#include "engine/cuda/gpu.h"
#include "support/ptx_driver.h"

void gpu_or_skip(void)
{
    struct gpu_info all[GPU_COUNT_MAX];
    struct diag d = {0};
    size_t n;
    if (gpu_built() && gpu_list(all, &n, &d) == ERR_OK && all[0].usable)
        return;
    printf("skipped: %s\n", !gpu_built()
                                ? "no code for GPUs in this build (clang 16 or newer makes "
                                  "it; scripts/setup check)"
                            : d.code ? d.text
                                     : "the first GPU is too old");
    exit(77);
}
