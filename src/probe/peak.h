// The innermost loops, one a kind of instruction: each runs `turns` turns and says how many
// operations these were.
#pragma once

#include "probe/probe.h"

typedef double peak_fn(size_t turns);

// NULL: not on this processor. Asks the system's leave for the matrix unit where that is needed.
peak_fn *peak_find(enum probe_peak p);
