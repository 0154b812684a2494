// A driver for the machine of machine.h, with the functions of NVIDIA's that weir uses: a library
// that $WEIR_CUDA_DRIVER names. One device; everything is done at once. Fresh memory holds
// not-a-numbers. $WEIR_PTX_BACKWARDS=1: threads and blocks run in descending order.
// $WEIR_PTX_UNFUSED=1: it computes wrong. $WEIR_PTX_FAIL=NAME: the call or kernel of that name
// fails. $WEIR_PTX_MEMORY=BYTES: it has no more. $WEIR_PTX_DEVICES=0: no device.
// $WEIR_PTX_CAPABILITY=N: of compute capability N.0.
#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/cuda/driver.h"

enum {
    OK = 0,
    INVALID = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_IMAGE = 200,
    NOT_FOUND = 500,
    FAILED = 719,
    UNSUPPORTED = 801
};
enum { MEMORY_BYTES = 1 << 30, ALLOCATIONS_MAX = 4096, VERSION = 12000 };

struct allocation {
    uint64_t at;
    size_t bytes;
};

static struct allocation allocations[ALLOCATIONS_MAX];
static size_t n_allocations, bytes_used, last_hit;
static int failed; // like a GPU's context: nothing works after a fault

static size_t memory_bytes(void)
{
    const char *value = getenv("WEIR_PTX_MEMORY");
    return value ? strtoull(value, NULL, 10) : MEMORY_BYTES;
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);
    return value && strcmp(value, "1") == 0;
}

static bool told_to_fail(const char *name)
{
    const char *which = getenv("WEIR_PTX_FAIL");
    return which && strcmp(which, name) == 0;
}

#define MAY_FAIL(name)                                                                             \
    do {                                                                                           \
        if (failed || told_to_fail(name))                                                          \
            return failed ? failed : FAILED;                                                       \
    } while (0)

static bool within(const struct allocation *a, uint64_t at, size_t bytes)
{
    return at >= a->at && at + bytes <= a->at + a->bytes;
}

static bool may(uint64_t at, size_t bytes)
{
    if (last_hit < n_allocations && within(&allocations[last_hit], at, bytes))
        return true;
    for (last_hit = 0; last_hit < n_allocations; last_hit++)
        if (within(&allocations[last_hit], at, bytes))
            return true;
    return false;
}

// --- The functions that driver.h names

#define DECLARE(name, symbol, parameters)                                                          \
    __attribute__((visibility("default"))) cu_result symbol parameters;
CU_FUNCTIONS(DECLARE)
#undef DECLARE

struct cu_module_object {
    struct ptx_module *ptx;
};

struct cu_function_object {
    struct ptx_module *ptx;
    struct ptx_kernel *kernel;
};

struct cu_event_object {
    struct timespec at;
};

static bool has_device(void)
{
    const char *n = getenv("WEIR_PTX_DEVICES");
    return !n || strcmp(n, "0") != 0;
}

cu_result cuInit(unsigned flags)
{
    (void)flags;
    MAY_FAIL("cuInit");
    return has_device() ? OK : NO_DEVICE;
}

cu_result cuDriverGetVersion(int *ret)
{
    *ret = VERSION;
    return OK;
}

cu_result cuGetErrorName(cu_result e, const char **ret)
{
    *ret = e == OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
           : e == INVALID_IMAGE ? "CUDA_ERROR_INVALID_IMAGE"
           : e == UNSUPPORTED   ? "CUDA_ERROR_NOT_SUPPORTED"
                                : "CUDA_ERROR_LAUNCH_FAILED";
    return OK;
}

cu_result cuGetErrorString(cu_result e, const char **ret)
{
    (void)e;
    *ret = "the test's machine";
    return OK;
}

cu_result cuDeviceGetCount(int *ret)
{
    *ret = 1;
    return OK;
}

cu_result cuDeviceGet(cu_device *ret, int index)
{
    *ret = 0;
    return index == 0 ? OK : INVALID;
}

