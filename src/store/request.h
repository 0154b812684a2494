// The record of one request and of its attempts, as rows. Pure data: the texts belong to whoever
// made the struct.
#pragma once

#include "store/row.h"

struct store_attempt {
    str target, provider, model, reason, breaker, result, failure, code;
    int64_t upstream_status;
    str upstream_request_id;
    int64_t waited_us;
    int64_t started_us, first_us, ended_us; // since the request began; 0: it did not come to that
    int64_t queue_us, prefill_us, decode_us;
    int64_t prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens;
    bool usage_estimated;
    int64_t cost_nano_usd; // -1: not known
    str protocol;          // "http/1.1", "h2"; empty: nothing was said over a network
};

struct store_request {
    str id;
    int64_t started_ms; // wall clock
    str endpoint;
    int64_t status;
    str outcome, code, param, key, key_id, peer, model, provider;
    bool stream;
    int64_t choices;
    str finish, cache, cache_source, dropped; // cache_source: the request whose answer it was
    int64_t cache_similarity_ppm;             // … and how near their questions were
    str guard;                                // rules that fired: "set.rule=block, …"
    str context;                              // what was left out of a prompt that was too long
    int64_t seed;
    int64_t prompt_tokens, cached_tokens, cache_write_tokens, completion_tokens, reasoning_tokens;
    bool usage_estimated;
    int64_t reserved_tokens, attempts_len, cost_nano_usd;
    int64_t read_us, admitted_us, first_us, total_us, overhead_us; // since it began
    struct store_attempt *attempts;                                // attempts_len of them
    // Money that goes to the key's spend with this record: its own, and what records that were
    // dropped could not bring there.
    int64_t spend_nano_usd;
};

extern const struct row_column store_request_columns[], store_attempt_columns[];

// The newest request of that id, with its attempts, in the arena. ERR_NOT_FOUND.
enum err store_request_find(struct db *b, str id, struct arena *a, struct store_request *ret,
                            struct diag *d) MUST_USE;
