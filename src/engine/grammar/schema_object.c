// Objects: the properties in the order of their definition, each left out or not as `required`
// says, then others where they are allowed.
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "engine/grammar/charset.h"
#include "engine/grammar/machine.h"
#include "engine/grammar/schema_impl.h"

#include "base/banned.h"

enum { NAMES_MAX = 2048, GRID_MAX = 1 << 16 };

struct property {
    str name;
    bool required;
    bool never; // must not be there
    struct view view;
};

struct object {
    struct property *properties;
    size_t n;
    bool open;        // other members are allowed
    bool has_pattern; // … whose names fit this
    struct machine *pattern;
    struct view others; // what these must fit
    uint32_t least, most;
};

// --- Which properties

static struct property *find(const struct object *o, str name)
{
    for (size_t i = 0; i < o->n; i++)
        if (str_eq(o->properties[i].name, name))
            return &o->properties[i];
    return NULL;
}

static enum err add_property(struct schema_compiler *c, struct object *o, const struct item *item,
                             str name)
{
    if (find(o, name))
        return ERR_OK;
    if (o->n == NAMES_MAX)
        return schema_refuse(c, ERR_LIMIT, item, "properties", "has more than 2048 names");
    o->properties[o->n++] = (struct property){.name = name};
    return ERR_OK;
}

static enum err collect_names(struct schema_compiler *c, const struct view *v, struct object *o)
{
    size_t k, max;
    yyjson_val *key, *value;
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *properties = json_get(v->items[i].schema, "properties");
        if (!properties)
            continue;
        if (!yyjson_is_obj(properties))
            return schema_refuse(c, ERR_INVALID, &v->items[i], "properties", "must be an object");
        yyjson_obj_foreach(properties, k, max, key, value)
            ERR_TRY(add_property(c, o, &v->items[i], json_str(key)));
    }
    return ERR_OK;
}

static enum err collect_required(struct schema_compiler *c, const struct view *v, struct object *o)
{
    size_t k, max;
    yyjson_val *name;
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *required = json_get(v->items[i].schema, "required");
        if (!yyjson_is_arr(required)) // says nothing: others are refused
            continue;
        yyjson_arr_foreach(required, k, max, name)
        {
            if (!yyjson_is_str(name))
                return schema_refuse(c, ERR_INVALID, &v->items[i], "required",
                                     "must be an array of names");
            ERR_TRY(add_property(c, o, &v->items[i], json_str(name)));
            struct property *p = find(o, json_str(name));
            ASSERT(p); // just added
            p->required = true;
        }
    }
    return ERR_OK;
}

// What one schema of the view says of a property.
static enum err add_view_of(struct schema_compiler *c, const struct item *item, struct property *p)
{
    yyjson_val *schema = json_member(json_get(item->schema, "properties"), p->name);
    yyjson_val *others = json_get(item->schema, "additionalProperties");
    if (schema)
        return view_add(c, &p->view, schema, schema_child(c, item->where, "properties", p->name),
                        &p->never);
    if (others)
        return view_add(c, &p->view, others,
                        schema_child(c, item->where, "additionalProperties", STR_NONE), &p->never);
    return ERR_OK;
}

static enum err fill_properties(struct schema_compiler *c, const struct view *v, struct object *o)
{
    for (size_t p = 0; p < o->n; p++)
        for (size_t i = 0; i < v->n; i++)
            ERR_TRY(add_view_of(c, &v->items[i], &o->properties[p]));
    return ERR_OK;
}

// --- Other members

// What a pattern cannot stand beside, of all that holds for the value.
static const char *beside_pattern(const struct view *v, const struct item *item,
                                  const struct object *o)
{
    if (yyjson_obj_size(json_get(item->schema, "patternProperties")) > 1)
        return "has more than one pattern: one is offered";
    if (o->n)
        return "is not offered where 'properties' or 'required' hold for the same value";
    for (size_t i = 0; i < v->n; i++) {
        bool own = &v->items[i] == item;
        yyjson_val *others = json_get(v->items[i].schema, "additionalProperties");
        if (!own && yyjson_obj_size(json_get(v->items[i].schema, "patternProperties")))
            return "is not offered where another one holds for the same value";
        if (others && !yyjson_is_true(others) && !(own && yyjson_is_false(others)))
            return "is not offered where 'additionalProperties' holds for the same value, but as "
                   "true, or as false beside it";
    }
    return NULL;
}

