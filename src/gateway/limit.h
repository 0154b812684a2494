// Limits of one scope (a key, a model, a provider): requests and tokens a minute, and requests at
// once. Reserve and settle: what a request may use is taken before it runs, the difference to what
// it did use is given back after, so that N requests at once never pass the bound by more than what
// one of them was let in with.
//
// The rates are buckets that hold one minute's worth and fill evenly (the generic cell rate
// algorithm: one number, the moment at which the bucket would be full again). All state is atomic:
// any thread, no lock. Times are nanoseconds of one monotonic clock.
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct limit_rules {
    int64_t requests_per_minute, tokens_per_minute, concurrency; // 0: unlimited
};

struct limit {
    struct limit_rules rules;
    _Atomic uint64_t requests_full_at, tokens_full_at;
    _Atomic int64_t running;
};

enum limit_kind { LIMIT_NONE, LIMIT_REQUESTS, LIMIT_TOKENS, LIMIT_CONCURRENCY };
const char *limit_kind_name(enum limit_kind k); // "requests per minute"

// Why a request was not let in.
struct limit_refusal {
    enum limit_kind kind;
    int64_t limit, wanted;
    uint64_t wait_ns; // until it would be; 0: nobody knows
    bool never;       // it wants more than the whole bucket
};

// One bucket as a client may see it.
struct limit_view {
    int64_t limit, remaining; // limit 0: none
    uint64_t reset_ns;        // until it is full
};

void limit_init(struct limit *l, const struct limit_rules *rules);

// Each takes all it names or nothing. The three are apart because a request is counted once, while
// each of its attempts has its own tokens.
bool limit_take_request(struct limit *l, uint64_t now_ns, struct limit_refusal *ret) MUST_USE;
void limit_return_request(struct limit *l); // it never ran
bool limit_take_slot(struct limit *l, struct limit_refusal *ret) MUST_USE;
void limit_return_slot(struct limit *l);
bool limit_take_tokens(struct limit *l, uint64_t now_ns, uint64_t tokens,
                       struct limit_refusal *ret) MUST_USE;
// `used` may be more than was reserved: the bucket is then emptier than empty for a while.
void limit_settle_tokens(struct limit *l, uint64_t reserved, uint64_t used);

struct limit_view limit_requests(const struct limit *l, uint64_t now_ns);
struct limit_view limit_tokens(const struct limit *l, uint64_t now_ns);
