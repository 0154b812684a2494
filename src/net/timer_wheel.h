// A hierarchical timer wheel: 6 levels of 64 slots, 1 ms at the bottom, about two years at the top;
// set and cancel are O(1), an entry moves down at most 5 times. The slot of an entry follows from
// the highest 6-bit group in which its due time differs from `elapsed_ms`, so a level's entries all
// lie in the current slot of the level above and the lowest occupied level holds the earliest one.
// Owner: a loop. Times are the loop's milliseconds.
#pragma once

#include "net/loop.h"

#define TIMER_WHEEL_LEVELS 6

struct timer_wheel {
    uint64_t elapsed_ms;                   // every entry due by then has fired
    uint64_t now_ms;                       // of the last advance
    uint64_t next_ms;                      // nothing fires or moves before that
    uint64_t occupied[TIMER_WHEEL_LEVELS]; // a bit a slot; may be stale after a cancel
    struct loop_timer slots[TIMER_WHEEL_LEVELS][64];
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);
void timer_wheel_add(struct timer_wheel *w, struct loop_timer *t, uint64_t due_ms);
void timer_wheel_remove(struct loop_timer *t); // of an armed timer
// When to advance next (early at times, never late); UINT64_MAX when nothing is set.
uint64_t timer_wheel_next_ms(const struct timer_wheel *w);
// Call `fire` for each entry due by now_ms, in order of due time.
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms,
                         void (*fire)(void *ctx, struct loop_timer *t), void *ctx);
