// Blocks of 256 values of the K types, as quantise.h's table calls them. Shared inside this room.
#pragma once

#include "base/base.h"

void quantise_block_q4_k(const float *in, uint8_t *out);
void quantise_block_q5_k(const float *in, uint8_t *out);
void quantise_block_q6_k(const float *in, uint8_t *out);
