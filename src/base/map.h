// Hash table from bytes to a pointer (open addressing, SipHash keys). Keys are copied. Not
// thread-safe. x_free of values is the caller's.
#pragma once

#include "base/str.h"

struct map_entry;

struct map {
    struct map_entry *entries;
    size_t len, cap;
};

void map_init(struct map *m);
void map_done(struct map *m);
void *map_get(const struct map *m, str key);        // NULL when absent
void *map_put(struct map *m, str key, void *value); // returns the old value or NULL
void *map_remove(struct map *m, str key);
// Iterate: start with *cursor = 0; false at the end. The table must not change meanwhile.
bool map_next(const struct map *m, size_t *cursor, str *ret_key, void **ret_value);
