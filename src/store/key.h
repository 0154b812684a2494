// Virtual API keys as rows. Only a key's SHA-256 is stored: a key is 256 random bits, so that its
// hash can neither be turned back nor guessed. A revoked key's row stays, so that a server that
// once had keys never opens by itself. What these functions say is done is on disk.
#pragma once

#include "store/row.h"

struct store_key {
    str id, name;                               // the name is free again when its key is revoked
    int64_t created_ms, expires_ms, revoked_ms; // 0: never
    str models; // patterns it may use, separated by commas; empty: all
    str tags;   // "team=red,env=test"
    int64_t requests_per_minute, tokens_per_minute, concurrency; // 0: unlimited
    int64_t budget_nano_usd;                                     // -1: none
    str budget_period;                                           // "day", "month", "total"
    str priority;                                                // "high", "normal", "low"
    str digest;                                                  // 64 hex digits
};

extern const struct row_column store_key_columns[];

// ERR_INVALID: a key of that name is in use.
enum err store_key_insert(struct db *b, const struct store_key *k, struct diag *d) MUST_USE;
// By name or id. ERR_NOT_FOUND: there is none that is not revoked already.
enum err store_key_revoke(struct db *b, str which, int64_t now_ms, struct diag *d) MUST_USE;
// All of them, revoked ones too, oldest first; in the arena.
enum err store_key_list(struct db *b, struct arena *a, struct store_key **ret, size_t *ret_len,
                        struct diag *d) MUST_USE;
