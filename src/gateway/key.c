#include "gateway/key.h"

#include <stdio.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/guards.h"

#include "base/banned.h"

#define TABLE_MIN       64
#define KEY_BYTES_MAX   65536
#define LOOKUPS_PER_KEY 2 // slots a key, so that probes stay short

const char *const key_priority_names[] = {"high", "normal", "low", NULL};

struct keyring_table {
    struct keyring_table *older;
    size_t mask;
    struct key *_Atomic slots[];
};

void key_digest(str secret, uint8_t out[static KEY_DIGEST_BYTES])
{
    struct sha256 *h = sha256_new();
    sha256_update(h, secret.ptr, secret.len);
    sha256_finish(h, out);
}

void key_make_secret(char out[static KEY_SECRET_BYTES])
{
    uint8_t bits[32];
    random_bytes(bits, sizeof bits);
    memcpy(out, KEY_PREFIX, sizeof KEY_PREFIX - 1);
    encode_hex(out + sizeof KEY_PREFIX - 1, bits, sizeof bits);
    OPENSSL_cleanse(bits, sizeof bits);
}

bool key_allows_model(const struct key *k, str model)
{
    str rest = k->models, pattern;
    if (!rest.len)
        return true;
    while (str_split(&rest, ',', &pattern))
        if (str_matches(model, str_trim(pattern)))
            return true;
    return false;
}

// --- The table: open addressing by the digest's first bytes. Those say nothing about the key, so
// that only the comparison of whole digests must take constant time.

static size_t slot_of(const uint8_t *digest)
{
    size_t at;
    memcpy(&at, digest, sizeof at);
    return at;
}

static struct key *look_up(const struct keyring *r, const uint8_t *digest)
{
    struct keyring_table *t = atomic_load_explicit(&r->table, memory_order_acquire);
    struct key *k;
    for (size_t i = slot_of(digest);; i++) {
        k = atomic_load_explicit(&t->slots[i & t->mask], memory_order_acquire);
        if (!k || CRYPTO_memcmp(k->digest, digest, KEY_DIGEST_BYTES) == 0)
            return k;
    }
}

static void put(struct keyring_table *t, struct key *k)
{
    size_t i = slot_of(k->digest);
    while (atomic_load_explicit(&t->slots[i & t->mask], memory_order_relaxed))
        i++;
    atomic_store_explicit(&t->slots[i & t->mask], k, memory_order_release);
}

static struct keyring_table *new_table(size_t slots)
{
    struct keyring_table *t = mem_zalloc(sizeof *t + slots * sizeof t->slots[0]);
    t->mask = slots - 1;
    return t;
}

static struct keyring_table *grown(struct keyring *r, struct keyring_table *t)
{
    struct keyring_table *bigger = new_table((t->mask + 1) * 2);
    for (size_t i = 0; i <= t->mask; i++) {
        struct key *k = atomic_load_explicit(&t->slots[i], memory_order_relaxed);
        if (k)
            put(bigger, k);
    }
    bigger->older = t;
    atomic_store_explicit(&r->table, bigger, memory_order_release);
    return bigger;
}

static void add(struct keyring *r, struct key *k)
{
    struct keyring_table *t = atomic_load(&r->table);
    size_t len = atomic_load(&r->len) + 1;
    if (len * LOOKUPS_PER_KEY > t->mask + 1)
        t = grown(r, t);
    put(t, k);
    atomic_store(&r->len, len);
}

// --- Keys of the configuration and of the store

static struct key *new_key(str id, str name, str models, str tags)
{
    struct key *k = mem_new(struct key);
    arena_init(&k->arena, KEY_BYTES_MAX);
    k->id = arena_str(&k->arena, id);
    k->name = arena_str(&k->arena, name);
    k->models = arena_str(&k->arena, models);
    k->tags = arena_str(&k->arena, tags);
    return k;
}

