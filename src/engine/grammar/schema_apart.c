// oneOf: whether what is said by one alternative can fit another. Only what is plain to see counts:
// types, listed values, a property that both require and that tells them apart, or one that the
// other requires and this one never says.
#include "engine/grammar/schema_impl.h"

#include "base/banned.h"

enum { LOOK_MAX = 3 };

static bool is_apart(struct schema_compiler *c, const struct view *a, const struct view *b,
                     int look);

// The view followed through, or false: then nothing is known of it.
static bool expanded(struct schema_compiler *c, const struct view *from, struct view *ret)
{
    struct diag *diag = c->diag, ignored;
    bool never = false;
    *ret = *from;
    c->diag = &ignored;
    bool ok = view_expand(c, ret, &never) == ERR_OK;
    c->diag = diag;
    return ok && !never;
}

// False: it is too much, and nothing is known; check_apart says so.
static bool affords(struct schema_compiler *c, uint64_t steps)
{
    graph_work(c->graph, steps);
    return !graph_is_full(c->graph);
}

static yyjson_val *list_of(const struct view *v, yyjson_val **ret_one)
{
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *one = json_get(v->items[i].schema, "const");
        yyjson_val *list = json_get(v->items[i].schema, "enum");
        *ret_one = one;
        if (one || yyjson_is_arr(list))
            return one ? one : list;
    }
    *ret_one = NULL;
    return NULL;
}

// 1 and 1.0 are the same number.
static bool is_same(yyjson_val *x, yyjson_val *y)
{
    double a, b;
    if (json_is_num(x, &a) && json_is_num(y, &b))
        return a <= b && a >= b;
    return yyjson_equals(x, y);
}

// Arrays are gone through: to ask one for its nth value is to go there from its beginning.
static bool is_listed(yyjson_val *list, const yyjson_val *one, yyjson_val *value)
{
    size_t i, max;
    yyjson_val *other;
    if (one)
        return is_same(list, value);
    yyjson_arr_foreach(list, i, max, other)
    {
        if (is_same(other, value))
            return true;
    }
    return false;
}

static bool lists_are_apart(struct schema_compiler *c, const struct view *a, const struct view *b)
{
    size_t i, max;
    yyjson_val *one_a, *one_b, *value;
    yyjson_val *list_a = list_of(a, &one_a), *list_b = list_of(b, &one_b);
    if (!list_a || !list_b ||
        !affords(c, schema_weight(list_a) * (1 + (one_b ? 0 : yyjson_arr_size(list_b)))))
        return false;
    if (one_a)
        return !is_listed(list_b, one_b, list_a);
    yyjson_arr_foreach(list_a, i, max, value)
    {
        if (is_listed(list_b, one_b, value))
            return false;
    }
    return true;
}

static bool is_required(const struct view *v, str name)
{
    size_t k, max;
    yyjson_val *name_required;
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *list = json_get(v->items[i].schema, "required");
        if (!yyjson_is_arr(list))
            continue;
        yyjson_arr_foreach(list, k, max, name_required)
        {
            if (str_eq(json_str(name_required), name))
                return true;
        }
    }
    return false;
}

static bool has_alternatives(const struct item *i)
{
    return (json_get(i->schema, "anyOf") && !(i->took & TOOK_ANY_OF)) ||
           (json_get(i->schema, "oneOf") && !(i->took & TOOK_ONE_OF));
}

// Whether an object by this view may have a member of that name.
static bool may_say(const struct view *v, str name)
{
    bool named = false;
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *properties = json_get(v->items[i].schema, "properties");
        yyjson_val *others = json_get(v->items[i].schema, "additionalProperties");
        if (json_member(properties, name) || json_get(v->items[i].schema, "patternProperties") ||
            (others && !yyjson_is_false(others)) || has_alternatives(&v->items[i]))
            return true;
        named = named || yyjson_obj_size(properties) || others;
    }
    return !named || is_required(v, name);
}

// How many members and names are gone through to look for one.
static uint64_t size_of(const struct view *v)
{
    uint64_t n = 1;
    for (size_t i = 0; i < v->n; i++) {
        n += yyjson_obj_size(v->items[i].schema);
        n += yyjson_obj_size(json_get(v->items[i].schema, "properties"));
        n += yyjson_arr_size(json_get(v->items[i].schema, "required"));
    }
    return n;
}

static bool property_view(struct schema_compiler *c, const struct view *v, str name,
                          struct view *ret)
{
    bool never = false;
    *ret = (struct view){.n = 0};
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *s = json_member(json_get(v->items[i].schema, "properties"), name);
        if (yyjson_is_obj(s) && view_add(c, ret, s, v->items[i].where, &never) != ERR_OK)
            return false;
    }
    return ret->n > 0;
}

// Whether a property that `b` requires tells what `a` says from all that fits b.
static bool property_is_apart(struct schema_compiler *c, const struct view *a, const struct view *b,
                              str name, int look)
{
    struct view in_a, in_b;
    if (!affords(c, size_of(a) + size_of(b)))
        return false;
    if (!may_say(a, name))
        return true;
    return look > 0 && property_view(c, a, name, &in_a) && property_view(c, b, name, &in_b) &&
           is_apart(c, &in_a, &in_b, look - 1);
}

static bool objects_are_apart(struct schema_compiler *c, const struct view *a, const struct view *b,
                              int look)
{
    size_t k, max;
    yyjson_val *name;
    for (size_t i = 0; i < b->n; i++) {
        yyjson_val *list = json_get(b->items[i].schema, "required");
        if (!yyjson_is_arr(list))
            continue;
        yyjson_arr_foreach(list, k, max, name)
        {
            if (property_is_apart(c, a, b, json_str(name), look))
                return true;
        }
    }
    return false;
}

static bool is_apart(struct schema_compiler *c, const struct view *a, const struct view *b,
                     int look)
{
    struct view x, y;
    if (!expanded(c, a, &x) || !expanded(c, b, &y))
        return false;
    uint32_t shared = view_types(&x) & view_types_named(&y); // as said, and as it fits
    if (!shared || lists_are_apart(c, &x, &y))
        return true;
    return shared == TYPE_OBJECT && objects_are_apart(c, &x, &y, look);
}

bool schema_is_apart(struct schema_compiler *c, const struct view *a, const struct view *b)
{
    return is_apart(c, a, b, LOOK_MAX);
}
