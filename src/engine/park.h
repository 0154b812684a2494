// Where one thread sleeps until another has something for it. park_signal is wait-free but for the
// kernel's own wake (taken only when the sleeper really sleeps), so a loop thread may call it. A
// signal that comes before the sleep is not lost: the next park_wait returns at once. One sleeper.
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct park {
    _Atomic uint32_t state;
};

void park_init(struct park *p);
void park_signal(struct park *p);
#define PARK_FOREVER UINT32_MAX
// Returns after a signal, after timeout_ms, or early for no reason: the caller looks again.
void park_wait(struct park *p, uint32_t timeout_ms); // PARK_FOREVER: no time ends it