cu_result cuDeviceGetName(char *ret, int size, cu_device device)
{
    (void)device;
    snprintf(ret, (size_t)size, "PTX machine of the tests");
    return OK;
}

cu_result cuDeviceTotalMem_v2(size_t *ret, cu_device device)
{
    (void)device;
    *ret = memory_bytes();
    return OK;
}

cu_result cuDeviceGetAttribute(int *ret, enum cu_attribute attribute, cu_device device)
{
    (void)device;
    *ret = attribute == CU_MULTIPROCESSORS ? 1 : attribute == CU_CAPABILITY_MAJOR ? 8 : 0;
    const char *major = getenv("WEIR_PTX_CAPABILITY");
    if (attribute == CU_CAPABILITY_MAJOR && major)
        *ret = (int)strtol(major, NULL, 10);
    return OK;
}

cu_result cuDevicePrimaryCtxRetain(cu_context *ret, cu_device device)
{
    static int context;
    (void)device;
    MAY_FAIL("cuDevicePrimaryCtxRetain");
    *ret = (cu_context)(void *)&context;
    return OK;
}

cu_result cuDevicePrimaryCtxRelease_v2(cu_device device)
{
    (void)device;
    failed = 0;
    return OK;
}

cu_result cuCtxSetCurrent(cu_context context)
{
    return context ? OK : INVALID;
}

cu_result cuModuleLoadDataEx(cu_module *ret, const void *image, unsigned n, int *options,
                             void **values)
{
    char error[512];
    MAY_FAIL("cuModuleLoadDataEx");
    struct ptx_module *m = ptx_parse(image, error, sizeof error);
    if (!m) {
        for (unsigned i = 0; i + 1 < n; i++)
            if (options[i] == 5) // the error log, its size in the next
                snprintf(values[i], (size_t)(uintptr_t)values[i + 1], "%s", error);
        fprintf(stderr, "ptx: %s\n", error);
        return INVALID_IMAGE;
    }
    *ret = malloc(sizeof **ret);
    if (!*ret)
        abort();
    (*ret)->ptx = m;
    return OK;
}

// Functions live as long as their module: they are few, and found by their kernel.
cu_result cuModuleUnload(cu_module m)
{
    ptx_module_free(m->ptx);
    free(m);
    return OK;
}

cu_result cuModuleGetFunction(cu_function *ret, cu_module m, const char *name)
{
    static struct cu_function_object functions[256];
    static size_t n;
    struct ptx_kernel *k = ptx_find(m->ptx, name);
    if (!k)
        return NOT_FOUND;
    struct cu_function_object *f = &functions[n++ % (sizeof functions / sizeof *functions)];
    *f = (struct cu_function_object){m->ptx, k};
    *ret = f;
    return OK;
}

cu_result cuMemGetInfo_v2(size_t *ret_free, size_t *ret_total)
{
    *ret_free = memory_bytes() > bytes_used ? memory_bytes() - bytes_used : 0;
    *ret_total = memory_bytes();
    return OK;
}

cu_result cuMemAlloc_v2(cu_address *ret, size_t bytes)
{
    MAY_FAIL("cuMemAlloc_v2");
    if (bytes + bytes_used > memory_bytes() || n_allocations == ALLOCATIONS_MAX)
        return OUT_OF_MEMORY;
    void *p = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!p)
        return OUT_OF_MEMORY;
    memset(p, 0xFF, bytes);
    allocations[n_allocations++] = (struct allocation){(uintptr_t)p, bytes};
    bytes_used += bytes;
    *ret = (uintptr_t)p;
    return OK;
}

cu_result cuMemFree_v2(cu_address p)
{
    for (size_t i = 0; i < n_allocations; i++)
        if (allocations[i].at == p) {
            bytes_used -= allocations[i].bytes;
            free((void *)(uintptr_t)p);
            allocations[i] = allocations[--n_allocations];
            return OK;
        }
    return INVALID;
}

cu_result cuMemAllocHost_v2(void **ret, size_t bytes)
{
    MAY_FAIL("cuMemAllocHost_v2");
    *ret = malloc(bytes);
    return *ret ? OK : OUT_OF_MEMORY;
}

