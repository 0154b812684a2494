// Paged K and V of one model: blocks of 16 positions in a pool that is reserved as address space
// and becomes memory when first touched. Blocks are counted, shared by prefix and, once nobody
// holds them, kept until the room is needed (least recently used first).
//
// The prefix cache is a tree: a full block stands under its parent's serial number with its 16
// tokens as the key. The hash of (parent, tokens) only finds candidates; tokens and parent are then
// compared, so a hit is a proof, by induction from the root, that all tokens before are the same.
// A tenant's root is a serial number of its own: tenants never meet. Serial numbers are never used
// twice, so a child whose parent was evicted is simply never found again.
//
// All pools of an engine draw on one budget. Owner: the scheduler thread alone.
#pragma once

#include <stdbool.h>

#include "base/err.h"

enum { KV_BLOCK_TOKENS = 16, KV_POOLS_MAX = 64 };

struct kv;

struct kv_budget {
    uint64_t bytes_max, bytes_used; // used: of blocks that were touched and not given back
    uint64_t last_serial;
    struct kv *pools[KV_POOLS_MAX];
    size_t n_pools;
};

static inline uint32_t kv_blocks_for(uint32_t positions)
{
    return (positions + KV_BLOCK_TOKENS - 1) / KV_BLOCK_TOKENS;
}

struct kv_counts { // in blocks
    uint32_t total, used, cached;
};

// Reserves room for as many blocks as fit into the budget and into room_bytes (which this pool
// alone has: memory of its own kind, UINT64_MAX where that is the budget's). ERR_LIMIT when not
// even one fits.
enum err kv_new(struct kv_budget *budget, size_t block_bytes, uint64_t room_bytes, struct kv **ret,
                struct diag *d) MUST_USE;
void kv_free(struct kv *kv);

uint8_t *kv_pool(const struct kv *kv);
struct kv_counts kv_counts(const struct kv *kv);
// How many blocks may be taken beyond those that are promised, evicting what is only cached.
uint32_t kv_available(const struct kv *kv);
// Promise: the owner may take so many blocks later, whatever others do meanwhile. The caller has
// checked kv_available, and unpromises each block before it takes (or finds) it.
void kv_promise(struct kv *kv, uint32_t blocks);
void kv_unpromise(struct kv *kv, uint32_t blocks);

// A block with one reference and arbitrary content; false when there is none.
bool kv_take(struct kv *kv, uint32_t *ret_block);
// Makes one block's pages memory before anybody wants it, unless so many that were touched before
// are free, or less than an eighth of the budget is left (another pool may want that). Whether it
// did.
bool kv_touch_ahead(struct kv *kv, uint32_t blocks);
void kv_share(struct kv *kv, uint32_t block);
// Gives one reference back. Drop a sequence's blocks last to first: then the ends of chains are
// evicted before their beginnings.
void kv_drop(struct kv *kv, uint32_t block);

uint64_t kv_new_serial(struct kv_budget *budget);
// The block that continues `parent` with these 16 tokens: one reference more, and its serial
// number.
bool kv_find(struct kv *kv, uint64_t parent, const int32_t *tokens, uint32_t *ret_block,
             uint64_t *ret_serial);
// `block` now holds these 16 tokens after `parent`: others may find it. If another block does
// already, that one is returned instead (with the caller's reference moved to it: the contents are
// the same bits).
uint32_t kv_publish(struct kv *kv, uint32_t block, uint64_t parent, const int32_t *tokens,
                    uint64_t *ret_serial);
