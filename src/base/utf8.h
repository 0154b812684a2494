// UTF-8, strict (no overlong forms, no surrogates, ≤ U+10FFFF). Pure functions.
#pragma once

#include "base/str.h"

bool utf8_valid(str s);
// Offset of the first byte that is not valid, or s.len.
size_t utf8_valid_prefix(str s);
// Decode one code point at s.ptr: returns its length 1–4, or 0 when invalid or cut (then *ret_cp =
// U+FFFD).
size_t utf8_decode(str s, uint32_t *ret_cp);
// Writes 1–4 bytes to out; returns the length (0 for an invalid code point).
size_t utf8_encode(uint32_t cp, char out[static 4]);
// How many bytes at the end of s are the beginning of a code point still incomplete (0–3): hold
// these back in a stream.
size_t utf8_incomplete_tail(str s);
