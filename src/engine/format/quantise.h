// Rows of f32 to the storage types of model files. F16 and BF16 round to the nearest even; Q8_0,
// Q4_0 and Q4_1 are the formats' customary definitions, byte for byte; the K types are searched:
// scales and minima that make the sum of squared differences small (quantise_fit.h). IEEE
// operations in one fixed order: the same bytes on every machine. Pure; any thread.
#pragma once

#include "engine/format/model_file.h"

// `n` values, whole blocks, to n / block * block_bytes bytes. ERR_INVALID: a value is not finite;
// ERR_LIMIT: one is too large for the type's scale. *ret_at (may be NULL): which. Nothing else
// fails; types that are read are all written.
enum err quantise_row(enum tensor_type t, const float *in, uint64_t n, uint8_t *out,
                      uint64_t *ret_at) MUST_USE;

// Round to nearest even. f16: beyond 65519 it is infinite.
uint16_t quantise_to_f16(float f);
uint16_t quantise_to_bf16(float f);
