// A circuit breaker: keeps requests away from a target that fails. Closed: all pass, and results
// are counted over a sliding window. Open: none pass until its time is up. Half-open: one probe
// passes; it closes the breaker or opens it for twice as long. What a client did wrong counts for
// nothing. A rate limit holds the target back for as long as it said and counts for nothing either.
// One loop's; time is given, so that tests choose it.
#pragma once

#include "dialect/api_error.h"

#define BREAKER_SLOTS 10

struct breaker_options {
    int64_t window_ms;       // results older than that are forgotten
    int64_t results_min;     // fewer never open it
    double failures_rate;    // from this share of failures on
    int64_t open_ms;         // the first time; doubled with each trip in a row, ±10 %
    int64_t open_max_ms;     // … up to this
    int64_t hard_down_ms;    // after a refusal of our credentials or quota
    int64_t rate_limited_ms; // after a 429 that names no time
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };
const char *breaker_state_name(enum breaker_state s);

struct breaker {
    struct {
        uint32_t good, bad;
    } slots[BREAKER_SLOTS];
    uint64_t slot;       // number of the newest slot
    uint64_t until_ms;   // open until then
    uint64_t limited_ms; // rate limited until then
    uint32_t trips;      // in a row
    bool open, probing;
};

enum breaker_state breaker_state(const struct breaker *b, uint64_t now_ms);
// May a request go there now?
bool breaker_allows(const struct breaker *b, uint64_t now_ms);
// When it may, at the earliest; 0: now.
uint64_t breaker_wait_ms(const struct breaker *b, uint64_t now_ms);
// A request goes there: in half-open it is the probe.
void breaker_enter(struct breaker *b, uint64_t now_ms);
// How it ended: FAILURE_NONE is a success. `random` spreads the reopening. True: it opened by this.
bool breaker_leave(struct breaker *b, const struct breaker_options *o, enum failure f,
                   uint64_t retry_after_ms, uint64_t now_ms, uint64_t random);
// It was cancelled and says nothing about the target.
void breaker_forget(struct breaker *b);
