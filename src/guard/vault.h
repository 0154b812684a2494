// What was taken out of a request and stands in its place: "<EMAIL_1>". The same value has the same
// placeholder, so that the model can speak of it, and what it says comes back with the value.
// Owner: the call; one thread at a time. Limit: VAULT_ENTRIES_MAX values; what comes after is
// "<EMAIL>", which does not come back.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "guard/pattern.h"

#define VAULT_ENTRIES_MAX 1000

struct vault_entry {
    str value, placeholder;
};

struct vault {
    struct arena arena;
    struct vault_entry *entries;
    size_t len, cap;
};

void vault_init(struct vault *v);
void vault_done(struct vault *v);
// The placeholder of a value; `name` in capitals.
str vault_put(struct vault *v, const char *name, str value);
// The value behind a placeholder; STR_NONE when it is none of this vault.
str vault_get(const struct vault *v, str placeholder);
// The pattern of placeholders, for the way back.
enum err vault_add(struct patterns *p, uint32_t id, struct diag *d) MUST_USE;
