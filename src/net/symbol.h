// The name of a function of this program, for people. It reads the program's own symbol table
// (static functions too), so it is slow and blocks: not for loop threads.
#pragma once

#include "base/base.h"

// "stream_ready", else "libx.so+0x12ab" or "0x55…" as far as it is known; returns out.
const char *symbol_name(void (*function)(void), char *out, size_t out_size);
