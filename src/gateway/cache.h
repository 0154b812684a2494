// The exact cache: answers by the request that made them, the least recently used go first. While
// an answer is being made, requests for the same wait for it and hear it as it comes (single
// flight). A key is made of the tenant, the model or route, the dialect, and the request's body in
// one canonical form, so that no two tenants ever share an answer. One loop's.
#pragma once

#include "gateway/config.h"
#include "gateway/tape.h"

#define CACHE_KEY_BYTES 32

struct cache_entry;

struct cache {
    struct gateway_cache options;
    struct cache_entry **slots; // by the key's first bytes
    size_t slots_len;
    struct cache_entry *newest, *oldest;
    size_t bytes, len;
};

void cache_init(struct cache *c, const struct gateway_cache *options);
void cache_done(struct cache *c);
// NULL: there is none, or it is too old.
struct tape *cache_find(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES],
                        uint64_t now_ms);
// From now on this tape is found; it is held.
void cache_put(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], struct tape *t,
               uint64_t now_ms);
// The tape has ended: it is kept if it is not too large, and forgotten if it failed.
void cache_settle(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], const struct tape *t);

// --- Keys (cache_key.c)
struct call;
void cache_key(const struct call *c, uint8_t out[static CACHE_KEY_BYTES]);
// The same of all but one text of the request's document, which may be any.
void cache_bucket(const struct call *c, str open, uint8_t out[static CACHE_KEY_BYTES]);
