#include "guard/vault.h"

#include "base/mem.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 8 << 20 };

void vault_init(struct vault *v)
{
    *v = (struct vault){0};
    arena_init(&v->arena, ARENA_BYTES_MAX);
}

void vault_done(struct vault *v)
{
    mem_free(v->entries);
    arena_done(&v->arena);
    *v = (struct vault){0};
}

// "<EMAIL_" of "<EMAIL_12>".
static bool is_of_kind(str placeholder, const char *name)
{
    str rest = str_sub(placeholder, 1, SIZE_MAX);
    size_t len = strlen(name);
    return str_starts(rest, str_of(name)) && rest.len > len && rest.ptr[len] == '_';
}

str vault_put(struct vault *v, const char *name, str value)
{
    size_t of_kind = 0;
    for (size_t i = 0; i < v->len; i++) {
        bool alike = is_of_kind(v->entries[i].placeholder, name);
        if (alike && str_eq(v->entries[i].value, value))
            return v->entries[i].placeholder;
        of_kind += alike;
    }
    if (v->len == v->cap && v->cap < VAULT_ENTRIES_MAX) {
        v->cap = v->cap ? 2 * v->cap : 8;
        v->entries = mem_resize(v->entries, v->cap, sizeof *v->entries);
    }
    struct vault_entry e = {arena_str(&v->arena, value),
                            arena_printf(&v->arena, "<%s_%zu>", name, of_kind + 1)};
    if (v->len == VAULT_ENTRIES_MAX || !e.value.ptr || !e.placeholder.ptr)
        return arena_printf(&v->arena, "<%s>", name);
    v->entries[v->len++] = e;
    return e.placeholder;
}

str vault_get(const struct vault *v, str placeholder)
{
    for (size_t i = 0; i < v->len; i++)
        if (str_eq(v->entries[i].placeholder, placeholder))
            return v->entries[i].value;
    return STR_NONE;
}

enum err vault_add(struct patterns *p, uint32_t id, struct diag *d)
{
    return patterns_add(p, STR("<[A-Z]{2,16}_\\d{1,4}>"), id, d);
}
