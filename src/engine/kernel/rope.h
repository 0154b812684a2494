// Rotary positions, exact on every machine: angles in double from own exp, log, sin and cos (IEEE
// operations and fma only), rounded to float once. Pure functions, any thread.
#pragma once

#include "base/base.h"

enum rope_pairs { ROPE_PAIRS_NEAR /* (2i, 2i+1) */, ROPE_PAIRS_FAR /* (i, i + dims/2) */ };

// dims/2 frequencies base^(-2i/dims).
void rope_frequencies(double base, uint32_t dims, double *out);
// Llama 3.1's scaling by wavelength (the reference implementation's apply_scaling), as divisors of
// the dims/2 frequencies: f32, as GGUF files hold them, so that a folder and a file made of it
// agree in every bit.
void rope_llama3_divisors(const double *frequencies, uint32_t dims, double factor, double low,
                          double high, double original_context, float *ret);
// The frequencies divided by them.
void rope_scale_llama3(double *frequencies, uint32_t dims, double factor, double low, double high,
                       double original_context);
// YaRN (Peng et al. 2023, "NTK by parts"): waves that turn more than `fast` times over the original
// context stay, those that turn less than `slow` times are divided by `factor`, with a ramp over
// the dimensions between; its ends are whole dimensions where `whole`.
struct rope_yarn {
    double base, factor, fast, slow, original_context;
    bool whole;
};
void rope_scale_yarn(double *frequencies, uint32_t dims, const struct rope_yarn *y);
// 0.1 mscale ln(factor) + 1, and 1 for factors up to 1: what YaRN scales attention by.
double rope_yarn_attention(double factor, double mscale);
// Cosines and sines of one position for dims/2 frequencies, times `scale` before they are rounded;
// position * frequency must be below ROPE_ANGLE_MAX.
#define ROPE_ANGLE_MAX 0x1p31
void rope_angles(const double *frequencies, uint32_t dims, double scale, uint32_t position,
                 float *ret_cos, float *ret_sin);
// Turns the first `dims` values of one head.
void rope_turn(float *head, uint32_t dims, enum rope_pairs pairs, const float *cosines,
               const float *sines);
