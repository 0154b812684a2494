// A thread that looks at event loops from outside and says, in one log line, which callback has
// held one for too long, while it still holds it. It sleeps while all of them wait. Owner: main.
// Any thread may start and stop it; the loops must outlive it.
#pragma once

#include "net/loop.h"

struct watchdog;

// Watch `len` loops; a callback that runs over `limit_ms` is named (once).
enum err watchdog_start(struct loop *const *loops, size_t len, uint32_t limit_ms,
                        struct watchdog **ret, struct diag *d) MUST_USE;
void watchdog_stop(struct watchdog *w);             // NULL is fine
uint64_t watchdog_stalls(const struct watchdog *w); // lines written so far
