// The record of a copy of a request (gateway/shadow.h) beside that of the request itself: what it
// was, and how its answer compares. It is written when both are over, which may be long after the
// request's own record. Pure data: the texts belong to whoever made the struct.
#pragma once

#include "store/row.h"

struct store_shadow {
    str request; // whose copy it is
    str route, target, provider, model;
    str outcome; // "same", "different", "failed", "timeout", "cancelled"
    str failure, code;
    int64_t upstream_status;
    str upstream_request_id;
    int64_t first_us, total_us;               // of the copy, since it began
    int64_t answer_first_us, answer_total_us; // of the request itself
    int64_t prompt_tokens, cached_tokens, completion_tokens;
    bool usage_estimated;
    int64_t cost_nano_usd;              // of the copy; -1: not known
    int64_t answer_bytes, shadow_bytes; // of the texts
    str answer_text, shadow_text;       // where they are recorded
};

extern const struct row_column store_shadow_columns[];

// The newest copy of the request of that id, in the arena. ERR_NOT_FOUND.
enum err store_shadow_find(struct db *b, str id, struct arena *a, struct store_shadow *ret,
                           struct diag *d) MUST_USE;
