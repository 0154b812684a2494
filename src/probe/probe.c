#include "probe/probe.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/clock.h"
#include "base/mem.h"
#include "engine/kernel/team.h"
#include "probe/peak.h"

#include "base/banned.h"

#define PART_BYTES_MIN ((uint64_t)16 << 10)
#define READ_BYTES_MAX ((uint64_t)1 << 38)
#define HUGE_PAGE      ((size_t)2 << 20)
#define RUN_NS         4000000 // a run: longer than its start and end, shorter than a time slice

static const struct {
    const char *name, *label;
} PEAKS[PROBE_PEAKS] = {
    [PROBE_FMA] = {"fma_f32_per_s", "f32 multiply-adds"},
    [PROBE_BF16_DOT] = {"dot_bf16_per_s", "dot products of bf16"},
    [PROBE_INT8_DOT] = {"dot_int8_per_s", "dot products of int8"},
    [PROBE_BF16_TILE] = {"tile_bf16_per_s", "matrix unit, bf16"},
    [PROBE_INT8_TILE] = {"tile_int8_per_s", "matrix unit, int8"},
};

const char *probe_peak_name(enum probe_peak p)
{
    return PEAKS[p].name;
}

const char *probe_peak_label(enum probe_peak p)
{
    return PEAKS[p].label;
}

// A measurement: what each thread does in so many turns of the loop.
struct probe {
    struct team *team;
    double (*work)(struct probe *p, size_t member); // how much was done
    peak_fn *peak;
    const uint8_t *memory;
    size_t part_bytes, turns;
    _Atomic double parts; // sum of what the members have done in this run
    atomic_uint_fast64_t sink;
};

#if !defined(__x86_64__) && !defined(__aarch64__)
peak_fn *peak_find(enum probe_peak p)
{
    (void)p;
    return NULL;
}
#endif

static double work_peak(struct probe *p, size_t member)
{
    (void)member;
    return p->peak(p->turns);
}

// 64 bytes as the compiler's own vector: the widest loads that the function's target has.
typedef uint64_t line __attribute__((vector_size(64)));

// Eight streams at once, as the engine's products read their panels.
#define READ_LINES(FROM, LINES, SUMS)                                                              \
    do {                                                                                           \
        size_t each = (LINES) / 8;                                                                 \
        for (size_t i = 0; i < each; i++)                                                          \
            _Pragma("GCC unroll 8") for (size_t s = 0; s < 8; s++)(SUMS)[s] ^=                     \
                (FROM)[s * each + i];                                                              \
    } while (0)

static uint64_t fold(const line sums[8])
{
    line all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3] ^ sums[4] ^ sums[5] ^ sums[6] ^ sums[7];
    return all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7];
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static uint64_t read_wide(const line *from, size_t lines)
{
    line sums[8] = {{0}};
    READ_LINES(from, lines, sums);
    return fold(sums);
}

__attribute__((target("avx2"))) static uint64_t read_avx2(const line *from, size_t lines)
{
    line sums[8] = {{0}};
    READ_LINES(from, lines, sums);
    return fold(sums);
}
#endif

static uint64_t read_lines(const line *from, size_t lines)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return read_wide(from, lines);
    if (__builtin_cpu_supports("avx2"))
        return read_avx2(from, lines);
#endif
    line sums[8] = {{0}};
    READ_LINES(from, lines, sums);
    return fold(sums);
}

static double work_read(struct probe *p, size_t member)
{
    const line *from = (const line *)(const void *)(p->memory + member * p->part_bytes);
    uint64_t sum = 0;
    for (size_t i = 0; i < p->turns; i++) {
        sum ^= read_lines(from, p->part_bytes / sizeof(line));
        __asm__ volatile("" ::: "memory"); // reads again, for all that the compiler knows
    }
    atomic_fetch_xor(&p->sink, sum);
    return (double)p->part_bytes * (double)p->turns;
}

static void run_member(void *ctx, size_t member, size_t size)
{
    struct probe *p = ctx;
    (void)size;
    double mine = p->work(p, member), sum = atomic_load(&p->parts);
    while (!atomic_compare_exchange_weak(&p->parts, &sum, sum + mine))
        continue;
}

// The turns double until a run is long enough; then the best of all that fit into the time.
static double best_rate(struct probe *p, double seconds)
{
    uint64_t end = clock_mono_ns() + (uint64_t)(seconds * 1e9), now;
    double best = 0;
    p->turns = 1;
    do {
        atomic_store(&p->parts, 0.0);
        uint64_t start = clock_mono_ns();
        team_run(p->team, run_member, p);
        now = clock_mono_ns();
        if (now - start < RUN_NS / 2) {
            p->turns *= 2;
            continue;
        }
        double rate = atomic_load(&p->parts) * 1e9 / (double)(now - start);
        best = rate > best ? rate : best;
    } while (best == 0 || now < end);
    return best;
}

static enum err measure(struct probe *p, size_t threads, double seconds, double *ret,
                        struct diag *d)
{
    ERR_TRY(team_new(threads, &p->team, d));
    *ret = best_rate(p, seconds);
    team_free(p->team);
    return ERR_OK;
}

enum err probe_peak_measure(enum probe_peak p, size_t threads, double seconds, double *ret,
                            struct diag *d)
{
    struct probe probe = {.work = work_peak, .peak = peak_find(p)};
    if (!probe.peak) {
        *ret = 0;
        return ERR_OK;
    }
    return measure(&probe, threads, seconds, ret, d);
}

enum err probe_read(uint64_t bytes, size_t threads, double seconds, double *ret, struct diag *d)
{
    uint64_t part = bytes / max_size(threads, 1) / 512 * 512; // eight streams of whole lines
    if (part < PART_BYTES_MIN)
        return diag_set(d, ERR_INVALID, "%llu bytes for %zu threads: 16 KiB each are the least",
                        (unsigned long long)bytes, threads);
    if (bytes > READ_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "%llu bytes are more than can be asked for",
                        (unsigned long long)bytes);
    size_t room = ((size_t)(part * threads) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uint8_t *all = mem_try_alloc(room + HUGE_PAGE);
    if (!all)
        return diag_set(d, ERR_LIMIT, "%zu bytes of memory are not to be had", room);
    uint8_t *memory = all + (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
#if defined(MADV_HUGEPAGE)
    madvise(memory, room, MADV_HUGEPAGE); // as the engine's weights
#endif
    memset(memory, 0x21, room);
    struct probe probe = {.work = work_read, .memory = memory, .part_bytes = (size_t)part};
    enum err e = measure(&probe, threads, seconds, ret, d);
    mem_free(all);
    return e;
}
