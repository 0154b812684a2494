#include "gateway/registry.h"

#include "base/banned.h"

static const struct model_entry *find_among(const struct registry *r, str name, bool remote)
{
    size_t len = registry_len(r);
    for (size_t i = 0; i < len; i++)
        if (r->entries[i].remote == remote && str_eq(r->entries[i].name, name))
            return &r->entries[i];
    return NULL;
}

static const struct model_entry *find_exact(const struct registry *r, str name)
{
    const struct model_entry *local = find_among(r, name, false);
    return local ? local : find_among(r, name, true);
}

uint32_t registry_reserve(struct registry *r)
{
    ASSERT(r->models < REGISTRY_MODELS_MAX);
    return r->models++;
}

// Aliases have the index of the model that they name.
static uint32_t index_of(const struct registry *r, const struct model_entry *e)
{
    size_t len = registry_len(r);
    for (size_t i = 0; i < len; i++)
        if (r->entries[i].provider_model == e->provider_model &&
            str_eq(r->entries[i].root, e->root))
            return r->entries[i].index;
    return 0;
}

enum err registry_add(struct registry *r, const struct model_entry *e, bool alias, struct diag *d)
{
    size_t len = registry_len(r);
    if (len == REGISTRY_MAX)
        return diag_set(d, ERR_LIMIT, "more than %d model names", REGISTRY_MAX);
    if (find_among(r, e->name, e->remote))
        return diag_set(d, ERR_INVALID, "the model name '" STR_FMT "' is taken already",
                        STR_ARG(e->name));
    struct model_entry *added = &r->entries[len];
    *added = *e;
    added->index = alias ? index_of(r, e) : registry_reserve(r);
    if (!added->provider_name.len)
        added->provider_name = str_of(e->provider->name);
    if (!added->label.len)
        added->label = e->root;
    atomic_store_explicit(&r->len, len + 1, memory_order_release);
    return ERR_OK;
}

static const struct model_entry *find_default(const struct registry *r)
{
    size_t len = registry_len(r);
    for (size_t i = 0; i < len; i++)
        if (!r->entries[i].remote)
            return &r->entries[i];
    return NULL;
}

const struct model_entry *registry_find(const struct registry *r, str name)
{
    const struct model_entry *e = name.len ? find_exact(r, name) : NULL;
    bool wants_default = !name.len || str_eq(name, STR("default"));
    return e || !wants_default ? e : find_default(r);
}
