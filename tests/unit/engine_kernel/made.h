// Made numbers for the tests of the kernels: ordinary ones, and nasty ones (zeros of both signs,
// subnormals, very large, very small). The same from the same seed.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/random.h"

static inline float made_float(struct random *r, bool nasty)
{
    static const uint32_t NASTY[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF,
                                     0x00800000, 0x7F000000, 0xFF000000, 0x3F800001, 0x33000000,
                                     0x0D800000, 0x0D7FFFFF, 0x4B000001, 0x7F7FFFFF};
    if (nasty && random_below(r, 4) == 0) {
        float f;
        memcpy(&f, &NASTY[random_below(r, sizeof NASTY / sizeof *NASTY)], 4);
        return f;
    }
    double sum = 0; // nearly normal
    for (int i = 0; i < 4; i++)
        sum += random_unit(r) - 0.5;
    return (float)(sum * 1.7);
}

static inline void made_floats(struct random *r, bool nasty, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = made_float(r, nasty);
}

// Equal bits, or both not a number (whose sign and payload no machine promises).
static inline bool same_bits(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], 4) != 0 && !(a[i] != a[i] && b[i] != b[i]))
            return false;
    return true;
}