static str join(struct arena *a, const struct option_strings *s)
{
    str all = STR("");
    for (size_t i = 0; i < s->len; i++)
        all = arena_printf(a, "%.*s%s%.*s", (int)all.len, all.ptr, i ? "," : "",
                           (int)s->items[i].len, s->items[i].ptr);
    return all;
}

static struct key *from_config(const struct gateway_config *config, const struct gateway_key *c)
{
    char id[256];
    struct gateway_key_terms terms;
    ASSERT(gateway_key_terms(c, &terms, NULL) == ERR_OK); // the configuration was checked
    struct key *k;
    struct arena a;
    arena_init(&a, KEY_BYTES_MAX);
    snprintf(id, sizeof id, "config:%.*s", (int)min_size(c->name.len, 200), c->name.ptr);
    k = new_key(str_of(id), c->name, join(&a, &c->models), join(&a, &c->tags));
    arena_done(&a);
    key_digest(c->secret, k->digest);
    k->expires_ms = terms.expires_ms;
    k->priority = (enum key_priority)c->priority;
    k->guards = guards_bits(config, &c->guards);
    limit_init(&k->limit, &c->rules);
    budget_init(&k->budget, terms.budget_nano_usd, (enum budget_period)c->budget_period, 0,
                clock_wall_ms());
    return k;
}

static size_t find_name(const char *const *names, str name, size_t otherwise)
{
    for (size_t i = 0; names[i]; i++)
        if (str_eq_z(name, names[i]))
            return i;
    return otherwise;
}

static struct key *from_store(const struct store_key *s, const uint8_t *digest, int64_t spent)
{
    struct key *k = new_key(s->id, s->name, s->models, s->tags);
    struct limit_rules rules = {s->requests_per_minute, s->tokens_per_minute, s->concurrency};
    memcpy(k->digest, digest, KEY_DIGEST_BYTES);
    k->expires_ms = s->expires_ms;
    k->priority =
        (enum key_priority)find_name(key_priority_names, s->priority, KEY_PRIORITY_NORMAL);
    limit_init(&k->limit, &rules);
    budget_init(&k->budget, s->budget_nano_usd,
                (enum budget_period)find_name(budget_period_names, s->budget_period, BUDGET_TOTAL),
                spent, clock_wall_ms());
    return k;
}

static void update_one(struct keyring *r, const struct store_key *s, int64_t spent)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    if (decode_hex(digest, sizeof digest, s->digest) != ERR_OK)
        return; // no key of ours can have it
    struct key *k = look_up(r, digest);
    if (!k) {
        k = from_store(s, digest, spent);
        add(r, k);
    }
    if (s->revoked_ms)
        atomic_store(&k->revoked, true);
}

void keyring_update(struct keyring *r, const struct store_key *keys, const int64_t *spent_nano_usd,
                    size_t len)
{
    for (size_t i = 0; i < len; i++)
        update_one(r, &keys[i], spent_nano_usd[i]);
}

// --- Life

void keyring_init(struct keyring *r, const struct gateway_config *config)
{
    *r = (struct keyring){0};
    atomic_store(&r->table, new_table(TABLE_MIN));
    for (size_t i = 0; i < config->keys.len; i++)
        add(r, from_config(config, &gateway_config_keys(config)[i]));
}

void keyring_done(struct keyring *r)
{
    struct keyring_table *t = atomic_load(&r->table);
    for (size_t i = 0; t && i <= t->mask; i++) {
        struct key *k = atomic_load(&t->slots[i]);
        if (k) {
            arena_done(&k->arena);
            mem_free(k);
        }
    }
    while (t) {
        struct keyring_table *older = t->older;
        mem_free(t);
        t = older;
    }
    atomic_store(&r->table, NULL);
}

bool keyring_any(const struct keyring *r)
{
    return atomic_load_explicit(&r->len, memory_order_relaxed) > 0;
}

struct key *keyring_find(const struct keyring *r, str secret)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    key_digest(secret, digest);
    return look_up(r, digest);
}
