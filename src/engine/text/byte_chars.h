// GPT-2's printable alphabet for bytes (openai/gpt-2 src/encoder.py, bytes_to_unicode): 33–126,
// 161–172 and 174–255 stand for themselves, the other 68 bytes for U+0100 onwards in order.
#pragma once

#include "base/str.h"

uint32_t byte_chars_encode(uint8_t byte);
int byte_chars_decode(uint32_t cp); // the byte, or -1
