// How fast matrix products run, over matrices of 3072 rows that together are as large as asked:
// bytes of weights read a second for one row, beside what a plain read of the same bytes reaches in
// the same minute; and multiply-adds for many rows.
//   bench_kernel [--isa NAME] [--kind F32] [--threads N] [--mib N] [--seconds S] [--cols N]
//   [--clock cpu]
// --clock cpu: processor time, for one thread on a machine that others use too.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/panel.h"
#include "engine/kernel/team.h"

#define ROWS_MAX    128
#define MATRIX_ROWS 3072
#define CHUNK       24 // panels a unit of work

struct bench {
    const struct kernel *kernel;
    struct team *team;
    double seconds;
    size_t mib;
    uint32_t cols;
    // the current case
    struct panels w; // the first of n matrices, one after the other
    size_t n;
    float *x, *out;
    struct act_block *q;
    size_t m;
    atomic_size_t next;
    atomic_uint_fast64_t sink;
};

static const size_t MANY[] = {2, 4, 8, 16, 32, 64, ROWS_MAX};
static const char *const NAMES[PANEL_KINDS] = {"F32",  "F16",  "BF16", "Q8_0", "Q4_0",
                                               "Q4_1", "Q4_K", "Q5_K", "Q6_K"};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// The next unit: CHUNK panels of one matrix.
static bool take(struct bench *b, struct panels *ret_matrix, size_t *ret_from)
{
    size_t units = b->w.n_panels / CHUNK, unit = atomic_fetch_add(&b->next, 1);
    if (unit >= units * b->n)
        return false;
    *ret_matrix = b->w;
    ret_matrix->data += unit / units * panels_bytes(&b->w);
    *ret_from = unit % units * CHUNK;
    return true;
}

static void multiply(void *ctx, size_t member, size_t size)
{
    struct bench *b = ctx;
    struct matmul_in in = {b->x, b->cols, b->q, b->cols / ACT_BLOCK};
    float *out[ROWS_MAX];
    struct panels w;
    (void)member;
    (void)size;
    for (size_t r = 0; r < b->m; r++)
        out[r] = b->out + r * MATRIX_ROWS;
    for (size_t from; take(b, &w, &from);)
        b->kernel->matmul(&w, from, from + CHUNK, &in, b->m, out);
}

// Reads the same bytes as 8 streams at a time, as the products do.
static void just_read(void *ctx, size_t member, size_t size)
{
    enum { STREAMS = 8 };
    struct bench *b = ctx;
    struct panels w;
    (void)member;
    (void)size;
    for (size_t from; take(b, &w, &from);) {
        const uint64_t *p = (const uint64_t *)(const void *)(w.data + from * w.panel_bytes);
        size_t words = CHUNK * w.panel_bytes / STREAMS / 64 * 8;
        uint64_t s[8] = {0};
        for (size_t i = 0; i < words; i += 8)
            for (int stream = 0; stream < STREAMS; stream++)
                for (size_t j = 0; j < 8; j++)
                    s[j] ^= p[(size_t)stream * words + i + j];
        atomic_fetch_add(&b->sink, s[0] ^ s[1] ^ s[2] ^ s[3] ^ s[4] ^ s[5] ^ s[6] ^ s[7]);
    }
}

// Runs a second: the best one's, since on a machine that others use too the mean is theirs as well.
static double rate(struct bench *b, void (*work)(void *, size_t, size_t))
{
    double start = now(), last = start, best = 1e9;
    do {
        atomic_store(&b->next, 0);
        team_run(b->team, work, b);
        double t = now();
        best = t - last < best ? t - last : best;
        last = t;
    } while (last - start < b->seconds);
    return 1 / best;
}

static void fill(struct bench *b)
{
    struct random r;
    random_seed(&r, 1);
    memset(b->w.data, 0x21, b->n * panels_bytes(&b->w)); // ordinary numbers in every layout
    for (size_t i = 0; i < ROWS_MAX * (size_t)b->cols; i++)
        b->x[i] = (float)random_unit(&r) - 0.5f;
    b->kernel->quantise(b->x, ROWS_MAX * (size_t)b->cols, b->q);
}

static void run_kind(struct bench *b, enum panel_kind kind)
{
    if (panels_layout(kind, MATRIX_ROWS, b->cols, &b->w) != ERR_OK)
        return;
    b->n = max_size(1, (b->mib << 20) / panels_bytes(&b->w));
    size_t bytes = b->n * panels_bytes(&b->w);
    b->w.data = mem_aligned((size_t)2 << 20, bytes);
#if defined(MADV_HUGEPAGE)
    madvise(b->w.data, bytes, MADV_HUGEPAGE); // as the loader does
#endif
    fill(b);
    double gb = (double)bytes * 1e-9, read = gb * rate(b, just_read), flops[ARRAY_LEN(MANY)];
    b->m = 1;
    double one_row = gb * rate(b, multiply);
    for (size_t i = 0; i < ARRAY_LEN(MANY); i++) {
        b->m = MANY[i];
        flops[i] = 2e-9 * (double)(b->m * b->n) * MATRIX_ROWS * b->cols * rate(b, multiply);
    }
    printf("%-8s %-5s %4zu thr  read %6.1f GB/s  1 row %6.1f GB/s (%3.0f %%)  GFLOP/s:",
           b->kernel->name, NAMES[kind], team_size(b->team), read, one_row, 100 * one_row / read);
    for (size_t i = 0; i < ARRAY_LEN(MANY); i++)
        printf("  %zu rows %7.1f", MANY[i], flops[i]);
    printf("\n");
    mem_free(b->w.data);
}

int main(int argc, char **argv)
{
    struct bench b = {.seconds = 0.3, .mib = 64, .cols = 768};
    const char *isa = NULL, *only = NULL;
    size_t threads = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--isa") == 0)
            isa = argv[i + 1];
        else if (strcmp(argv[i], "--kind") == 0)
            only = argv[i + 1];
        else if (strcmp(argv[i], "--threads") == 0)
            threads = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--mib") == 0)
            b.mib = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--cols") == 0)
            b.cols = (uint32_t)strtoul(argv[i + 1], NULL, 10) / 256 * 256;
        else if (strcmp(argv[i], "--clock") == 0 && strcmp(argv[i + 1], "cpu") == 0)
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
        else if (strcmp(argv[i], "--seconds") == 0)
            b.seconds = strtod(argv[i + 1], NULL);
    }
    struct diag d = {0};
    if (!(b.kernel = kernel_find(isa)) || team_new(threads, &b.team, &d) != ERR_OK) {
        fprintf(stderr, "bench_kernel: no such instruction set or team %s\n", d.text);
        return 2;
    }
    b.x = mem_array(ROWS_MAX, b.cols * sizeof *b.x);
    b.out = mem_array(ROWS_MAX, MATRIX_ROWS * sizeof *b.out);
    b.q = mem_aligned(64, ROWS_MAX * (size_t)b.cols / ACT_BLOCK * sizeof *b.q);
    for (enum panel_kind kind = 0; kind < PANEL_KINDS; kind++)
        if (!only || strcmp(only, NAMES[kind]) == 0)
            run_kind(&b, kind);
    mem_free(b.x);
    mem_free(b.q);
    mem_free(b.out);
    team_free(b.team);
    return 0;
}
