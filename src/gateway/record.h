// What is remembered of a call, for its log line, its row in the store, its headers and `weir
// explain`: counts, times and names, never a text of a prompt or an answer and never a secret.
// Owner: the call, on its loop. Times are the call's world's, in microseconds; 0 = it did not come
// to that. Strings live as long as the call (its arena, the registry or the configuration).
#pragma once

#include "base/arena.h"
#include "gateway/breaker.h"
#include "gateway/provider.h"

// Why this attempt was made, and on this target.
enum attempt_reason {
    ATTEMPT_FIRST,    // the route's first choice
    ATTEMPT_RETRY,    // the same target once more
    ATTEMPT_FALLBACK, // the next target: the one before failed, was open or full
    ATTEMPT_HEDGE,    // beside a slow one
    ATTEMPT_RESCUE,   // goes on with an answer that broke off
    ATTEMPT_PROBE,    // a half-open breaker lets one try through
    ATTEMPT_SHADOW,   // of a copy (shadow.h): no client waits for it
    ATTEMPT_REASON_COUNT
};
const char *attempt_reason_name(enum attempt_reason r); // "first"

enum attempt_end {
    ATTEMPT_RUNNING,
    ATTEMPT_ANSWERED,  // to its proven end
    ATTEMPT_FAILED,    // `failure` and `code` say how
    ATTEMPT_CANCELLED, // the client went
    ATTEMPT_LOST,      // another attempt of the same call answered first
    ATTEMPT_END_COUNT
};
const char *attempt_end_name(enum attempt_end e); // "answered"

struct attempt_record {
    struct attempt_record *next; // in the order in which they began
    str target;                  // what the route calls it
    str provider;                // the kind: "local", "openai"
    str model;                   // as the provider calls it
    enum attempt_reason reason;
    enum breaker_state breaker; // of the target, as it began
    enum attempt_end end;
    enum failure failure;
    enum api_error_code code; // FAILED: what a client would have been told
    int upstream_status;      // 0: none came
    str upstream_request_id;
    uint32_t context_messages; // left out, because the prompt was too long
    uint64_t context_tokens;   // … and how many tokens they had
    uint64_t waited_us;        // before it began: back-off, a Retry-After, the hedge's delay
    uint64_t started_us, first_us, ended_us;
    struct exchange_usage usage;  // what it used, answered or not
    struct attempt_report report; // the provider's own times
    int64_t cost_nano_usd;
    bool priced;  // a price is known for it
    bool settled; // usage and cost are final
};

struct call_record {
    uint64_t start_us, worked_us, submitted_us, begun_us, first_us, last_us, end_us;
    uint64_t seed; // when `seeded`
    bool seeded;
    struct exchange_usage usage;   // of the answer
    struct attempt_report attempt; // of the attempt that answered
    int status;
    enum exchange_finish finish;
    bool finished, client_gone;
    uint64_t seen_bytes, seen_pieces;               // of the attempt that runs
    int64_t cost_nano_usd;                          // of all attempts
    bool priced;                                    // a price was known for one of them
    struct attempt_record *attempts, *attempt_last; // the ledger
    uint32_t attempts_len;
};

// A new attempt at the ledger's end, zeroed, in the call's arena. NULL when that is full.
struct attempt_record *record_attempt(struct call_record *r, struct arena *arena) MUST_USE;
