// Q4_K, Q5_K: eight groups of 32, x ~ (d * scale) * q - dmin * min with scale and min of 6 bits.
// Q6_K: sixteen groups of 16, x ~ (d * scale) * q with a signed scale of 8 bits. First each group
// is fitted by itself; then d and dmin are chosen, and the small integers and the two factors are
// improved in turns under the roundings that the file has.
#include "engine/format/quantise_k.h"

#include <math.h>
#include <string.h>

#include "engine/format/half.h"
#include "engine/format/quantise.h"
#include "engine/format/quantise_fit.h"

#include "base/banned.h"

enum { VALUES = 256, GROUPS = 8, SIX_BITS = 63, TURNS = 3, GROUPS_6 = 16, GROUP_6 = 16 };

// A super-block with minima while it is being improved.
struct super {
    const float *x;
    int levels;
    float d, dmin; // as f16 reads
    int scale[GROUPS], min[GROUPS];
    float q[VALUES], error;
};

static float as_f16(float f)
{
    return half_from_f16(quantise_to_f16(f));
}

// The unit for scales up to `most`; where f16 has none so small, its smallest.
static float unit_for(float most, float steps)
{
    float unit = as_f16(most / steps);
    return unit == 0.0f && most > 0.0f ? 0x1p-24f : unit;
}

static int near(float v, int most)
{
    float r = nearbyintf(v);
    return r<0.0f ? 0 : r>(float) most ? most : (int)r;
}

static float group_error(const struct super *s, size_t g, int scale, int min, float *ret_q)
{
    return fit_levels(s->x + g * FIT_VALUES, s->d * (float)scale, -(s->dmin * (float)min),
                      s->levels, ret_q);
}

// The best pair of integers beside (scale, min).
static float choose_pair(struct super *s, size_t g, int scale, int min)
{
    float best = HUGE_VALF, q[FIT_VALUES];
    for (int a = scale - 1; a <= scale + 1; a++)
        for (int b = min - 1; b <= min + 1; b++) {
            if (a < 0 || b < 0 || a > SIX_BITS || b > SIX_BITS)
                continue;
            float error = group_error(s, g, a, b, q);
            if (error >= best)
                continue;
            best = error;
            s->scale[g] = a;
            s->min[g] = b;
            memcpy(s->q + g * FIT_VALUES, q, sizeof q);
        }
    return best;
}

// d and dmin with the least squares for the integers that stand: x = d u - dmin v with
// u = scale * q, v = min. In double: the sums of a whole block cancel.
static void refit(struct super *s)
{
    double uu = 0, uv = 0, vv = 0, xu = 0, xv = 0;
    for (size_t i = 0; i < VALUES; i++) {
        size_t g = i / FIT_VALUES;
        double u = (double)s->scale[g] * (double)s->q[i];
        double v = -(double)s->min[g], x = (double)s->x[i];
        uu += u * u;
        uv += u * v;
        vv += v * v;
        xu += x * u;
        xv += x * v;
    }
    double determinant = uu * vv - uv * uv;
    double d = determinant > 0 ? (xu * vv - xv * uv) / determinant : uu > 0 ? xu / uu : 0;
    double dmin = determinant > 0 ? (xv * uu - xu * uv) / determinant : 0;
    if (d > 0 && dmin >= 0 && d <= 65504 && dmin <= 65504) {
        s->d = as_f16((float)d);
        s->dmin = as_f16((float)dmin);
    }
}

static float ratio(float v, float unit)
{
    return unit > 0.0f ? v / unit : 0.0f;
}

static void first_guess(struct super *s, const struct fit *fits)
{
    float scale = 0.0f, min = 0.0f;
    for (size_t g = 0; g < GROUPS; g++) {
        scale = fmaxf(scale, fits[g].scale);
        min = fmaxf(min, -fits[g].low);
    }
    s->d = unit_for(scale, SIX_BITS);
    s->dmin = unit_for(min, SIX_BITS);
    s->error = 0.0f;
    for (size_t g = 0; g < GROUPS; g++)
        s->error += choose_pair(s, g, near(ratio(fits[g].scale, s->d), SIX_BITS),
                                near(ratio(-fits[g].low, s->dmin), SIX_BITS));
}

static void solve(const float *in, int levels, struct super *ret)
{
    struct fit fits[GROUPS];
    struct super s = {.x = in, .levels = levels};
    for (size_t g = 0; g < GROUPS; g++)
        fits[g] = fit_range(in + g * FIT_VALUES, levels, true);
    first_guess(&s, fits);
    *ret = s;
    for (int turn = 0; turn < TURNS; turn++) {
        refit(&s);
        s.error = 0.0f;
        for (size_t g = 0; g < GROUPS; g++)
            s.error += choose_pair(&s, g, s.scale[g], s.min[g]);
        if (s.error >= ret->error)
            return;
        *ret = s;
    }
}

static void put_u16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
}

