// Rotary positions, exact on every machine: angles in double from own exp, log, sin and cos (IEEE
// operations and fma only), rounded to float once. Pure functions, any thread.
#pragma once

#include "base/base.h"

enum rope_pairs { ROPE_PAIRS_NEAR /* (2i, 2i+1) */, ROPE_PAIRS_FAR /* (i, i + dims/2) */ };

// dims/2 frequencies base^(-2i/dims).
void rope_frequencies(double base, uint32_t dims, double *out);
// Llama 3.1's scaling by wavelength; see the reference implementation's apply_scaling.
void rope_scale_llama3(double *frequencies, uint32_t dims, double factor, double low, double high,
                       double original_context);
// Cosines and sines of one position for dims/2 frequencies; position * frequency must be below
// ROPE_ANGLE_MAX.
#define ROPE_ANGLE_MAX 0x1p31
void rope_angles(const double *frequencies, uint32_t dims, uint32_t position, float *ret_cos,
                 float *ret_sin);
// Turns the first `dims` values of one head.
void rope_turn(float *head, uint32_t dims, enum rope_pairs pairs, const float *cosines,
               const float *sines);
