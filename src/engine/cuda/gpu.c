#include "engine/cuda/gpu.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/cuda/driver.h"

#include "base/banned.h"

enum { CAPABILITY_MAJOR_MIN = 8, LOG_BYTES = 4096 };

// image.S
extern const char cuda_image_from[], cuda_image_end[];

// Every allocation, so that none outlives the gpu.
struct block {
    uint64_t at; // of the device, or of the host's
    bool host;
};

struct gpu {
    const struct driver *drv;
    struct gpu_info info;
    cu_device device;
    cu_context context;
    cu_module module;
    cu_stream stream;
    cu_event begin, end;
    cu_function functions[GPU_KERNEL_COUNT];
    struct block *blocks;
    size_t n_blocks, blocks_cap;
};

static const char *const KERNEL_NAMES[GPU_KERNEL_COUNT] = {
#define GPU_NAME(name, threads) #name,
    GPU_KERNELS(GPU_NAME)
#undef GPU_NAME
};

static const unsigned KERNEL_THREADS[GPU_KERNEL_COUNT] = {
#define GPU_THREADS(name, threads) threads,
    GPU_KERNELS(GPU_THREADS)
#undef GPU_THREADS
};

static size_t image_bytes(void)
{
    return (size_t)((uintptr_t)cuda_image_end - (uintptr_t)cuda_image_from);
}

bool gpu_built(void)
{
    return image_bytes() > 0;
}

// --- Which there are

static enum err describe(const struct driver *drv, int index, struct gpu_info *ret, struct diag *d)
{
    cu_device device;
    size_t bytes;
    struct gpu_info i = {.index = index, .cuda_version = drv->version};
    CU_TRY(drv, d, "asking for a device", drv->device_get(&device, index));
    CU_TRY(drv, d, "asking for its name", drv->device_name(i.name, (int)sizeof i.name - 1, device));
    CU_TRY(drv, d, "asking for its memory", drv->device_memory(&bytes, device));
    CU_TRY(drv, d, "asking what it can",
           drv->device_attribute(&i.multiprocessors, CU_MULTIPROCESSORS, device));
    CU_TRY(drv, d, "asking what it can",
           drv->device_attribute(&i.major, CU_CAPABILITY_MAJOR, device));
    CU_TRY(drv, d, "asking what it can",
           drv->device_attribute(&i.minor, CU_CAPABILITY_MINOR, device));
    i.memory_bytes = bytes;
    i.usable = i.major >= CAPABILITY_MAJOR_MIN;
    *ret = i;
    return ERR_OK;
}

enum err gpu_list(struct gpu_info *ret, size_t *ret_n, struct diag *d)
{
    const struct driver *drv;
    int n = 0;
    ERR_TRY(driver_open(&drv, d));
    CU_TRY(drv, d, "counting devices", drv->device_count(&n));
    if (n <= 0)
        return diag_set(d, ERR_NOT_FOUND,
                        "NVIDIA's driver is here but lets this process see no device: look at "
                        "CUDA_VISIBLE_DEVICES, and in a container pass the GPU on (--gpus all)");
    n = n < GPU_COUNT_MAX ? n : GPU_COUNT_MAX;
    for (int i = 0; i < n; i++)
        ERR_TRY(describe(drv, i, &ret[i], d));
    *ret_n = (size_t)n;
    return ERR_OK;
}

enum err gpu_parse_name(const char *name, int *ret_index, struct diag *d)
{
    uint64_t index = 0;
    str rest = str_of(name);
    bool good = str_starts(rest, STR("cuda"));
    rest = good ? str_sub(rest, 4, SIZE_MAX) : rest;
    if (good && rest.len)
        good = rest.ptr[0] == ':' && str_to_u64(str_sub(rest, 1, SIZE_MAX), &index) == ERR_OK;
    if (!good || index >= GPU_COUNT_MAX)
        return diag_set(
            d, ERR_INVALID,
            "device \"%s\": \"cpu\", \"cuda\" and \"cuda:N\" (N from 0 to %d) are known", name,
            GPU_COUNT_MAX - 1);
    *ret_index = (int)index;
    return ERR_OK;
}

// --- Life