// Two f16 and the 12 bytes of 6-bit pairs: the first four whole, the upper two bits of the others
// above them.
static void put_head(const struct super *s, uint8_t *out)
{
    put_u16(out, quantise_to_f16(s->d));
    put_u16(out + 2, quantise_to_f16(s->dmin));
    uint8_t *packed = out + 4;
    for (size_t j = 0; j < 4; j++) {
        int scale = s->scale[j + 4], min = s->min[j + 4];
        packed[j] = (uint8_t)(s->scale[j] | (scale >> 4) << 6);
        packed[j + 4] = (uint8_t)(s->min[j] | (min >> 4) << 6);
        packed[j + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

// Each 32 bytes hold an even group low and the odd one after it high.
static void put_nibbles(const struct super *s, uint8_t *out)
{
    for (size_t pair = 0; pair < GROUPS / 2; pair++)
        for (size_t i = 0; i < FIT_VALUES; i++) {
            int low = (int)s->q[pair * 64 + i], high = (int)s->q[pair * 64 + 32 + i];
            out[pair * 32 + i] = (uint8_t)((low & 15) | (high & 15) << 4);
        }
}

void quantise_block_q4_k(const float *in, uint8_t *out)
{
    struct super s;
    solve(in, 15, &s);
    put_head(&s, out);
    put_nibbles(&s, out + 16);
}

void quantise_block_q5_k(const float *in, uint8_t *out)
{
    struct super s;
    solve(in, 31, &s);
    put_head(&s, out);
    memset(out + 16, 0, 32);
    for (size_t i = 0; i < VALUES; i++)
        out[16 + i % 32] = (uint8_t)(out[16 + i % 32] | ((int)s.q[i] >> 4) << (i / 32));
    put_nibbles(&s, out + 48);
}

struct super_6 {
    float d, error;
    int scale[GROUPS_6];
    float q[VALUES];
};

static float choose_scales(const float *in, const float *wanted, struct super_6 *s)
{
    float error = 0.0f;
    for (size_t g = 0; g < GROUPS_6; g++) {
        float best = HUGE_VALF, q[GROUP_6];
        float wish = s->d != 0.0f ? nearbyintf(wanted[g] / s->d) : 0.0f;
        int middle = (int)fminf(fmaxf(wish, -127.0f), 126.0f); // d may have been rounded down
        for (int a = middle - 1; a <= middle + 1; a++) {
            float scale = s->d * (float)a;
            float off = fit_signed_levels(in + g * GROUP_6, GROUP_6, scale, -32, 31, q);
            if (off >= best)
                continue;
            best = off;
            s->scale[g] = a;
            memcpy(s->q + g * GROUP_6, q, sizeof q);
        }
        error += best;
    }
    return error;
}

static float refit_6(const float *in, const struct super_6 *s)
{
    double uu = 0, xu = 0;
    for (size_t i = 0; i < VALUES; i++) {
        size_t g = i / GROUP_6;
        double u = (double)s->scale[g] * (double)s->q[i];
        uu += u * u;
        xu += (double)in[i] * u;
    }
    double d = uu > 0 ? xu / uu : 0;
    return d > 0 && d <= 65504 ? as_f16((float)d) : s->d;
}

static void solve_6(const float *in, struct super_6 *ret)
{
    float wanted[GROUPS_6], most = 0.0f;
    for (size_t g = 0; g < GROUPS_6; g++) {
        wanted[g] = fit_signed(in + g * GROUP_6, GROUP_6, -32, 31);
        most = fmaxf(most, fabsf(wanted[g]));
    }
    struct super_6 s = {.d = unit_for(most, 127.0f)};
    s.error = choose_scales(in, wanted, &s);
    *ret = s;
    for (int turn = 0; turn < TURNS; turn++) {
        s.d = refit_6(in, &s);
        s.error = choose_scales(in, wanted, &s);
        if (s.error >= ret->error)
            return;
        *ret = s;
    }
}

// Halves of 128: quarters 0 and 1 low, 2 and 3 high in 64 bytes of nibbles; two more bits each in
// 32 bytes.
void quantise_block_q6_k(const float *in, uint8_t *out)
{
    struct super_6 s;
    solve_6(in, &s);
    memset(out, 0, 192);
    for (size_t i = 0; i < VALUES; i++) {
        size_t half = i / 128, quarter = i % 128 / 32, lane = i % 32;
        int q = (int)s.q[i] + 32;
        uint8_t *low = &out[half * 64 + quarter % 2 * 32 + lane];
        uint8_t *high = &out[128 + half * 32 + lane];
        *low = (uint8_t)(*low | (q & 15) << (quarter < 2 ? 0 : 4));
        *high = (uint8_t)(*high | (q >> 4) << (2 * quarter));
    }
    for (size_t g = 0; g < GROUPS_6; g++)
        out[192 + g] = (uint8_t)(int8_t)s.scale[g];
    put_u16(out + 208, quantise_to_f16(s.d));
}