cu_result cuMemFreeHost(void *p)
{
    free(p);
    return OK;
}

cu_result cuMemcpyHtoDAsync_v2(cu_address to, const void *from, size_t bytes, cu_stream stream)
{
    (void)stream;
    MAY_FAIL("cuMemcpyHtoDAsync_v2");
    if (!may(to, bytes))
        return INVALID;
    memcpy((void *)(uintptr_t)to, from, bytes);
    return OK;
}

cu_result cuMemcpyDtoHAsync_v2(void *to, cu_address from, size_t bytes, cu_stream stream)
{
    (void)stream;
    MAY_FAIL("cuMemcpyDtoHAsync_v2");
    if (!may(from, bytes))
        return INVALID;
    memcpy(to, (const void *)(uintptr_t)from, bytes);
    return OK;
}

cu_result cuMemcpyDtoDAsync_v2(cu_address to, cu_address from, size_t bytes, cu_stream stream)
{
    (void)stream;
    MAY_FAIL("cuMemcpyDtoDAsync_v2");
    if (!may(to, bytes) || !may(from, bytes))
        return INVALID;
    memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes);
    return OK;
}

cu_result cuMemsetD8Async(cu_address p, unsigned char value, size_t bytes, cu_stream stream)
{
    (void)stream;
    MAY_FAIL("cuMemsetD8Async");
    if (!may(p, bytes))
        return INVALID;
    memset((void *)(uintptr_t)p, value, bytes);
    return OK;
}

cu_result cuStreamCreate(cu_stream *ret, unsigned flags)
{
    static int stream;
    (void)flags;
    *ret = (cu_stream)(void *)&stream;
    return OK;
}

cu_result cuStreamDestroy_v2(cu_stream stream)
{
    (void)stream;
    return OK;
}

cu_result cuStreamSynchronize(cu_stream stream)
{
    (void)stream;
    MAY_FAIL("cuStreamSynchronize");
    return OK;
}

cu_result cuEventCreate(cu_event *ret, unsigned flags)
{
    (void)flags;
    *ret = malloc(sizeof **ret);
    return *ret ? OK : OUT_OF_MEMORY;
}

cu_result cuEventDestroy_v2(cu_event event)
{
    free(event);
    return OK;
}

cu_result cuEventRecord(cu_event event, cu_stream stream)
{
    (void)stream;
    clock_gettime(CLOCK_MONOTONIC, &event->at);
    return OK;
}

cu_result cuEventSynchronize(cu_event event)
{
    (void)event;
    return OK;
}

cu_result cuEventElapsedTime(float *ret, cu_event from, cu_event to)
{
    double ms = (double)(to->at.tv_sec - from->at.tv_sec) * 1e3 +
                (double)(to->at.tv_nsec - from->at.tv_nsec) / 1e6;
    *ret = (float)ms;
    return OK;
}

cu_result cuLaunchKernel(cu_function f, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                         unsigned block_x, unsigned block_y, unsigned block_z,
                         unsigned shared_bytes, cu_stream stream, void **parameters, void **extra)
{
    char error[512];
    (void)stream;
    (void)extra;
    MAY_FAIL("cuLaunchKernel");
    MAY_FAIL(f->kernel->name);
    if (!grid_x || !grid_y || grid_y > 65535 || grid_z != 1 || !block_x || block_x > 1024 ||
        block_y != 1 || block_z != 1 || shared_bytes)
        return INVALID;
    if (f->kernel->needs_matrix_unit)
        return UNSUPPORTED;
    const struct ptx_grid grid = {grid_x, grid_y, block_x, is_set("WEIR_PTX_BACKWARDS"),
                                  is_set("WEIR_PTX_UNFUSED")};
    if (ptx_run(f->ptx, f->kernel, &grid, parameters[0], may, error, sizeof error))
        return OK;
    fprintf(stderr, "ptx: %s\n", error);
    failed = FAILED;
    return failed;
}
