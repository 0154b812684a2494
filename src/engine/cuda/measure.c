#include "engine/cuda/measure.h"

#include <string.h>

#include "engine/cuda/ops.h"

#include "base/banned.h"

enum { BEST_OF = 5, BLOCKS_A_MULTIPROCESSOR = 8, ROWS = 512 };
#define LONG_ENOUGH_S 0.004

static const struct {
    const char *name, *label;
    bool bytes;
} FIGURES[GPU_FIGURES] = {
    [GPU_READ] = {"read_bytes_per_s", "reading its memory", true},
    [GPU_FMA] = {"fma_f32_per_s", "f32 multiply-adds", false},
    [GPU_BF16] = {"matrix_bf16_per_s", "matrix unit, bf16", false},
    [GPU_INT8] = {"matrix_int8_per_s", "matrix unit, int8", false},
    [GPU_MANY_F32] = {"product_f32_per_s", "exact products, F32, 512 rows", false},
    [GPU_MANY_Q8_0] = {"product_q8_0_per_s", "exact products, Q8_0, 512 rows", false},
    [GPU_ONE_F32] = {"row_f32_bytes_per_s", "exact products, F32, one row", true},
    [GPU_ONE_Q8_0] = {"row_q8_0_bytes_per_s", "exact products, Q8_0, one row", true},
};

const char *gpu_figure_name(enum gpu_figure f)
{
    return FIGURES[f].name;
}

const char *gpu_figure_label(enum gpu_figure f)
{
    return FIGURES[f].label;
}

bool gpu_figure_is_bytes(enum gpu_figure f)
{
    return FIGURES[f].bytes;
}

// What a figure is taken with.
struct bench {
    struct gpu *g;
    void *from, *out; // the device's
};

// One run of a size; what it does is counted in *ret_work (operations or bytes).
typedef enum err run_fn(const struct bench *b, enum gpu_figure f, uint64_t size, double *ret_work,
                        struct diag *d);

static enum err timed(const struct bench *b, enum gpu_figure f, run_fn *run, uint64_t size,
                      double *ret_work, double *ret_s, struct diag *d)
{
    ERR_TRY(gpu_time_begin(b->g, d));
    ERR_TRY(run(b, f, size, ret_work, d));
    return gpu_time_end(b->g, ret_s, d);
}

// The size grows until a run is long enough; then the best of several.
static enum err measure(const struct bench *b, enum gpu_figure f, run_fn *run, uint64_t from,
                        uint64_t to, double *ret, struct diag *d)
{
    double work, s, best = 0;
    uint64_t size = from;
    for (;; size *= 2) {
        ERR_TRY(timed(b, f, run, size, &work, &s, d));
        if (s >= LONG_ENOUGH_S || size * 2 > to)
            break;
    }
    for (int i = 0; i < BEST_OF && (i == 0 || s * i < 1.0); i++) { // a slow one is not run often
        ERR_TRY(timed(b, f, run, size, &work, &s, d));
        if (s > 0 && work / s > best)
            best = work / s;
    }
    *ret = best;
    return ERR_OK;
}

// --- The device's own limits

static unsigned blocks_of(const struct gpu *g)
{
    return (unsigned)gpu_info(g)->multiprocessors * BLOCKS_A_MULTIPROCESSOR;
}

static enum err run_read(const struct bench *b, enum gpu_figure f, uint64_t size, double *ret_work,
                         struct diag *d)
{
    (void)f;
    struct gpu_measure_args a = {.from = b->from, .out = b->out, .n = size / 16};
    *ret_work = (double)size;
    return gpu_launch(b->g, GPU_KERNEL_measure_read, blocks_of(b->g), 1, &a, d);
}

static enum err run_registers(const struct bench *b, enum gpu_figure f, uint64_t turns,
                              double *ret_work, struct diag *d)
{
    enum gpu_kernel kernel = f == GPU_FMA    ? GPU_KERNEL_measure_fma
                             : f == GPU_BF16 ? GPU_KERNEL_measure_bf16
                                             : GPU_KERNEL_measure_int8;
    double a_thread = f == GPU_FMA    ? 2
                      : f == GPU_BF16 ? 2.0 * 16 * 16 * 8 / 32
                                      : 2.0 * 16 * 32 * 8 / 32;
    struct gpu_measure_args a = {.out = b->out, .turns = (uint32_t)turns};
    *ret_work = a_thread * GPU_MEASURE_CHAINS * 256.0 * blocks_of(b->g) * (double)turns;
    return gpu_launch(b->g, kernel, blocks_of(b->g), 1, &a, d);
}

