// Canaries: a text that stands in a system prompt and nowhere else, so that an answer which holds
// it leaks the prompt, however the model was talked into writing it. Adds the patterns that find it
// plain (in either case), with separators between its characters, reversed, by rot13, in hex and in
// base64 wherever it begins in a longer text. Pure; any thread.
#pragma once

#include "guard/pattern.h"

#define CANARY_BYTES_MIN 8
#define CANARY_BYTES_MAX 128

// All match as `id`. ERR_INVALID when the text is too short to be unmistakable, or too long.
enum err canary_add(struct patterns *p, str canary, uint32_t id, struct diag *d) MUST_USE;