static enum err choose(struct gpu *g, int index, struct diag *d)
{
    struct gpu_info all[GPU_COUNT_MAX];
    size_t n;
    if (!gpu_built())
        return diag_set(d, ERR_UNSUPPORTED,
                        "this weir was built without code for GPUs: build it where clang 16 or "
                        "newer is installed (Debian package clang-19)");
    ERR_TRY(driver_open(&g->drv, d));
    ERR_TRY(gpu_list(all, &n, d));
    if ((size_t)index >= n)
        return diag_set(d, ERR_NOT_FOUND, "there is no GPU %d: weir gpu lists the %zu there are",
                        index, n);
    g->info = all[index];
    if (!g->info.usable)
        return diag_set(d, ERR_UNSUPPORTED,
                        "GPU %d (%s) has compute capability %d.%d: weir needs %d.0 (Ampere) or "
                        "newer",
                        index, g->info.name, g->info.major, g->info.minor, CAPABILITY_MAJOR_MIN);
    CU_TRY(g->drv, d, "asking for a device", g->drv->device_get(&g->device, index));
    return ERR_OK;
}

// The driver's compiler makes machine code of the text; what it says about an error is worth
// passing on. (It keeps the result in its own cache on disk.)
static enum err load_code(struct gpu *g, struct diag *d)
{
    enum { OPTION_ERROR_LOG = 5, OPTION_ERROR_LOG_BYTES = 6 };
    char log[LOG_BYTES] = "";
    int options[] = {OPTION_ERROR_LOG, OPTION_ERROR_LOG_BYTES};
    void *values[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
    char *text = mem_strndup(cuda_image_from, image_bytes()); // ends with NUL
    cu_result e = g->drv->module_load(&g->module, text, ARRAY_LEN(options), options, values);
    mem_free(text);
    if (e == 0)
        return ERR_OK;
    enum err err = driver_fail(g->drv, e, d, "compiling weir's kernels");
    diag_where(d, "%.100s", log);
    return err;
}

static enum err start(struct gpu *g, struct diag *d)
{
    const struct driver *drv = g->drv;
    CU_TRY(drv, d, "opening the device", drv->context_retain(&g->context, g->device));
    CU_TRY(drv, d, "opening the device", drv->context_set(g->context));
    ERR_TRY(load_code(g, d));
    for (size_t i = 0; i < GPU_KERNEL_COUNT; i++)
        CU_TRY(drv, d, KERNEL_NAMES[i],
               drv->module_function(&g->functions[i], g->module, KERNEL_NAMES[i]));
    CU_TRY(drv, d, "making a queue", drv->stream_create(&g->stream, CU_STREAM_NON_BLOCKING));
    CU_TRY(drv, d, "making a clock", drv->event_create(&g->begin, CU_EVENT_DEFAULT));
    CU_TRY(drv, d, "making a clock", drv->event_create(&g->end, CU_EVENT_DEFAULT));
    return ERR_OK;
}

enum err gpu_open(int index, struct gpu **ret, struct diag *d)
{
    struct gpu *g = mem_new(struct gpu);
    enum err e = choose(g, index, d);
    if (e == ERR_OK)
        e = start(g, d);
    if (e != ERR_OK) {
        gpu_close(g);
        return e;
    }
    *ret = g;
    return ERR_OK;
}

static void give_back(struct gpu *g, const struct block *b)
{
    if (b->host)
        (void)g->drv->host_free((void *)(uintptr_t)b->at);
    else
        (void)g->drv->memory_free(b->at);
}

void gpu_close(struct gpu *g)
{
    if (!g)
        return;
    if (g->context) {
        (void)g->drv->context_set(g->context);
        if (g->stream)
            (void)g->drv->stream_wait(g->stream);
        for (size_t i = 0; i < g->n_blocks; i++)
            give_back(g, &g->blocks[i]);
        if (g->begin)
            (void)g->drv->event_destroy(g->begin);
        if (g->end)
            (void)g->drv->event_destroy(g->end);
        if (g->stream)
            (void)g->drv->stream_destroy(g->stream);
        if (g->module)
            (void)g->drv->module_unload(g->module);
        (void)g->drv->context_release(g->device);
    }
    mem_free(g->blocks);
    mem_free(g);
}

const struct gpu_info *gpu_info(const struct gpu *g)
{
    return &g->info;
}

// A thread's first call makes the device its own; later ones cost next to nothing.
static enum err enter(struct gpu *g, struct diag *d)
{
    CU_TRY(g->drv, d, "entering the device", g->drv->context_set(g->context));
    return ERR_OK;
}

uint64_t gpu_memory_free(struct gpu *g)
{
    size_t free_bytes = 0, total = 0;
    if (enter(g, NULL) != ERR_OK || g->drv->memory_info(&free_bytes, &total) != 0)
        return 0;
    return free_bytes;
}

// --- Memory

static void keep(struct gpu *g, uint64_t at, bool host)
{
    if (g->n_blocks == g->blocks_cap) {
        g->blocks_cap = g->blocks_cap ? 2 * g->blocks_cap : 64;
        g->blocks = mem_resize(g->blocks, g->blocks_cap, sizeof *g->blocks);
    }
    g->blocks[g->n_blocks++] = (struct block){at, host};
}

enum err gpu_alloc(struct gpu *g, size_t bytes, void *ret_pointer, struct diag *d)
{
    cu_address at;
    ERR_TRY(enter(g, d));
    cu_result e = g->drv->memory_alloc(&at, bytes ? bytes : 1);
    if (e) {
        enum err err = driver_fail(g->drv, e, d, "asking for memory");
        if (err != ERR_NOMEM)
            return err;
        return diag_set(d, ERR_NOMEM,
                        "GPU %d has no %.1f MB of memory left: take a smaller model or context, or "
                        "end what else runs on it",
                        g->info.index, (double)bytes / 1e6);
    }
    keep(g, at, false);
    uintptr_t p = (uintptr_t)at;
    memcpy(ret_pointer, &p, sizeof p);
    return ERR_OK;
}

enum err gpu_alloc_host(struct gpu *g, size_t bytes, void *ret_pointer, struct diag *d)
{
    void *p;
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "asking for memory that is copied fast",
           g->drv->host_alloc(&p, bytes ? bytes : 1));
    keep(g, (uintptr_t)p, true);
    memcpy(ret_pointer, &p, sizeof p);
    return ERR_OK;
}

