// The exponentials behind sampling and log-probabilities, from IEEE additions and multiplications
// alone (no libm, no fused operations): each element's value is the same on every machine and
// instruction set, and sums have one fixed order. Pure functions. Inputs are finite or -infinity.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { WEIGHT_ONE_BITS = 30 };
#define WEIGHT_ONE (1u << WEIGHT_ONE_BITS)

// The largest; -infinity when all are.
float softmax_max(const float *x, size_t n);
// weights[i] = round(exp((x[i] - max) * scale) * 2^30), and their sum. Whole numbers: any order of
// summing gives the same total.
uint64_t softmax_weights(const float *x, size_t n, float max, float scale, uint32_t *weights);
// ln of the sum of exp(x[i] - max), in double.
double softmax_log_sum(const float *x, size_t n, float max);
// Natural logarithm of a positive, normal number; error under 1e-15 relative to 1.
double exact_log(double x);
