// The model inside the program: a GGUF image in read-only memory, so that the binary alone can
// answer. Immutable; any thread.
#pragma once

#include "base/str.h"

str models_bundled_gguf(void);         // 64-byte aligned; lives as long as the process
const char *models_bundled_name(void); // "weir-tiny": what clients call it
