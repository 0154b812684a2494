// Whether a request may run now: its key's limits and budget, the rules of `rate_limits` that fit
// its model and provider, and the queue where it waits for a place.
//
// Reserve and settle. Before each attempt so many tokens (and so much money) are taken as it may
// use: its prompt's and the answer's limit. A client that gave no limit gets one where tokens or
// money are limited: twice the 95th percentile of what the model was seen to answer. After the
// attempt, however it ended, the difference to what it used is settled. Loop thread; the limits
// themselves are shared by all loops.
#pragma once

#include "dialect/exchange.h"
#include "gateway/answer_headers.h"
#include "gateway/config.h"
#include "gateway/key.h"
#include "gateway/learned.h"
#include "gateway/price.h"
#include "gateway/record.h"
#include "gateway/registry.h"
#include "gateway/world.h"

struct call;
struct gateway;

// A rule and its state, shared by all loops.
struct admission_rule {
    str name, model, provider; // patterns; empty: any
    struct limit limit;
};

struct admission_rules {
    struct admission_rule *items;
    size_t len;
};

void admission_rules_init(struct admission_rules *r, const struct gateway_config *config);
void admission_rules_done(struct admission_rules *r);

// A key and the rules that fit one request.
#define ADMISSION_SCOPES_MAX 9

struct admission {
    struct admission_scope {
        struct limit *limit;
        str name;     // for the refusal
        bool of_key;  // taken once a call, not once an attempt
        bool held;    // its request is counted and its place taken
        bool fresh;   // … in this attempt
        bool charged; // the reserved tokens are taken from it
    } *scopes;        // in the call's arena, where there is any
    size_t scopes_len;
    uint64_t prompt_tokens;   // as estimated, or counted
    uint64_t output_tokens;   // reserved for the answer, all choices
    uint64_t reserved_tokens; // both together; 0: nothing is reserved now
    int64_t reserved_nano;
    uint64_t reserved_wall_ms;
    uint64_t admitted_us; // when the first attempt was let in
    bool money;           // a reservation of money is open
    // In the queue.
    bool waiting;
    const struct limit *full; // whose place it waits for
    uint64_t wait_until_ms;
    struct call *next_waiting;
};

// One loop's.
struct admission_queue {
    struct call *first[KEY_PRIORITIES];
    size_t len;
    struct world_timer timer; // looks who may go on
    bool ringing;
    struct learned learned[REGISTRY_MODELS_MAX]; // by model_entry.index
    double hold_ms;                              // how long a place is held, on average
};

// A prompt's tokens, where nobody on this machine can count them. Any thread.
uint64_t admission_estimate(const struct exchange_request *r);
// For a second attempt beside the call's: its key's place is the call's. False: no memory is left.
bool admission_beside(struct call *c, struct admission *ret) MUST_USE;
// As the phase, but it does not wait. False: it may not run now (c->error).
bool admission_try(struct call *c) MUST_USE;
// The target is prepared: where its provider has counted the prompt's tokens, the reservation is
// put right. False: there is not so much (c->error).
bool admission_prepared(struct call *c) MUST_USE;
// The attempt is over, or its usage is known: what it used and cost goes into its record, and the
// reservation is settled; once.
void admission_close(struct call *c, struct attempt_record *a, enum attempt_end end);
// The call is over: its places are free again, and it waits no more.
void admission_leave(struct call *c);
// OpenAI's x-ratelimit-* headers, of the first scope that has such a limit.
void admission_headers(const struct call *c, struct answer_headers *h);