static enum err take_pattern(struct schema_compiler *c, const struct view *v,
                             const struct item *item, struct object *o)
{
    yyjson_val *patterns = json_get(item->schema, "patternProperties");
    bool never = false;
    if (patterns && !yyjson_is_obj(patterns))
        return schema_refuse(c, ERR_INVALID, item, "patternProperties", "must be an object");
    if (!patterns || !yyjson_obj_size(patterns))
        return ERR_OK;
    const char *why = beside_pattern(v, item, o);
    if (why)
        return schema_refuse(c, ERR_UNSUPPORTED, item, "patternProperties", why);
    yyjson_obj_iter iter = yyjson_obj_iter_with(patterns);
    yyjson_val *key = yyjson_obj_iter_next(&iter);
    struct diag d = {0};
    enum err e = machine_new(json_str(key), true, &o->pattern, &d);
    if (e != ERR_OK)
        return schema_refuse(c, e, item, "patternProperties", d.text);
    o->others.n = 0;
    o->open = true;
    ERR_TRY(view_add(c, &o->others, yyjson_obj_iter_get_val(key),
                     schema_child(c, item->where, "patternProperties", json_str(key)), &never));
    o->open = !never;
    return ERR_OK;
}

// Not said: open where no properties are named, else closed.
static enum err collect_others(struct schema_compiler *c, const struct view *v, struct object *o)
{
    bool said = false, never = false, named = o->n > 0;
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        yyjson_val *others = json_get(item->schema, "additionalProperties");
        said = said || others;
        if (yyjson_is_false(json_get(item->schema, "unevaluatedProperties")))
            named = true;
        if (others)
            ERR_TRY(view_add(c, &o->others, others,
                             schema_child(c, item->where, "additionalProperties", STR_NONE),
                             &never));
    }
    o->open = !never && (said || !named);
    return ERR_OK;
}

static uint32_t count_required(const struct object *o)
{
    uint32_t n = 0;
    for (size_t i = 0; i < o->n; i++)
        n += o->properties[i].required;
    return n;
}

static enum err collect_counts(struct schema_compiler *c, const struct view *v, struct object *o)
{
    o->most = UINT32_MAX;
    for (size_t i = 0; i < v->n; i++) {
        uint32_t least = 0, most = UINT32_MAX;
        ERR_TRY(schema_count(c, &v->items[i], "minProperties", &least));
        ERR_TRY(schema_count(c, &v->items[i], "maxProperties", &most));
        // The same free name twice is one member only.
        uint32_t sure = count_required(o) > 1 ? count_required(o) : 1;
        if (o->open && least > sure)
            return schema_refuse(c, ERR_UNSUPPORTED, &v->items[i], "minProperties",
                                 "is offered for named properties, or as 1: name them, or take it "
                                 "out");
        o->least = least > o->least ? least : o->least;
        o->most = most < o->most ? most : o->most;
    }
    return ERR_OK;
}

// --- Names of other members: none that has a schema of its own

struct key_laying {
    struct graph *graph;
    struct charset plain;
    uint32_t rest, end; // in the middle of a free name; behind its quote
};