static enum err measure_limits(struct gpu *g, struct gpu_speed *s, struct diag *d)
{
    uint64_t most = gpu_memory_free(g) / 4, size = (uint64_t)1 << 20;
    while (size * 2 <= most && size < (uint64_t)4 << 30)
        size *= 2;
    struct bench b = {.g = g};
    ERR_TRY(gpu_alloc(g, size, &b.from, d));
    enum err e = gpu_alloc(g, 256u * 4u * (size_t)blocks_of(g), &b.out, d);
    if (e == ERR_OK)
        e = gpu_fill(g, b.from, 0x5A, size, d);
    if (e == ERR_OK)
        e = measure(&b, GPU_READ, run_read, (uint64_t)1 << 20, size, &s->figure[GPU_READ], d);
    for (enum gpu_figure f = GPU_FMA; f <= GPU_INT8 && e == ERR_OK; f++)
        if (measure(&b, f, run_registers, 64, 1u << 24, &s->figure[f], NULL) != ERR_OK)
            s->figure[f] = 0; // no matrix unit of this kind
    gpu_free(g, b.from);
    gpu_free(g, b.out);
    return e;
}

// --- weir's products

// A matrix of size x size against rows; what the numbers are does not matter to the time, but they
// are ordinary ones.
static enum err run_product(const struct bench *b, enum gpu_figure f, uint64_t size,
                            double *ret_work, struct diag *d)
{
    bool one = f == GPU_ONE_F32 || f == GPU_ONE_Q8_0, q = f == GPU_MANY_Q8_0 || f == GPU_ONE_Q8_0;
    uint32_t n = (uint32_t)size;
    struct panels w;
    ERR_TRY(panels_layout(q ? PANEL_Q8_0 : PANEL_F32, n, n, &w));
    w.data = b->from;
    uint8_t *rest = w.data + panels_bytes(&w);
    struct gpu_product_args a = {.rows = one ? 1 : ROWS,
                                 .in = (const float *)(const void *)rest,
                                 .act = (const struct gpu_act *)(const void *)rest,
                                 .out = b->out,
                                 .in_stride = n,
                                 .act_stride = n / ACT_BLOCK,
                                 .out_stride = n};
    *ret_work = one ? (double)panels_bytes(&w) : 2.0 * (double)n * (double)n * ROWS;
    return gpu_product(b->g, &w, &a, d);
}

static enum err measure_products(struct gpu *g, struct gpu_speed *s, struct diag *d)
{
    uint64_t most = gpu_memory_free(g) / 3, size = 128;
    while (size < 16384 && (size * 2) * (size * 2) * 4 + ROWS * size * 2 * 8 <= most)
        size *= 2;
    struct bench b = {.g = g};
    size_t bytes = size * (size * 4 + 4096) + ROWS * size * 4;
    ERR_TRY(gpu_alloc(g, bytes, &b.from, d));
    enum err e = gpu_alloc(g, ROWS * size * 4, &b.out, d);
    if (e == ERR_OK)
        e = gpu_fill(g, b.from, 0x3C, bytes, d); // 0.0115, as f32; 1.06 as f16
    for (enum gpu_figure f = GPU_MANY_F32; f <= GPU_ONE_Q8_0 && e == ERR_OK; f++)
        e = measure(&b, f, run_product, 128, f <= GPU_MANY_Q8_0 && size > 8192 ? 8192 : size,
                    &s->figure[f], d);
    gpu_free(g, b.from);
    gpu_free(g, b.out);
    return e;
}

enum err gpu_measure(struct gpu *g, struct gpu_speed *ret, struct diag *d)
{
    *ret = (struct gpu_speed){0};
    ERR_TRY(measure_limits(g, ret, d));
    return measure_products(g, ret, d);
}
