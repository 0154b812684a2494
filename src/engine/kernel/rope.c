#include "engine/kernel/rope.h"

#include <math.h>
#include <string.h>

#include "base/banned.h"

#define ROUNDER 6755399441055744.0 // 1.5 * 2^52: adding it rounds to an integer
#define TWO_PI  6.283185307179586
#define LN2_HI  6.93147180369123816490e-01
#define LN2_LO  1.90821492927058770002e-10

// ln(x) for a positive normal x: x = m 2^e, m in [sqrt(1/2), sqrt(2)); ln m = 2 atanh((m-1)/(m+1)).
static double natural_log(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, 8);
    int e = (int)(bits >> 52) - 1023;
    bits = (bits & 0xFFFFFFFFFFFFFull) | 0x3FF0000000000000ull;
    double m;
    memcpy(&m, &bits, 8);
    if (m >= 1.4142135623730951) {
        m *= 0.5;
        e++;
    }
    double s = (m - 1.0) / (m + 1.0), z = s * s, p = 0.0;
    for (int k = 25; k >= 3; k -= 2)
        p = fma(p, z, 1.0 / (double)k);
    return fma((double)e, LN2_HI, fma((double)e, LN2_LO, 2.0 * fma(s * z, p, s)));
}

// e^x for |x| < 700: x = n ln2 + r, Taylor's series of r.
static double exponential(double x)
{
    double n = fma(x, 1.4426950408889634, ROUNDER) - ROUNDER;
    double r = fma(-n, LN2_LO, fma(-n, LN2_HI, x)), p = 1.0;
    for (int k = 15; k >= 1; k--)
        p = fma(p, r / (double)k, 1.0);
    uint64_t bits = (uint64_t)((int64_t)n + 1023) << 52;
    double power;
    memcpy(&power, &bits, 8);
    return p * power;
}

// Polynomials on [-pi/4, pi/4] (fdlibm's coefficients).
static double sine_near_zero(double r)
{
    double z = r * r, p = 1.58969099521155010221e-10;
    p = fma(p, z, -2.50507602534068634195e-08);
    p = fma(p, z, 2.75573137070700676789e-06);
    p = fma(p, z, -1.98412698298579493134e-04);
    p = fma(p, z, 8.33333333332248946124e-03);
    p = fma(p, z, -1.66666666666666324348e-01);
    return fma(p, z * r, r);
}

static double cosine_near_zero(double r)
{
    double z = r * r, p = -1.13596475577881948265e-11;
    p = fma(p, z, 2.08757232129817482790e-09);
    p = fma(p, z, -2.75573143513906633035e-07);
    p = fma(p, z, 2.48015872894767294178e-05);
    p = fma(p, z, -1.38888888888741095749e-03);
    p = fma(p, z, 4.16666666666666019037e-02);
    return fma(z * z, p, fma(z, -0.5, 1.0));
}

// For 0 <= x < 2^31: x = n pi/2 + r with pi/2 in three parts.
static void sine_cosine(double x, double *ret_sin, double *ret_cos)
{
    double n = fma(x, 0.63661977236758134308, ROUNDER) - ROUNDER;
    double r = fma(-n, 1.5707963267948965580e+00, x);
    r = fma(-n, 6.1232339957367658860e-17, r);
    r = fma(-n, -1.4973849048591833e-33, r);
    double s = sine_near_zero(r), c = cosine_near_zero(r);
    switch ((unsigned)(int64_t)n & 3u) {
    case 0:
        *ret_sin = s, *ret_cos = c;
        break;
    case 1:
        *ret_sin = c, *ret_cos = -s;
        break;
    case 2:
        *ret_sin = -s, *ret_cos = -c;
        break;
    default:
        *ret_sin = -c, *ret_cos = s;
    }
}

void rope_frequencies(double base, uint32_t dims, double *out)
{
    double ln_base = natural_log(base);
    for (uint32_t i = 0; i < dims / 2; i++)
        out[i] = exponential(-ln_base * (2.0 * (double)i / (double)dims));
}

void rope_llama3_divisors(const double *frequencies, uint32_t dims, double factor, double low,
                          double high, double original_context, float *ret)
{
    for (uint32_t i = 0; i < dims / 2; i++) {
        double turns = original_context * frequencies[i] / TWO_PI;
        double smooth = turns > high  ? 1.0 // short waves stay
                        : turns < low ? 0.0
                                      : (turns - low) / (high - low);
        ret[i] = (float)(1.0 / ((1.0 - smooth) / factor + smooth));
    }
}

void rope_scale_llama3(double *frequencies, uint32_t dims, double factor, double low, double high,
                       double original_context)
{
    for (uint32_t i = 0; i < dims / 2; i++) {
        float divisor;
        rope_llama3_divisors(&frequencies[i], 2, factor, low, high, original_context, &divisor);
        frequencies[i] /= (double)divisor;
    }
}

// The dimension whose wave turns `turns` times over the original context.
static double yarn_dimension(const struct rope_yarn *y, uint32_t dims, double turns)
{
    double waves = y->original_context / (turns * TWO_PI);
    return (double)dims * natural_log(waves) / (2.0 * natural_log(y->base));
}

void rope_scale_yarn(double *frequencies, uint32_t dims, const struct rope_yarn *y)
{
    double low = yarn_dimension(y, dims, y->fast), high = yarn_dimension(y, dims, y->slow);
    if (y->whole) {
        low = __builtin_floor(low);
        high = __builtin_ceil(high);
    }
    low = low > 0.0 ? low : 0.0;
    high = high < (double)dims - 1.0 ? high : (double)dims - 1.0;
    if (low == high)
        high += 0.001; // as the reference avoids a division by zero
    for (uint32_t i = 0; i < dims / 2; i++) {
        double ramp = ((double)i - low) / (high - low);
        ramp = ramp < 0.0 ? 0.0 : ramp > 1.0 ? 1.0 : ramp;
        frequencies[i] = frequencies[i] / y->factor * ramp + frequencies[i] * (1.0 - ramp);
    }
}

double rope_yarn_attention(double factor, double mscale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * natural_log(factor) + 1.0;
}

void rope_angles(const double *frequencies, uint32_t dims, double scale, uint32_t position,
                 float *ret_cos, float *ret_sin)
{
    for (uint32_t i = 0; i < dims / 2; i++) {
        double s, c;
        sine_cosine((double)position * frequencies[i], &s, &c);
        ret_sin[i] = (float)(s * scale);
        ret_cos[i] = (float)(c * scale);
    }
}

void rope_turn(float *head, uint32_t dims, enum rope_pairs pairs, const float *cosines,
               const float *sines)
{
    uint32_t half = dims / 2, step = pairs == ROPE_PAIRS_NEAR ? 2 : 1;
    uint32_t apart = pairs == ROPE_PAIRS_NEAR ? 1 : half;
    for (uint32_t i = 0; i < half; i++) {
        float *a = head + i * step, *b = a + apart;
        float x = *a, y = *b;
        *a = x * cosines[i] - y * sines[i];
        *b = x * sines[i] + y * cosines[i];
    }
}
