// What the files of admission share.
#pragma once

#include "gateway/call.h"

// How much the request may use: its prompt by estimate, its answer; a limit for the answer where
// there was none and tokens or money are metered.
void admission_need(struct call *c);
// The price of the target's tokens; NULL: not known.
const struct price *admission_price(const struct call *c);

// Whether others wait for the same place and stand before it.
bool admission_others_first(const struct call *c, const struct limit *l);
// Wait for a place in `full`, or be refused.
enum phase_result admission_wait(struct call *c, const struct limit *full,
                                 const struct limit_refusal *why);
void admission_stop_waiting(struct call *c);
// A place is free: those who wait are looked at, soon.
void admission_ring(struct call *c);
