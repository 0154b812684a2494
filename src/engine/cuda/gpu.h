// One GPU: what it is, its memory, and the kernels of kernels.h on it, in one queue that works in
// order. All of a gpu's calls come from one thread at a time; another thread may take over between
// two calls. Work is queued; gpu_wait (or gpu_read, which waits) is where it is known to be done,
// and where an earlier failure shows at the latest. Memory that was not given back goes with
// gpu_close.
#pragma once

#include "base/err.h"
#include "engine/cuda/kernels.h"

struct gpu;

enum { GPU_COUNT_MAX = 64 };

struct gpu_info {
    int index;
    char name[128];
    uint64_t memory_bytes;
    int multiprocessors;
    int major, minor; // compute capability
    int cuda_version; // of the driver: 1000 * major + 10 * minor
    bool usable;      // weir's kernels run on it (compute capability 8.0 or newer)
};

// The devices, at most GPU_COUNT_MAX; ERR_NOT_FOUND when there is no driver or no device, with the
// remedy.
enum err gpu_list(struct gpu_info *ret, size_t *ret_n, struct diag *d) MUST_USE;
// Whether this program carries code for a GPU at all (it was built where clang was).
bool gpu_built(void);

// "cuda", "cuda:1": the device's index.
enum err gpu_parse_name(const char *name, int *ret_index, struct diag *d) MUST_USE;
// ERR_UNSUPPORTED: no code for GPUs in this program, or the device is too old.
enum err gpu_open(int index, struct gpu **ret, struct diag *d) MUST_USE;
void gpu_close(struct gpu *g);
const struct gpu_info *gpu_info(const struct gpu *g);
uint64_t gpu_memory_free(struct gpu *g);

// Memory of the device as a pointer that only kernels may follow. ERR_NOMEM.
enum err gpu_alloc(struct gpu *g, size_t bytes, void *ret_pointer, struct diag *d) MUST_USE;
void gpu_free(struct gpu *g, const void *p);
// Memory here that is copied fast from and to the device.
enum err gpu_alloc_host(struct gpu *g, size_t bytes, void *ret_pointer, struct diag *d) MUST_USE;

// In the queue's order. `from` of gpu_write must stay until gpu_wait.
enum err gpu_write(struct gpu *g, void *to, const void *from, size_t bytes,
                   struct diag *d) MUST_USE;
enum err gpu_move(struct gpu *g, void *to, const void *from, size_t bytes, struct diag *d) MUST_USE;
enum err gpu_fill(struct gpu *g, void *to, uint8_t value, size_t bytes, struct diag *d) MUST_USE;
// Queued, then waited for.
enum err gpu_read(struct gpu *g, void *to, const void *from, size_t bytes, struct diag *d) MUST_USE;
enum err gpu_wait(struct gpu *g, struct diag *d) MUST_USE;

// `args` is the struct that kernels.h names for this kernel; it is copied.
enum err gpu_launch(struct gpu *g, enum gpu_kernel kernel, unsigned grid_x, unsigned grid_y,
                    void *args, struct diag *d) MUST_USE;

// Seconds by the device's own clock from begin to end.
enum err gpu_time_begin(struct gpu *g, struct diag *d) MUST_USE;
enum err gpu_time_end(struct gpu *g, double *ret_seconds, struct diag *d) MUST_USE;
