// A second attempt beside one that has been silent for longer than its target usually is: whichever
// says something first answers the call, and the other is stopped at once, its cost in the ledger.
// While both run, the second one's state stands aside in struct call_side; swapping the two makes
// it the call's attempt, so that whatever handles an attempt handles either. Loop thread.
#pragma once

#include <stdbool.h>

struct call;
struct call_side;

// An attempt has begun: sets the moment for a second one, where the route wants it.
void hedge_arm(struct call *c);
// The moment has come.
void hedge_begin(struct call *c);
bool hedge_runs(const struct call *c);
void hedge_swap(struct call *c);
// The call's attempt was closed: the one at the side takes its place. False: there is none.
bool hedge_take_over(struct call *c);
// Stops the one at the side.
void hedge_end(struct call *c);
