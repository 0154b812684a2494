// Shadow traffic: a copy of some of a route's requests goes to another model, and both answers are
// compared. The copy is a call of its own without a client: it begins in a later turn than the
// original's attempt, makes one attempt, has a deadline, and takes nothing from anybody's limits,
// budgets and breakers. Nothing of it reaches the original. It ends with it only where the
// original's client goes: without a whole answer there is nothing to compare. Loop thread, but for
// shadow_route.
#pragma once

#include "gateway/call.h"

struct gateway;
struct shadow;

// The call's attempt has begun, on a route that has a shadow: perhaps a copy shall follow it.
void shadow_begin(struct call *c);
// Is it a copy?
bool shadow_of_copy(const struct call *c);
static inline bool shadow_is_copy(const struct call *c)
{
    return c->shadow && shadow_of_copy(c);
}
// A copy has been read: it goes to the shadow's target. Any thread.
bool shadow_route(struct call *c);
// What original and copy say, as it comes; and that it has come to nothing.
void shadow_hear(struct call *c, const struct exchange_event *e);
static inline void shadow_note(struct call *c, const struct exchange_event *e)
{
    if (c->shadow)
        shadow_hear(c, e);
}
void shadow_discard(struct call *c);
// The call's record is complete. Once both sides are over the comparison is written down.
void shadow_over(struct call *c);
// Ends all copies: nobody waits for them.
void shadows_stop(struct gateway *g);
