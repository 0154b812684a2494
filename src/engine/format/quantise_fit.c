#include "engine/format/quantise_fit.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

enum { LANES = 8, STEPS = 8, ROUNDS = 3 };

// To the nearest whole number, ties to even, for |v| < 2^22.
static inline float whole(float v)
{
    return (v + 12582912.0f) - 12582912.0f;
}

static inline float held(float v, float low, float high)
{
    v = v > low ? v : low;
    return v < high ? v : high;
}

// One order of addition, and room for vectors in it.
static float total(const float *x, size_t n)
{
    float lanes[LANES] = {0};
    for (size_t i = 0; i < n; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += x[i + l];
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

static float dot(const float *x, const float *y, size_t n)
{
    float products[FIT_VALUES];
    for (size_t i = 0; i < n; i++)
        products[i] = x[i] * y[i];
    return total(products, n);
}

float fit_levels(const float *x, float scale, float low, int levels, float *ret_q)
{
    float inverse = scale > 0.0f ? 1.0f / scale : 0.0f, squares[FIT_VALUES];
    if (isinf(inverse)) // a scale below what can be inverted: as good as none
        inverse = scale = 0.0f;
    for (size_t i = 0; i < FIT_VALUES; i++) {
        ret_q[i] = whole(held((x[i] - low) * inverse, 0.0f, (float)levels));
        float off = scale * ret_q[i] + low - x[i];
        squares[i] = off * off;
    }
    return total(squares, FIT_VALUES);
}

// The line through (q, x) with the least squares; low held at or below zero where that is asked.
static struct fit line(const float *x, const float *q, bool negative_low, float sum_x)
{
    const float n = FIT_VALUES;
    float sum_q = total(q, FIT_VALUES), sum_qq = dot(q, q, FIT_VALUES),
          sum_xq = dot(x, q, FIT_VALUES), determinant = n * sum_qq - sum_q * sum_q;
    struct fit f = {0};
    if (determinant > 0.0f) {
        f.scale = (n * sum_xq - sum_x * sum_q) / determinant;
        f.low = (sum_qq * sum_x - sum_q * sum_xq) / determinant;
    }
    if (negative_low && f.low > 0.0f) {
        f.low = 0.0f;
        f.scale = sum_qq > 0.0f ? sum_xq / sum_qq : 0.0f;
    }
    return f;
}

// From (scale, low): the best q for it, the best line for that q, and again while it helps.
static void improve(const float *x, float sum_x, int levels, bool negative_low, struct fit from,
                    struct fit *best)
{
    float q[FIT_VALUES];
    for (int i = 0; i < ROUNDS; i++) {
        from.error = fit_levels(x, from.scale, from.low, levels, q);
        if (from.error < best->error)
            *best = from;
        from = line(x, q, negative_low, sum_x);
        if (!(from.scale > 0.0f))
            return;
    }
}

struct fit fit_range(const float *x, int levels, bool negative_low)
{
    float low = x[0], high = x[0], q[FIT_VALUES], sum_x = total(x, FIT_VALUES);
    for (size_t i = 1; i < FIT_VALUES; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    if (negative_low && low > 0.0f)
        low = 0.0f;
    struct fit best = {.scale = 0.0f, .low = low};
    best.error = fit_levels(x, best.scale, low, levels, q);
    if (!(high > low))
        return best;
    // The whole range over a few more or fewer steps than there are: ends are given up for a finer
    // middle.
    for (int step = -2; step < STEPS; step++) {
        float scale = (high - low) / ((float)levels + 0.5f * (float)step);
        improve(x, sum_x, levels, negative_low, (struct fit){.scale = scale, .low = low}, &best);
    }
    return best;
}

float fit_signed_levels(const float *x, size_t n, float scale, int low, int high, float *ret_q)
{
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f, squares[FIT_VALUES];
    ASSERT(n == 16 || n == FIT_VALUES);
    if (isinf(inverse))
        inverse = scale = 0.0f;
    for (size_t i = 0; i < n; i++) {
        ret_q[i] = whole(held(x[i] * inverse, (float)low, (float)high));
        float off = scale * ret_q[i] - x[i];
        squares[i] = off * off;
    }
    return total(squares, n);
}

float fit_signed(const float *x, size_t n, int low, int high)
{
    float most = 0.0f, q[FIT_VALUES], best = 0.0f;
    for (size_t i = 0; i < n; i++)
        most = fabsf(x[i]) > fabsf(most) ? x[i] : most;
    float error = fit_signed_levels(x, n, 0.0f, low, high, q);
    for (int step = -4; step < STEPS && most != 0.0f; step++) {
        // The largest magnitude goes to the longer side.
        float scale = most / ((float)low - 0.5f * (float)step * ((float)-low / 16.0f + 0.5f));
        for (int i = 0; i < ROUNDS; i++) {
            float off = fit_signed_levels(x, n, scale, low, high, q), qq = dot(q, q, n);
            if (off < error) {
                error = off;
                best = scale;
            }
            if (!(qq > 0.0f))
                break;
            scale = dot(x, q, n) / qq;
        }
    }
    return best;
}
