#include "engine/kv.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"

#include "base/banned.h"

// "No block" is 0 in every link, so that tables of zeros need no touch: links hold block + 1.
struct block {
    uint32_t refs;
    uint32_t older, newer; // in the list of cached blocks that nobody holds
    uint32_t chain;        // in its bucket
    uint64_t serial;       // 0: not in the prefix tree
    uint64_t parent;
    int32_t tokens[KV_BLOCK_TOKENS];
};

struct kv {
    struct kv_budget *budget;
    uint8_t *pool;
    size_t pool_bytes, block_bytes;
    struct block *blocks;
    uint32_t *buckets; // of block + 1
    uint32_t n_blocks, bucket_mask;
    uint32_t n_fresh; // blocks from here on were never used
    uint32_t *warm;   // free and touched
    uint32_t *cold;   // free and given back
    uint32_t n_warm, n_cold;
    uint32_t oldest, newest, n_cached; // unreferenced but in the tree
    uint32_t n_held, n_promised;
    uint64_t hash_key; // drawn: nobody outside can choose tokens that all fall into one bucket
};

// Tables are mapped, not allocated: a big pool's tables cost memory only where they are used.
static void *map_zeroed(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

static size_t bucket_count(uint32_t n_blocks)
{
    size_t n = 64;
    while (n < n_blocks)
        n *= 2;
    return n;
}

static bool map_tables(struct kv *kv)
{
    size_t buckets = bucket_count(kv->n_blocks);
    kv->bucket_mask = (uint32_t)(buckets - 1);
    kv->pool = map_zeroed(kv->pool_bytes);
    kv->blocks = map_zeroed(kv->n_blocks * sizeof *kv->blocks);
    kv->buckets = map_zeroed(buckets * sizeof *kv->buckets);
    kv->warm = map_zeroed(kv->n_blocks * sizeof *kv->warm);
    kv->cold = map_zeroed(kv->n_blocks * sizeof *kv->cold);
    return kv->pool && kv->blocks && kv->buckets && kv->warm && kv->cold;
}

enum err kv_new(struct kv_budget *budget, size_t block_bytes, uint64_t room_bytes, struct kv **ret,
                struct diag *d)
{
    ASSERT(block_bytes > 0 && block_bytes % 64 == 0);
    uint64_t bytes = budget->bytes_max < room_bytes ? budget->bytes_max : room_bytes;
    uint64_t n = bytes / block_bytes;
    if (n == 0)
        return diag_set(d, ERR_LIMIT,
                        "%llu bytes for keys and values do not hold one block of %zu bytes: "
                        "allow more",
                        (unsigned long long)bytes, block_bytes);
    if (budget->n_pools == KV_POOLS_MAX)
        return diag_set(d, ERR_LIMIT, "more than %d models are loaded", KV_POOLS_MAX);
    struct kv *kv = mem_new(struct kv);
    kv->budget = budget;
    kv->block_bytes = block_bytes;
    random_bytes(&kv->hash_key, sizeof kv->hash_key);
    kv->n_blocks = n < UINT32_MAX / 2 ? (uint32_t)n : UINT32_MAX / 2;
    kv->pool_bytes = kv->n_blocks * block_bytes;
    if (!map_tables(kv)) {
        kv_free(kv);
        return diag_set(d, ERR_NOMEM, "cannot reserve %llu bytes of addresses for keys and values",
                        (unsigned long long)budget->bytes_max);
    }
    budget->pools[budget->n_pools++] = kv;
    *ret = kv;
    return ERR_OK;
}

static void leave_budget(struct kv *kv)
{
    struct kv_budget *b = kv->budget;
    for (size_t i = 0; i < b->n_pools; i++)
        if (b->pools[i] == kv) {
            b->pools[i] = b->pools[--b->n_pools];
            b->bytes_used -= (uint64_t)(kv->n_fresh - kv->n_cold) * kv->block_bytes;
            return;
        }
}

void kv_free(struct kv *kv)
{
    if (!kv)
        return;
    leave_budget(kv);
    unmap(kv->pool, kv->pool_bytes);
    unmap(kv->blocks, kv->n_blocks * sizeof *kv->blocks);
    unmap(kv->buckets, ((size_t)kv->bucket_mask + 1) * sizeof *kv->buckets);
    unmap(kv->warm, kv->n_blocks * sizeof *kv->warm);
    unmap(kv->cold, kv->n_blocks * sizeof *kv->cold);
    mem_free(kv);
}

uint8_t *kv_pool(const struct kv *kv)
{
    return kv->pool;
}

struct kv_counts kv_counts(const struct kv *kv)
{
    return (struct kv_counts){kv->n_blocks, kv->n_held, kv->n_cached};
}

// --- The list of cached blocks that nobody holds

static void unheld_remove(struct kv *kv, uint32_t block)
{
    struct block *b = &kv->blocks[block];
    *(b->older ? &kv->blocks[b->older - 1].newer : &kv->oldest) = b->newer;
    *(b->newer ? &kv->blocks[b->newer - 1].older : &kv->newest) = b->older;
    b->older = b->newer = 0;
    kv->n_cached--;
}

static void unheld_add(struct kv *kv, uint32_t block)
{
    struct block *b = &kv->blocks[block];
    b->older = kv->newest;
    *(kv->newest ? &kv->blocks[kv->newest - 1].newer : &kv->oldest) = block + 1;
    kv->newest = block + 1;
    kv->n_cached++;
}

// --- The prefix tree

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93;
    return x ^ (x >> 32);
}

