// Rows of f32 to the storage types of model files, for tests and generators. Independent of the
// product's own (engine/format/quantise.h), which quantise_row_test holds to it: files made with
// that one would agree with a reader that is wrong in the same way. The simple quantisers follow
// ggml's reference; those of the K types are ours: valid blocks, not the best ones.
#pragma once

#include "engine/format/model_file.h"

uint16_t quantize_f16(float f);  // round to nearest even
uint16_t quantize_bf16(float f); // round to nearest even; NaN stays NaN
// n is a multiple of the type's block. Writes n / block * block_bytes bytes.
void quantize_row(enum tensor_type t, const float *in, size_t n, uint8_t *out);
// Values a block and bytes a block, without the reader's own table.
void quantize_block(enum tensor_type t, uint32_t *ret_values, uint32_t *ret_bytes);
