// Providers that the environment unlocks, without a configuration: whose key is there, and an
// Ollama at its usual place. Reads the environment; before any thread starts.
#pragma once

#include "gateway/config.h"

// Appends to `ret` (room for `max`); strings live in the arena. How many were added.
size_t providers_environment(struct arena *arena, struct gateway_provider *ret, size_t max);
