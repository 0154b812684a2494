#if defined(__x86_64__)
#include "probe/peak.h"

#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/banned.h"

// Chains enough to hide an instruction's latency behind the others'. They are named one by one: an
// array would be kept in memory.
#define N_CHAINS 12
#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define CHAINS(TYPE, FROM)                                                                         \
    TYPE v0 = (FROM), v1 = v0, v2 = v0, v3 = v0, v4 = v0, v5 = v0, v6 = v0, v7 = v0, v8 = v0,      \
         v9 = v0, v10 = v0, v11 = v0
// The compiler must not see that nobody uses the value.
#define KEPT(V) __asm__ volatile("" : "+v"(V))
// double NAME(turns): operations of OP, which takes a chain and `x`; each makes OPERATIONS.
#define PEAK(NAME, TARGET, X_TYPE, X, CHAIN_TYPE, OP, OPERATIONS)                                  \
    __attribute__((target(TARGET))) static double NAME(size_t turns)                               \
    {                                                                                              \
        X_TYPE x = (X);                                                                            \
        CHAINS(CHAIN_TYPE, (CHAIN_TYPE)x);                                                         \
        for (size_t turn = 0; turn < turns; turn++) {                                              \
            EACH(OP)                                                                               \
        }                                                                                          \
        return (double)turns * N_CHAINS * (OPERATIONS);                                            \
    }

#define FMA_AVX2(i)                                                                                \
    v##i = _mm256_fmadd_ps(v##i, x, x);                                                            \
    KEPT(v##i);
PEAK(fma_avx2, "avx2,fma", __m256, _mm256_set1_ps(0.5f), __m256, FMA_AVX2, 8 * 2)

#define FMA_AVX512(i)                                                                              \
    v##i = _mm512_fmadd_ps(v##i, x, x);                                                            \
    KEPT(v##i);
PEAK(fma_avx512, "avx512f", __m512, _mm512_set1_ps(0.5f), __m512, FMA_AVX512, 16 * 2)

// Pairs of 0.5 in both.
#define BF16_AVX512(i)                                                                             \
    v##i = _mm512_dpbf16_ps(v##i, x, x);                                                           \
    KEPT(v##i);
PEAK(bf16_avx512, "avx512f,avx512bf16", __m512bh, (__m512bh)_mm512_set1_epi32(0x3F003F00), __m512,
     BF16_AVX512, 32 * 2)

#define INT8_AVX512(i)                                                                             \
    v##i = _mm512_dpbusd_epi32(v##i, x, x);                                                        \
    KEPT(v##i);
PEAK(int8_avx512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi8(1), __m512i, INT8_AVX512, 64 * 2)

#define INT8_AVXVNNI(i)                                                                            \
    v##i = _mm256_dpbusd_avx_epi32(v##i, x, x);                                                    \
    KEPT(v##i);
PEAK(int8_avxvnni, "avx2,avxvnni", __m256i, _mm256_set1_epi8(1), __m256i, INT8_AVXVNNI, 32 * 2)

#if defined(__linux__)
// All eight tiles 16 rows of 64 bytes; four are sums, two and two are multiplied with each other.
__attribute__((target("amx-tile"))) static void tiles_begin(void)
{
    struct {
        uint8_t palette, start, unused[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = 64;
        config.rows[i] = 16;
    }
    _tile_loadconfig(&config);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    _tile_zero(6);
    _tile_zero(7);
}

__attribute__((target("amx-tile,amx-int8"))) static double int8_tile(size_t turns)
{
    tiles_begin();
    for (size_t turn = 0; turn < turns; turn++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
    return (double)turns * 4 * 16 * 16 * 64 * 2;
}

__attribute__((target("amx-tile,amx-bf16"))) static double bf16_tile(size_t turns)
{
    tiles_begin();
    for (size_t turn = 0; turn < turns; turn++) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return (double)turns * 4 * 16 * 16 * 32 * 2;
}

// The system must give leave for the state that tiles add to a thread (Linux: arch_prctl(2)).
static bool tiles_allowed(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

static bool has(unsigned leaf, unsigned sub, char reg, unsigned bit)
{
    unsigned a, b, c, d;
    if (!__get_cpuid_count(leaf, sub, &a, &b, &c, &d))
        return false;
    return (reg == 'a' ? a : d) >> bit & 1;
}

static peak_fn *find_tile(enum probe_peak p)
{
#if defined(__linux__)
    bool here = has(7, 0, 'd', 24) && has(7, 0, 'd', p == PROBE_BF16_TILE ? 22 : 25);
    if (here && tiles_allowed())
        return p == PROBE_BF16_TILE ? bf16_tile : int8_tile;
#endif
    (void)p;
    return NULL;
}

peak_fn *peak_find(enum probe_peak p)
{
    bool wide = __builtin_cpu_supports("avx512f"); // and the system saves its registers
    switch (p) {
    case PROBE_FMA:
        return wide ? fma_avx512 : __builtin_cpu_supports("fma") ? fma_avx2 : NULL;
    case PROBE_BF16_DOT:
        return wide && has(7, 1, 'a', 5) ? bf16_avx512 : NULL;
    case PROBE_INT8_DOT:
        if (wide && __builtin_cpu_supports("avx512vnni"))
            return int8_avx512;
        return __builtin_cpu_supports("avx2") && has(7, 1, 'a', 4) ? int8_avxvnni : NULL;
    case PROBE_BF16_TILE:
    case PROBE_INT8_TILE:
        return find_tile(p);
    default:
        return NULL;
    }
}
#endif
