#include "engine/kernel/kernel.h"

#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/kernel/backends.h"
#include "engine/kernel/tiles.h"

#include "base/banned.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights are read as they lie in the file: a little-endian machine is needed"
#endif

#if defined(__x86_64__)
static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

static bool has_amx(void)
{
    return has_avx512() && tiles_here();
}

static bool has_avx2(void)
{
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

static bool has_avxvnni(void)
{
    unsigned a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
#elif defined(__aarch64__)
static bool has_dot(void)
{
#if defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
#else
    return true; // Apple's
#endif
}
#endif

static bool always(void)
{
    return true;
}

struct backend {
    const struct kernel *kernel;
    bool (*here)(void);
};

static const struct backend BACKENDS[] = {
// best first
#if defined(__x86_64__)
    {&kernel_amx, has_amx},         {&kernel_avx512, has_avx512},
    {&kernel_avxvnni, has_avxvnni}, {&kernel_avx2, has_avx2},
#elif defined(__aarch64__)
    {&kernel_neondot, has_dot},
    {&kernel_neon, always},
#endif
    {&kernel_portable, always},
};

const struct kernel *kernel_at(size_t i)
{
    for (size_t b = 0; b < ARRAY_LEN(BACKENDS); b++)
        if (BACKENDS[b].here() && i-- == 0)
            return BACKENDS[b].kernel;
    return NULL;
}

const struct kernel *kernel_find(const char *name)
{
    const struct kernel *k;
    for (size_t i = 0; (k = kernel_at(i)); i++)
        if (!name || strcmp(k->name, name) == 0)
            return k;
    return NULL;
}