void gpu_free(struct gpu *g, const void *p)
{
    for (size_t i = 0; p && i < g->n_blocks; i++)
        if (g->blocks[i].at == (uintptr_t)p) {
            if (enter(g, NULL) == ERR_OK)
                give_back(g, &g->blocks[i]);
            g->blocks[i] = g->blocks[--g->n_blocks];
            return;
        }
    ASSERT(!p);
}

// --- Work

static cu_address address(const void *p)
{
    return (uintptr_t)p;
}

enum err gpu_write(struct gpu *g, void *to, const void *from, size_t bytes, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "copying to the device",
           g->drv->copy_in(address(to), from, bytes, g->stream));
    return ERR_OK;
}

enum err gpu_move(struct gpu *g, void *to, const void *from, size_t bytes, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "copying on the device",
           g->drv->copy_within(address(to), address(from), bytes, g->stream));
    return ERR_OK;
}

enum err gpu_fill(struct gpu *g, void *to, uint8_t value, size_t bytes, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "filling memory", g->drv->memory_fill(address(to), value, bytes, g->stream));
    return ERR_OK;
}

enum err gpu_wait(struct gpu *g, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "computing", g->drv->stream_wait(g->stream));
    return ERR_OK;
}

enum err gpu_read(struct gpu *g, void *to, const void *from, size_t bytes, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "copying from the device",
           g->drv->copy_out(to, address(from), bytes, g->stream));
    return gpu_wait(g, d);
}

enum err gpu_launch(struct gpu *g, enum gpu_kernel kernel, unsigned grid_x, unsigned grid_y,
                    void *args, struct diag *d)
{
    void *parameters[] = {args};
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, KERNEL_NAMES[kernel],
           g->drv->launch(g->functions[kernel], grid_x, grid_y, 1, KERNEL_THREADS[kernel], 1, 1, 0,
                          g->stream, parameters, NULL));
    return ERR_OK;
}

enum err gpu_time_begin(struct gpu *g, struct diag *d)
{
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "reading the clock", g->drv->event_record(g->begin, g->stream));
    return ERR_OK;
}

enum err gpu_time_end(struct gpu *g, double *ret_seconds, struct diag *d)
{
    float ms;
    ERR_TRY(enter(g, d));
    CU_TRY(g->drv, d, "reading the clock", g->drv->event_record(g->end, g->stream));
    CU_TRY(g->drv, d, "computing", g->drv->event_wait(g->end));
    CU_TRY(g->drv, d, "reading the clock", g->drv->event_elapsed_ms(&ms, g->begin, g->end));
    *ret_seconds = (double)ms / 1e3;
    return ERR_OK;
}
