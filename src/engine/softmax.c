#include "engine/softmax.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

// Sixteen lanes wherever the compiler puts them. The functions are all inlined here: no vector
// crosses an ABI.
#pragma GCC diagnostic ignored "-Wpsabi"
enum { LANES = 16 };
typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ivec __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef uint32_t uvec __attribute__((vector_size(LANES * sizeof(uint32_t))));
typedef uint64_t lvec __attribute__((vector_size(LANES * sizeof(uint64_t))));
typedef double dvec __attribute__((vector_size(LANES * sizeof(double))));

static inline vec splat(float x)
{
    return x - (vec){0};
}

static inline vec load(const float *p)
{
    vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

// The last, partial vector; missing lanes are -infinity, whose exponential is 0.
static inline vec load_tail(const float *p, size_t n)
{
    vec v = splat(-INFINITY);
    memcpy(&v, p, n * sizeof *p);
    return v;
}

static inline vec choose(ivec mask, vec yes, vec no)
{
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

// exp(x) for x ≤ 0, 0 below -87 (Cephes' expf: reduction by ln 2 in two parts, degree 6). About 2
// units in the last place.
static inline vec exp_nonpositive(vec x)
{
    ivec live = x > splat(-87.0f);
    x = choose(live, x, splat(0.0f));
    const vec magic = splat(12582912.0f); // 1.5 * 2^23: adding it rounds to the nearest whole
    vec n = (x * splat(1.44269504088896341f) + magic) - magic;
    vec r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f);
    vec p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    vec e = (p * (r * r) + r) + splat(1.0f);
    ivec power = (__builtin_convertvector(n, ivec) + 127) << 23;
    return choose(live, e * (vec)power, splat(0.0f));
}

float softmax_max(const float *x, size_t n)
{
    vec best = splat(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec v = load(x + i);
        best = choose(v > best, v, best);
    }
    if (i < n) {
        vec v = load_tail(x + i, n - i);
        best = choose(v > best, v, best);
    }
    float max = best[0];
    for (size_t lane = 1; lane < LANES; lane++)
        max = best[lane] > max ? best[lane] : max;
    return max;
}

static inline uvec weights_of(vec x, float max, float scale)
{
    vec e = exp_nonpositive((x - splat(max)) * splat(scale));
    return (uvec) __builtin_convertvector(e * splat((float)WEIGHT_ONE) + splat(0.5f), ivec);
}

uint64_t softmax_weights(const float *x, size_t n, float max, float scale, uint32_t *weights)
{
    lvec sums = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        uvec w = weights_of(load(x + i), max, scale);
        memcpy(weights + i, &w, sizeof w);
        sums += __builtin_convertvector(w, lvec);
    }
    if (i < n) {
        uvec w = weights_of(load_tail(x + i, n - i), max, scale);
        memcpy(weights + i, &w, (n - i) * sizeof *weights);
        sums += __builtin_convertvector(w, lvec);
    }
    uint64_t total = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        total += sums[lane];
    return total;
}

double softmax_log_sum(const float *x, size_t n, float max)
{
    dvec sums = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sums += __builtin_convertvector(exp_nonpositive(load(x + i) - splat(max)), dvec);
    if (i < n)
        sums +=
            __builtin_convertvector(exp_nonpositive(load_tail(x + i, n - i) - splat(max)), dvec);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t lane = 0; lane < half; lane++)
            sums[lane] += sums[lane + half];
    return exact_log(sums[0]);
}

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m-1)/(m+1)) by its series.
double exact_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int64_t e = (int64_t)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffff) | 0x3ff0000000000000;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double z = (m - 1.0) / (m + 1.0), zz = z * z, sum = 0.0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * zz + 1.0 / k;
    return 2.0 * z * sum + (double)e * 0.69314718055994530942;
}