static uint32_t *bucket_of(const struct kv *kv, uint64_t parent, const int32_t *tokens)
{
    uint64_t h = mix(parent ^ kv->hash_key);
    for (size_t i = 0; i < KV_BLOCK_TOKENS; i += 2)
        h = mix(h ^ ((uint64_t)(uint32_t)tokens[i] << 32 | (uint32_t)tokens[i + 1]));
    return &kv->buckets[h & kv->bucket_mask];
}

static bool holds(const struct block *b, uint64_t parent, const int32_t *tokens)
{
    return b->parent == parent && memcmp(b->tokens, tokens, sizeof b->tokens) == 0;
}

// The place that links to the block, or the end of its bucket.
static uint32_t *tree_link(const struct kv *kv, uint64_t parent, const int32_t *tokens)
{
    uint32_t *link = bucket_of(kv, parent, tokens);
    while (*link && !holds(&kv->blocks[*link - 1], parent, tokens))
        link = &kv->blocks[*link - 1].chain;
    return link;
}

static void tree_remove(struct kv *kv, struct block *b)
{
    uint32_t *link = tree_link(kv, b->parent, b->tokens);
    ASSERT(*link && &kv->blocks[*link - 1] == b);
    *link = b->chain;
    b->chain = 0;
    b->serial = 0;
}

uint64_t kv_new_serial(struct kv_budget *budget)
{
    return ++budget->last_serial;
}

bool kv_find(struct kv *kv, uint64_t parent, const int32_t *tokens, uint32_t *ret_block,
             uint64_t *ret_serial)
{
    uint32_t found = *tree_link(kv, parent, tokens);
    if (!found)
        return false;
    kv_share(kv, found - 1);
    *ret_block = found - 1;
    *ret_serial = kv->blocks[found - 1].serial;
    return true;
}

uint32_t kv_publish(struct kv *kv, uint32_t block, uint64_t parent, const int32_t *tokens,
                    uint64_t *ret_serial)
{
    uint32_t *link = tree_link(kv, parent, tokens);
    if (*link) {
        uint32_t same = *link - 1;
        ASSERT(same != block);
        kv_share(kv, same);
        kv_drop(kv, block);
        *ret_serial = kv->blocks[same].serial;
        return same;
    }
    struct block *b = &kv->blocks[block];
    ASSERT(b->refs > 0 && b->serial == 0);
    b->parent = parent;
    memcpy(b->tokens, tokens, sizeof b->tokens);
    b->serial = kv_new_serial(kv->budget);
    *link = block + 1;
    *ret_serial = b->serial;
    return block;
}

// --- Taking and giving

static bool evict_oldest(struct kv *kv)
{
    if (!kv->oldest)
        return false;
    uint32_t block = kv->oldest - 1;
    unheld_remove(kv, block);
    tree_remove(kv, &kv->blocks[block]);
    kv->warm[kv->n_warm++] = block;
    return true;
}

// Whole pages inside the block go back to the system; what shares a page with a neighbour stays.
static void give_pages_back(struct kv *kv, uint32_t block)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = (uintptr_t)(kv->pool + block * kv->block_bytes);
    uintptr_t to = (from + kv->block_bytes) & ~(page - 1);
    from = (from + page - 1) & ~(page - 1);
    if (from < to)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

