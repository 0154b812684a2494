// The least-squares searches below the quantised types. Shared inside this room; pure.
#pragma once

#include "base/base.h"

enum { FIT_VALUES = 32 };

// x ~ scale * q + low, q whole in [0, levels].
struct fit {
    float scale, low, error; // error: the sum of squared differences
};

// A good scale and lower end for 32 values. `negative_low`: low may not be above zero (K-quants
// subtract a minimum that has no sign).
struct fit fit_range(const float *x, int levels, bool negative_low);
// q of each value under (scale, low), and the error.
float fit_levels(const float *x, float scale, float low, int levels, float *ret_q);

// x ~ scale * q, q whole in [low, high], for n (16 or 32) values: the scale, which may be negative.
float fit_signed(const float *x, size_t n, int low, int high);
float fit_signed_levels(const float *x, size_t n, float scale, int low, int high, float *ret_q);
