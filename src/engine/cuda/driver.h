// The part of NVIDIA's driver that weir uses, found at run time: the program is not linked with it
// and runs without it. The library is libcuda.so.1, or what $WEIR_CUDA_DRIVER names. Types and
// numbers are those of the driver's binary interface, which is stable across its versions.
//
// The first driver_open loads it, for the life of the process. The table is immutable; any thread
// may use it once a context is its own (gpu.h does that).
#pragma once

#include "base/err.h"

typedef int cu_result; // 0 is success
typedef int cu_device;
typedef uint64_t cu_address; // of the device's memory
typedef struct cu_context_object *cu_context;
typedef struct cu_module_object *cu_module;
typedef struct cu_function_object *cu_function;
typedef struct cu_stream_object *cu_stream;
typedef struct cu_event_object *cu_event;

enum cu_attribute {
    CU_MULTIPROCESSORS = 16,
    CU_CAPABILITY_MAJOR = 75,
    CU_CAPABILITY_MINOR = 76,
};

enum { CU_EVENT_DEFAULT = 0, CU_STREAM_NON_BLOCKING = 1 };

// name in this table, symbol in the library, parameters
#define CU_FUNCTIONS(X)                                                                            \
    X(init, cuInit, (unsigned flags))                                                              \
    X(driver_version, cuDriverGetVersion, (int *ret))                                              \
    X(error_name, cuGetErrorName, (cu_result e, const char **ret))                                 \
    X(error_text, cuGetErrorString, (cu_result e, const char **ret))                               \
    X(device_count, cuDeviceGetCount, (int *ret))                                                  \
    X(device_get, cuDeviceGet, (cu_device * ret, int index))                                       \
    X(device_name, cuDeviceGetName, (char *ret, int size, cu_device device))                       \
    X(device_memory, cuDeviceTotalMem_v2, (size_t *ret, cu_device device))                         \
    X(device_attribute, cuDeviceGetAttribute,                                                      \
      (int *ret, enum cu_attribute attribute, cu_device device))                                   \
    X(context_retain, cuDevicePrimaryCtxRetain, (cu_context * ret, cu_device device))              \
    X(context_release, cuDevicePrimaryCtxRelease_v2, (cu_device device))                           \
    X(context_set, cuCtxSetCurrent, (cu_context context))                                          \
    X(module_load, cuModuleLoadDataEx,                                                             \
      (cu_module * ret, const void *image, unsigned n, int *options, void **values))               \
    X(module_unload, cuModuleUnload, (cu_module module))                                           \
    X(module_function, cuModuleGetFunction,                                                        \
      (cu_function * ret, cu_module module, const char *name))                                     \
    X(memory_info, cuMemGetInfo_v2, (size_t *ret_free, size_t *ret_total))                         \
    X(memory_alloc, cuMemAlloc_v2, (cu_address * ret, size_t bytes))                               \
    X(memory_free, cuMemFree_v2, (cu_address p))                                                   \
    X(host_alloc, cuMemAllocHost_v2, (void **ret, size_t bytes))                                   \
    X(host_free, cuMemFreeHost, (void *p))                                                         \
    X(copy_in, cuMemcpyHtoDAsync_v2,                                                               \
      (cu_address to, const void *from, size_t bytes, cu_stream stream))                           \
    X(copy_out, cuMemcpyDtoHAsync_v2, (void *to, cu_address from, size_t bytes, cu_stream stream)) \
    X(copy_within, cuMemcpyDtoDAsync_v2,                                                           \
      (cu_address to, cu_address from, size_t bytes, cu_stream stream))                            \
    X(memory_fill, cuMemsetD8Async,                                                                \
      (cu_address p, unsigned char value, size_t bytes, cu_stream stream))                         \
    X(stream_create, cuStreamCreate, (cu_stream * ret, unsigned flags))                            \
    X(stream_destroy, cuStreamDestroy_v2, (cu_stream stream))                                      \
    X(stream_wait, cuStreamSynchronize, (cu_stream stream))                                        \
    X(event_create, cuEventCreate, (cu_event * ret, unsigned flags))                               \
    X(event_destroy, cuEventDestroy_v2, (cu_event event))                                          \
    X(event_record, cuEventRecord, (cu_event event, cu_stream stream))                             \
    X(event_wait, cuEventSynchronize, (cu_event event))                                            \
    X(event_elapsed_ms, cuEventElapsedTime, (float *ret, cu_event from, cu_event to))              \
    X(launch, cuLaunchKernel,                                                                      \
      (cu_function function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,  \
       unsigned block_y, unsigned block_z, unsigned shared_bytes, cu_stream stream,                \
       void **parameters, void **extra))

struct driver {
// NOLINTNEXTLINE(bugprone-macro-parentheses): these are declarations
#define CU_MEMBER(name, symbol, parameters) cu_result(*name) parameters;
    CU_FUNCTIONS(CU_MEMBER)
#undef CU_MEMBER
    void *library;
    const char *library_name;
    int version; // 1000 * major + 10 * minor, of the CUDA that the driver supports
};

// The process's one driver, opened at the first call; ERR_NOT_FOUND when there is none or no
// device can be had, with the remedy.
enum err driver_open(const struct driver **ret, struct diag *d) MUST_USE;
// `what` was tried and the driver answered e: its name and words into d. ERR_NOMEM where memory was
// short, else ERR_IO.
enum err driver_fail(const struct driver *drv, cu_result e, struct diag *d, const char *what);
#ifdef WEIR_ANALYZER
// An analyser looks at one file at a time and does not see that it is always an error.
static inline enum err driver_error(enum err some UNUSED)
{
    return ERR_IO;
}
#define driver_fail(drv, e, d, what) driver_error((driver_fail)(drv, e, d, what))
#endif

#define CU_TRY(drv, d, what, expr)                                                                 \
    do {                                                                                           \
        cu_result cu_try_ = (expr);                                                                \
        if (UNLIKELY(cu_try_ != 0))                                                                \
            return driver_fail(drv, cu_try_, d, what);                                             \
    } while (0)