static int by_name(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

// names[0, n) begin alike, up to `at`; they are sorted and each stands once.
static void lay_key_from(struct key_laying *k, uint32_t state, const str *names, size_t n,
                         size_t at)
{
    struct charset taken = {0}, free;
    bool is_name = n && names[0].len == at;
    for (size_t i = is_name; i < n && !graph_is_full(k->graph);) {
        uint32_t c, next = graph_state(k->graph);
        size_t len = utf8_decode(str_sub(names[i], at, SIZE_MAX), &c), same = i;
        str begin = str_sub(names[i], 0, at + len);
        while (same < n && str_starts(names[same], begin))
            same++;
        struct charset one = {0}, plain;
        charset_add(&one, c, c);
        charset_meet(&plain, &one, &k->plain);
        charset_lay(&plain, k->graph, state, next);
        charset_add(&taken, c, c);
        charset_done(&one);
        charset_done(&plain);
        lay_key_from(k, next, names + i, same - i, at + len);
        i = same;
    }
    charset_settle(&taken);
    charset_invert(&taken);
    charset_meet(&free, &taken, &k->plain);
    charset_lay(&free, k->graph, state, k->rest);
    if (!is_name)
        graph_text(k->graph, state, k->end, STR("\""));
    charset_done(&taken);
    charset_done(&free);
}

static enum err lay_other_key(struct schema_compiler *c, const struct object *o,
                              const struct item *item, uint32_t from, uint32_t to)
{
    enum { NAME_BYTES_MAX = 256 };
    struct graph *g = c->graph;
    if (!o->n) {
        graph_call(g, from, to, json_text_key(&c->json));
        return ERR_OK;
    }
    str *names = arena_zalloc(&c->arena, o->n, sizeof *names);
    for (size_t i = 0; names && i < o->n; i++) {
        names[i] = o->properties[i].name;
        if (names[i].len > NAME_BYTES_MAX)
            return schema_refuse(c, ERR_LIMIT, item, "additionalProperties",
                                 "cannot stand beside a name of more than 256 bytes");
    }
    if (!names)
        return schema_refuse(c, ERR_LIMIT, item, "properties", "needs too much memory");
    qsort(names, o->n, sizeof *names, by_name);
    struct key_laying k = {.graph = g, .rest = graph_state(g), .end = to};
    json_text_plain(&k.plain);
    charset_lay(&k.plain, g, k.rest, k.rest);
    graph_text(g, k.rest, to, STR("\""));
    lay_key_from(&k, graph_after(g, from, STR("\"")), names, o->n, 0);
    charset_done(&k.plain);
    return ERR_OK;
}

static enum err lay_key(struct schema_compiler *c, const struct object *o, const struct item *item,
                        uint32_t from, uint32_t to)
{
    static const struct machine_bounds any = {0, UINT32_MAX};
    if (!o->pattern)
        return lay_other_key(c, o, item, from, to);
    uint32_t inside = graph_after(c->graph, from, STR("\"")), end = graph_state(c->graph);
    const struct machine *machines[] = {o->pattern};
    machine_lay(machines, 1, any, true, c->graph, inside, end);
    graph_text(c->graph, end, to, STR("\""));
    return ERR_OK;
}

// --- Laying: a grid of states, by the property that is next and by how many have been said

struct grid {
    struct schema_compiler *c;
    const struct object *o;
    uint32_t counts; // 0 … counts members are told apart; more are as many as `counts`
    uint32_t *rows;  // (n + 1) × (counts + 1)
};

static uint32_t at(const struct grid *g, size_t property, uint32_t said)
{
    return g->rows[property * (g->counts + 1) + said];
}

// From all that have said so many members (and may say one more) to before the next one's name.
static uint32_t lay_before(const struct grid *g, size_t property, uint32_t after)
{
    struct graph *graph = g->c->graph;
    uint32_t before = graph_state(graph), comma = graph_state(graph);
    uint32_t space = json_text_space(&g->c->json);
    bool counted = g->o->most != UINT32_MAX || after < g->counts;
    if (after == 1)
        graph_nothing(graph, at(g, property, 0), before);
    if (after > 1)
        graph_text(graph, at(g, property, after - 1), comma, STR(","));
    if (!counted)
        graph_text(graph, at(g, property, after), comma, STR(","));
    graph_call(graph, comma, before, space);
    return before;
}

static enum err lay_value(const struct grid *g, const struct view *v, uint32_t from, uint32_t to)
{
    struct graph *graph = g->c->graph;
    uint32_t value = graph_state(graph);
    graph_call(graph, graph_after(graph, from, STR(":")), value, json_text_space(&g->c->json));
    return schema_lay_view(g->c, v, value, to);
}

static enum err lay_property(const struct grid *g, size_t i)
{
    const struct property *p = &g->o->properties[i];
    struct graph *graph = g->c->graph;
    struct buf name;
    buf_init(&name, SCHEMA_BYTES_MAX * 6);
    (void)buf_append_char(&name, '"');
    enum err e = json_escape(&name, p->name);
    (void)buf_append_char(&name, '"');
    for (uint32_t said = 0; said <= g->counts && !p->required; said++)
        graph_nothing(graph, at(g, i, said), at(g, i + 1, said));
    for (uint32_t after = 1; after <= g->counts && e == ERR_OK && !p->never; after++) {
        uint32_t before = lay_before(g, i, after);
        e = lay_value(g, &p->view, graph_after(graph, before, buf_str(&name)), at(g, i + 1, after));
    }
    buf_done(&name);
    return e;
}

static enum err lay_others(const struct grid *g, const struct item *item)
{
    struct graph *graph = g->c->graph;
    size_t n = g->o->n;
    if (!g->o->open)
        return ERR_OK;
    uint32_t key = graph_rule(graph);
    if (graph_is_full(graph))
        return ERR_OK;
    ERR_TRY(lay_key(g->c, g->o, item, graph->rules[key].start, graph->rules[key].end));
    for (uint32_t after = 1; after <= g->counts; after++) {
        uint32_t before = lay_before(g, n, after), named = graph_state(graph);
        graph_call(graph, before, named, key);
        ERR_TRY(lay_value(g, &g->o->others, named, at(g, n, after)));
    }
    return ERR_OK;
}

static enum err lay_grid(struct grid *g, const struct item *item, uint32_t from, uint32_t to)
{
    struct graph *graph = g->c->graph;
    uint32_t space = json_text_space(&g->c->json), close = graph_state(graph);
    for (size_t i = 0; i < (g->o->n + 1) * (g->counts + 1); i++)
        g->rows[i] = graph_state(graph);
    graph_call(graph, graph_after(graph, from, STR("{")), at(g, 0, 0), space);
    for (size_t i = 0; i < g->o->n; i++)
        ERR_TRY(lay_property(g, i));
    ERR_TRY(lay_others(g, item));
    for (uint32_t said = g->o->least; said <= g->counts; said++) {
        if (said == 0)
            graph_text(graph, at(g, g->o->n, 0), to, STR("}"));
        else
            graph_call(graph, at(g, g->o->n, said), close, space);
    }
    graph_text(graph, close, to, STR("}"));
    return ERR_OK;
}

static enum err lay(struct schema_compiler *c, const struct object *o, const struct item *item,
                    uint32_t from, uint32_t to)
{
    struct grid g = {.c = c, .o = o, .counts = 1};
    if (o->most != UINT32_MAX)
        g.counts = o->open || o->most < o->n ? o->most : (uint32_t)o->n;
    else if (o->least > 1)
        g.counts = o->least;
    if ((o->n + 1) * ((size_t)g.counts + 1) > GRID_MAX)
        return schema_refuse(c, ERR_LIMIT, item,
                             o->most == UINT32_MAX ? "minProperties" : "maxProperties",
                             "is too large to be counted");
    g.rows = mem_array((o->n + 1) * ((size_t)g.counts + 1), sizeof *g.rows);
    enum err e = lay_grid(&g, item, from, to);
    mem_free(g.rows);
    return e;
}

static enum err check_required(struct schema_compiler *c, const struct view *v,
                               const struct object *o)
{
    for (size_t i = 0; i < o->n; i++)
        if (o->properties[i].required && o->properties[i].never)
            return schema_refuse(
                c, ERR_INVALID, &v->items[0], "required",
                "asks for a property that the schema forbids ('properties' has it "
                "as false, or it is not there and 'additionalProperties' is false)");
    return ERR_OK;
}

static enum err collect(struct schema_compiler *c, const struct view *v, struct object *o)
{
    o->properties = mem_array(NAMES_MAX, sizeof *o->properties);
    ERR_TRY(collect_names(c, v, o));
    size_t named = o->n;
    ERR_TRY(collect_required(c, v, o));
    ERR_TRY(fill_properties(c, v, o));
    ERR_TRY(check_required(c, v, o));
    size_t all = o->n;
    o->n = named; // whether it is open is decided by what `properties` names
    enum err e = collect_others(c, v, o);
    o->n = all;
    for (size_t i = 0; i < v->n && e == ERR_OK; i++)
        e = take_pattern(c, v, &v->items[i], o);
    ERR_TRY(e);
    return collect_counts(c, v, o);
}

enum err schema_lay_object(struct schema_compiler *c, const struct view *v, uint32_t from,
                           uint32_t to)
{
    struct object o = {0};
    static const struct item anything = {.where = {"#", 1}};
    enum err e = collect(c, v, &o);
    if (e == ERR_OK)
        e = lay(c, &o, v->n ? &v->items[0] : &anything, from, to);
    machine_free(o.pattern);
    mem_free(o.properties);
    return e;
}
