#include "base/map.h"

#include "base/mem.h"

#include "base/banned.h"

enum { CAP_MIN = 16 };

struct map_entry {
    char *key; // NULL = free
    size_t key_len;
    uint64_t hash;
    void *value;
};

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        mem_free(m->entries[i].key);
    mem_free(m->entries);
    *m = (struct map){0};
}

// The slot that holds the key, or the free one where it belongs. Linear probing; the table is never
// full.
static size_t slot_of(const struct map *m, str key, uint64_t hash)
{
    size_t i = (size_t)hash & (m->cap - 1);
    for (;; i = (i + 1) & (m->cap - 1)) {
        const struct map_entry *e = &m->entries[i];
        if (!e->key || (e->hash == hash && str_eq(str_slice(e->key, e->key_len), key)))
            return i;
    }
}

static void grow(struct map *m)
{
    struct map bigger = {.cap = m->cap ? m->cap * 2 : CAP_MIN, .len = m->len};
    bigger.entries = mem_array(bigger.cap, sizeof *bigger.entries);
    for (size_t i = 0; i < m->cap; i++) {
        struct map_entry *e = &m->entries[i];
        if (e->key)
            bigger.entries[slot_of(&bigger, str_slice(e->key, e->key_len), e->hash)] = *e;
    }
    mem_free(m->entries);
    *m = bigger;
}

void *map_get(const struct map *m, str key)
{
    if (m->len == 0)
        return NULL;
    const struct map_entry *e = &m->entries[slot_of(m, key, str_hash(key))];
    return e->key ? e->value : NULL;
}

void *map_put(struct map *m, str key, void *value)
{
    if (m->len + 1 > m->cap / 4 * 3)
        grow(m);
    uint64_t hash = str_hash(key);
    struct map_entry *e = &m->entries[slot_of(m, key, hash)];
    if (e->key) {
        void *old = e->value;
        e->value = value;
        return old;
    }
    *e = (struct map_entry){mem_strndup(key.ptr, key.len), key.len, hash, value};
    m->len++;
    return NULL;
}

// Close the hole at `hole`: every later entry of the run that may stand there moves up, so that no
// tombstones are needed.
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->entries[i].key; i = (i + 1) & mask) {
        size_t home = (size_t)m->entries[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (struct map_entry){0};
}

void *map_remove(struct map *m, str key)
{
    if (m->len == 0)
        return NULL;
    size_t i = slot_of(m, key, str_hash(key));
    if (!m->entries[i].key)
        return NULL;
    void *value = m->entries[i].value;
    mem_free(m->entries[i].key);
    close_hole(m, i);
    m->len--;
    return value;
}

bool map_next(const struct map *m, size_t *cursor, str *ret_key, void **ret_value)
{
    while (*cursor < m->cap) {
        const struct map_entry *e = &m->entries[(*cursor)++];
        if (!e->key)
            continue;
        *ret_key = str_slice(e->key, e->key_len);
        *ret_value = e->value;
        return true;
    }
    return false;
}
