// Arrays: what stands first by `prefixItems`, then `items` as often as the counts say.
#include "engine/grammar/schema_impl.h"

#include "base/banned.h"

enum { PREFIX_MAX = 1024 };

struct array {
    size_t n_prefix;
    uint32_t least, most;
    bool open;         // more may follow those that stand first
    struct view items; // and must fit this
};

// Older drafts wrote an array into `items` where 2020-12 has `prefixItems`.
static yyjson_val *prefix_of(const struct item *item)
{
    yyjson_val *prefix = json_get(item->schema, "prefixItems");
    yyjson_val *items = json_get(item->schema, "items");
    return prefix ? prefix : yyjson_is_arr(items) ? items : NULL;
}

static yyjson_val *rest_of(const struct item *item, const char **ret_member)
{
    yyjson_val *items = json_get(item->schema, "items");
    *ret_member = yyjson_is_arr(items) ? "additionalItems" : "items";
    return json_get(item->schema, *ret_member);
}

static enum err collect(struct schema_compiler *c, const struct view *v, struct array *a)
{
    bool never = false, said = false;
    *a = (struct array){.most = UINT32_MAX};
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        const char *member;
        uint32_t least = 0, most = UINT32_MAX;
        yyjson_val *prefix = prefix_of(item), *rest = rest_of(item, &member);
        if (prefix && (!yyjson_is_arr(prefix) || yyjson_arr_size(prefix) > PREFIX_MAX))
            return schema_refuse(c, ERR_INVALID, item, "prefixItems",
                                 "must be an array of at most 1024 schemas");
        a->n_prefix = max_size(a->n_prefix, yyjson_arr_size(prefix));
        ERR_TRY(schema_count(c, item, "minItems", &least));
        ERR_TRY(schema_count(c, item, "maxItems", &most));
        a->least = least > a->least ? least : a->least;
        a->most = most < a->most ? most : a->most;
        said = said || rest;
        if (rest)
            ERR_TRY(view_add(c, &a->items, rest, schema_child(c, item->where, member, STR_NONE),
                             &never));
    }
    a->open = !never && (said || a->n_prefix == 0);
    return ERR_OK;
}

static enum err view_at(struct schema_compiler *c, const struct view *v, size_t place,
                        struct view *ret, bool *ret_never)
{
    *ret = (struct view){.n = 0};
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        const char *member;
        str number = arena_printf(&c->arena, "%zu", place);
        yyjson_val *own = yyjson_arr_get(prefix_of(item), place), *rest = rest_of(item, &member);
        if (own)
            ERR_TRY(view_add(c, ret, own, schema_child(c, item->where, "prefixItems", number),
                             ret_never));
        else if (rest)
            ERR_TRY(
                view_add(c, ret, rest, schema_child(c, item->where, member, STR_NONE), ret_never));
    }
    return ERR_OK;
}

static enum err lay_rest(struct schema_compiler *c, const struct array *a, uint32_t from,
                         uint32_t to, bool first)
{
    struct graph *g = c->graph;
    uint32_t done = (uint32_t)a->n_prefix, rule = graph_rule(g);
    uint32_t least = a->least > done ? a->least - done : 0;
    uint32_t most = a->most == UINT32_MAX ? UINT32_MAX : a->most - done;
    if (graph_is_full(g))
        return ERR_OK;
    struct graph_rule r = g->rules[rule];
    uint32_t value = graph_state(g), one = graph_state(g);
    graph_call(g, graph_after(g, r.start, STR(",")), value, json_text_space(&c->json));
    ERR_TRY(schema_lay_view(c, &a->items, value, r.end));
    if (!first) {
        graph_repeat(g, from, to, rule, least, most);
        return ERR_OK;
    }
    if (most == 0)
        return ERR_OK;
    ERR_TRY(schema_lay_view(c, &a->items, from, one));
    graph_repeat(g, one, to, rule, least ? least - 1 : 0, most == UINT32_MAX ? most : most - 1);
    return ERR_OK;
}

static enum err lay_prefix(struct schema_compiler *c, const struct view *v, const struct array *a,
                           uint32_t *at, uint32_t end)
{
    struct graph *g = c->graph;
    for (size_t i = 0; i < a->n_prefix && i < a->most; i++) {
        struct view one;
        bool never = false;
        uint32_t next = graph_state(g), value = *at;
        ERR_TRY(view_at(c, v, i, &one, &never));
        if (i >= a->least && i > 0)
            graph_nothing(g, *at, end);
        if (i > 0) {
            value = graph_state(g);
            graph_call(g, graph_after(g, *at, STR(",")), value, json_text_space(&c->json));
        }
        if (!never)
            ERR_TRY(schema_lay_view(c, &one, value, next));
        *at = next;
    }
    return ERR_OK;
}

enum err schema_lay_array(struct schema_compiler *c, const struct view *v, uint32_t from,
                          uint32_t to)
{
    struct graph *g = c->graph;
    struct array a;
    ERR_TRY(collect(c, v, &a));
    if (a.least > a.most)
        return ERR_OK;
    uint32_t at = graph_state(g), said = graph_state(g), close = graph_state(g);
    uint32_t space = json_text_space(&c->json);
    graph_call(g, graph_after(g, from, STR("[")), at, space);
    if (a.least == 0)
        graph_text(g, at, to, STR("]"));
    ERR_TRY(lay_prefix(c, v, &a, &at, said));
    if (a.open && a.n_prefix <= a.most)
        ERR_TRY(lay_rest(c, &a, at, said, a.n_prefix == 0));
    else if (a.most > 0 && a.n_prefix > 0 && a.least <= a.n_prefix)
        graph_nothing(g, at, said);
    graph_call(g, said, close, space);
    graph_text(g, close, to, STR("]"));
    return ERR_OK;
}
