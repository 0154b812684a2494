// What to do after an attempt failed: pure decisions over one budget for the whole request, which
// retries, fallbacks and hedges share. Any thread.
#pragma once

#include "dialect/api_error.h"

// Kinds of failure after which another target may be tried, as bits of 1 << enum failure.
typedef uint32_t failure_set;

struct retry_policy {
    int64_t attempts_max;   // in all, the first one included
    int64_t time_max_ms;    // from the first attempt on; no new one begins after that
    int64_t cost_max_nano;  // of the attempts before; no new one begins at that. 0: no bound
    int64_t backoff_ms;     // full jitter over backoff · 2^n …
    int64_t backoff_max_ms; // … up to this
    failure_set fallback_on;
};

enum retry_verb {
    RETRY_GIVE_UP,
    RETRY_OTHER, // another target, at once
    RETRY_WAIT   // after wait_ms, whichever target may then be asked
};

struct retry_state {
    uint32_t attempts; // made so far
    uint64_t began_ms; // the first one
    int64_t cost_nano; // of all of them
    bool others;       // there is a target that was not tried and may be asked now
    bool shown;        // the client has seen a part of an answer
};

struct retry_decision {
    enum retry_verb verb;
    uint64_t wait_ms;
    const char *reason; // for the record
};

// Has what came before cost as much as the policy allows?
static inline bool retry_is_too_dear(const struct retry_policy *p, int64_t cost_nano)
{
    return p->cost_max_nano && cost_nano >= p->cost_max_nano;
}
struct retry_decision retry_decide(const struct retry_policy *p, const struct retry_state *s,
                                   const struct api_error *error, uint64_t now_ms, uint64_t random);
// The set that a list of names means: "error", "timeout", "rate_limit", "context",
// "content_policy". False: *ret_bad names the unknown one.
bool failure_set_of(const str *names, size_t len, failure_set *ret, str *ret_bad);

// --- No storms: retries may be a share of requests, over some time, and no more. Loop thread.
struct retry_purse {
    double left;
};
void retry_purse_request(struct retry_purse *p, double share); // a request came: earns a share
bool retry_purse_take(struct retry_purse *p);                  // false: no retry now