static bool give_one_back(struct kv *kv)
{
    if (kv->n_warm == 0 && !evict_oldest(kv))
        return false;
    uint32_t block = kv->warm[--kv->n_warm];
    give_pages_back(kv, block);
    kv->cold[kv->n_cold++] = block;
    kv->budget->bytes_used -= kv->block_bytes;
    return true;
}

static uint64_t budget_left(const struct kv_budget *b)
{
    return b->bytes_max - b->bytes_used;
}

// Other pools give back what they do not need until one block of this pool fits the budget.
static bool others_give_back(struct kv *kv)
{
    struct kv_budget *b = kv->budget;
    for (size_t i = 0; i < b->n_pools; i++)
        while (b->pools[i] != kv && budget_left(b) < kv->block_bytes)
            if (!give_one_back(b->pools[i]))
                break;
    return budget_left(b) >= kv->block_bytes;
}

static bool grow(struct kv *kv)
{
    if (budget_left(kv->budget) < kv->block_bytes || (!kv->n_cold && kv->n_fresh == kv->n_blocks))
        return false;
    kv->warm[kv->n_warm++] = kv->n_cold ? kv->cold[--kv->n_cold] : kv->n_fresh++;
    kv->budget->bytes_used += kv->block_bytes;
    return true;
}

bool kv_take(struct kv *kv, uint32_t *ret_block)
{
    bool any = kv->n_warm > 0 || grow(kv) || evict_oldest(kv) || (others_give_back(kv) && grow(kv));
    if (!any)
        return false;
    uint32_t block = kv->warm[--kv->n_warm];
    ASSERT(kv->blocks[block].refs == 0 && kv->blocks[block].serial == 0);
    kv->blocks[block].refs = 1;
    kv->n_held++;
    *ret_block = block;
    return true;
}

// Writes what is there: pages at the block's ends may be its neighbours' too.
static void touch(volatile uint8_t *at, size_t bytes, size_t page)
{
    for (size_t i = 0; i < bytes + page - 1; i += page) {
        volatile uint8_t *in_page = &at[i < bytes ? i : bytes - 1];
        uint8_t there = *in_page;
        *in_page = there;
    }
}

bool kv_touch_ahead(struct kv *kv, uint32_t blocks)
{
    const struct kv_budget *b = kv->budget;
    if (kv->n_warm >= blocks || budget_left(b) < b->bytes_max / 8 || !grow(kv))
        return false;
    touch(kv->pool + kv->warm[kv->n_warm - 1] * kv->block_bytes, kv->block_bytes,
          (size_t)sysconf(_SC_PAGESIZE));
    return true;
}

void kv_share(struct kv *kv, uint32_t block)
{
    struct block *b = &kv->blocks[block];
    if (b->refs++ == 0) {
        ASSERT(b->serial != 0);
        unheld_remove(kv, block);
        kv->n_held++;
    }
}

void kv_drop(struct kv *kv, uint32_t block)
{
    struct block *b = &kv->blocks[block];
    ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    kv->n_held--;
    if (b->serial)
        unheld_add(kv, block);
    else
        kv->warm[kv->n_warm++] = block;
}

void kv_promise(struct kv *kv, uint32_t blocks)
{
    kv->n_promised += blocks;
}

void kv_unpromise(struct kv *kv, uint32_t blocks)
{
    ASSERT(blocks <= kv->n_promised);
    kv->n_promised -= blocks;
}

// What all pools together could still hold, less what they have promised; and this pool has only so
// many blocks.
uint32_t kv_available(const struct kv *kv)
{
    const struct kv_budget *b = kv->budget;
    int64_t bytes = (int64_t)budget_left(b);
    for (size_t i = 0; i < b->n_pools; i++) {
        const struct kv *p = b->pools[i];
        bytes += ((int64_t)p->n_warm + p->n_cached - p->n_promised) * (int64_t)p->block_bytes;
    }
    if (bytes <= 0)
        return 0;
    uint64_t by_budget = (uint64_t)bytes / kv->block_bytes;
    // Who adopts cached blocks may hold, for a moment, what is promised to others.
    uint64_t taken = (uint64_t)kv->n_held + kv->n_promised;
    uint64_t by_count = kv->n_blocks > taken ? kv->n_blocks - taken : 0;
    return (uint32_t)(by_budget < by_count ? by_budget : by_count);
}
