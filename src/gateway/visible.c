#include "gateway/visible.h"

#include <stdio.h>

#include "base/mem.h"

#include "base/banned.h"

static bool allows(const struct key *k, const struct visible_model *m, bool route)
{
    return !k || key_allows_model(k, m->name) ||
           (!route && (key_allows_model(k, m->entry->name) || key_allows_model(k, m->entry->root)));
}

// False: none of its targets is here yet.
static bool describe_route(const struct gateway *g, const struct model_route *r,
                           struct visible_model *ret)
{
    *ret = (struct visible_model){.name = r->name};
    for (size_t i = 0; i < r->targets_len; i++) {
        const struct model_entry *e = registry_find(&g->registry, r->targets[i].name);
        if (!e)
            continue;
        if (!ret->entry)
            ret->entry = e;
        if (e->context_max > ret->context_max)
            ret->context_max = e->context_max;
    }
    return ret->entry;
}

static struct visible_model describe(const struct model_entry *e)
{
    return (struct visible_model){.name = e->name, .entry = e, .context_max = e->context_max};
}

size_t visible_list(const struct gateway *g, const struct key *k,
                    struct visible_model ret[static VISIBLE_MAX])
{
    const struct registry *r = &g->registry;
    size_t names = registry_len(r), len = 0;
    for (size_t i = 0; i < names; i++) {
        const struct model_entry *e = &r->entries[i];
        ret[len] = describe(e);
        // a route of that name comes before it, and a model of this machine before one elsewhere
        if (registry_find(r, e->name) == e && !model_routes_find(&g->routes, e->name) &&
            allows(k, &ret[len], false))
            len++;
    }
    for (size_t i = 0; i < g->routes.len && len < VISIBLE_MAX; i++)
        if (describe_route(g, &g->routes.items[i], &ret[len]) && allows(k, &ret[len], true))
            len++;
    return len;
}

enum visible visible_find(const struct gateway *g, const struct key *k, str name,
                          struct visible_model *ret)
{
    const struct model_route *route = model_routes_find(&g->routes, name);
    const struct model_entry *e = route ? NULL : registry_find(&g->registry, name);
    struct visible_model m;
    if (route ? !describe_route(g, route, &m) : !e)
        return VISIBLE_UNKNOWN;
    if (e)
        m = describe(e);
    if (!allows(k, &m, route))
        return VISIBLE_NOT_ALLOWED;
    *ret = m;
    return VISIBLE;
}

void visible_names(const struct gateway *g, const struct key *k, char *out, size_t size)
{
    struct visible_model *all = mem_array(VISIBLE_MAX, sizeof *all);
    size_t used = 0, len = visible_list(g, k, all);
    snprintf(out, size, "nothing");
    for (size_t i = 0; i < len && used + 2 < size; i++) {
        const char *join = i == 0 ? "" : i + 1 == len ? " and " : ", ";
        int n = snprintf(out + used, size - used, "%s'" STR_FMT "'", join, STR_ARG(all[i].name));
        used += n < 0 ? 0 : (size_t)n;
    }
    mem_free(all);
}
