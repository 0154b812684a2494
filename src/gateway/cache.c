#include "gateway/cache.h"

#include "base/mem.h"

#include "base/banned.h"

#define SLOTS 4096 // chains stay short up to some ten thousand answers

struct cache_entry {
    uint8_t key[CACHE_KEY_BYTES];
    struct cache_entry *chain;
    struct cache_entry *newer, *older;
    struct tape *tape;
    size_t bytes; // counted so far
    uint64_t put_ms;
};

void cache_init(struct cache *c, const struct gateway_cache *options)
{
    *c = (struct cache){.options = *options};
    if (!options->enabled)
        return;
    c->slots_len = SLOTS;
    c->slots = mem_array(SLOTS, sizeof(void *));
}

static struct cache_entry **place(const struct cache *c, const uint8_t *key)
{
    size_t hash;
    memcpy(&hash, key, sizeof hash);
    struct cache_entry **at = &c->slots[hash % c->slots_len];
    while (*at && memcmp((*at)->key, key, CACHE_KEY_BYTES) != 0)
        at = &(*at)->chain;
    return at;
}

static void take_out_of_age(struct cache *c, struct cache_entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void make_newest(struct cache *c, struct cache_entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void forget(struct cache *c, struct cache_entry *e)
{
    *place(c, e->key) = e->chain;
    take_out_of_age(c, e);
    c->bytes -= e->bytes;
    c->len--;
    tape_release(e->tape);
    mem_free(e);
}

void cache_done(struct cache *c)
{
    while (c->newest)
        forget(c, c->newest);
    mem_free(c->slots);
    c->slots = NULL;
}

struct tape *cache_find(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], uint64_t now_ms)
{
    struct cache_entry *e = *place(c, key);
    if (!e)
        return NULL;
    bool runs = tape_state(e->tape) == TAPE_RUNS;
    bool old = !runs && now_ms - e->put_ms >= (uint64_t)c->options.ttl_ms;
    if (old || tape_state(e->tape) == TAPE_FAILED) {
        forget(c, e);
        return NULL;
    }
    take_out_of_age(c, e);
    make_newest(c, e);
    return e->tape;
}

void cache_put(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], struct tape *t,
               uint64_t now_ms)
{
    struct cache_entry **at = place(c, key);
    if (*at)
        forget(c, *at);
    struct cache_entry *e = mem_new(struct cache_entry);
    memcpy(e->key, key, CACHE_KEY_BYTES);
    e->tape = tape_hold(t);
    e->put_ms = now_ms;
    *place(c, key) = e;
    make_newest(c, e);
    c->len++;
}

void cache_settle(struct cache *c, const uint8_t key[static CACHE_KEY_BYTES], const struct tape *t)
{
    struct cache_entry *e = *place(c, key);
    if (!e || e->tape != t)
        return;
    e->bytes = tape_bytes(t) + sizeof *e;
    c->bytes += e->bytes;
    if (tape_state(t) != TAPE_ENDED || e->bytes > (size_t)c->options.entry_bytes_max)
        forget(c, e);
    while (c->bytes > (size_t)c->options.bytes_max && c->oldest)
        forget(c, c->oldest);
}
