// API keys: those of the configuration and those of the store (`weir key`), in one ring. A key is
// found by the hash of what the client sent; what it may do never changes while it lives, only that
// it is revoked. One thread at a time adds (the store's); any thread looks up, without a lock: an
// entry is never freed before the ring is, and neither is a table that was outgrown (together less
// than one more of the newest).
#pragma once

#include "base/arena.h"
#include "gateway/budget.h"
#include "gateway/config.h"
#include "gateway/limit.h"
#include "store/key.h"

#define KEY_DIGEST_BYTES 32
#define KEY_PREFIX       "wk-"
// The prefix, 256 random bits in hex, a NUL.
#define KEY_SECRET_BYTES (sizeof KEY_PREFIX + 64)

enum key_priority { KEY_PRIORITY_HIGH, KEY_PRIORITY_NORMAL, KEY_PRIORITY_LOW, KEY_PRIORITIES };
extern const char *const key_priority_names[]; // NULL-ended: "high", "normal", "low"

struct key {
    uint8_t digest[KEY_DIGEST_BYTES];
    str id;   // "config:NAME" for those of the configuration
    str name; // for logs; the key itself is nowhere
    str tags;
    str models;         // patterns, separated by commas; empty: all
    int64_t expires_ms; // 0: never
    enum key_priority priority;
    struct limit limit;
    struct budget budget;
    uint64_t guards; // of its own, as bits (gateway/guards.h)
    _Atomic bool revoked;
    _Atomic int64_t unsaved_nano_usd; // spent, and its record was dropped
    struct arena arena;               // the texts
};

struct keyring_table;

struct keyring {
    struct keyring_table *_Atomic table;
    _Atomic size_t len;
};

// Everything in the configuration has been checked (gateway_config_check).
void keyring_init(struct keyring *r, const struct gateway_config *config);
void keyring_done(struct keyring *r);
// All keys of the store, with what each has spent in its period: new ones are added, revoked ones
// marked. The store's thread.
void keyring_update(struct keyring *r, const struct store_key *keys, const int64_t *spent_nano_usd,
                    size_t len);
// Whether anyone needs a key at all: there is one, or there was one.
bool keyring_any(const struct keyring *r);
// NULL: unknown. Revoked and expired ones are found.
struct key *keyring_find(const struct keyring *r, str secret);

void key_digest(str secret, uint8_t out[static KEY_DIGEST_BYTES]);
// A new secret (wipe it after use).
void key_make_secret(char out[static KEY_SECRET_BYTES]);
// Whether one of the key's patterns is this model.
bool key_allows_model(const struct key *k, str model);
