#include "engine/grammar/schema_impl.h"

#include <stdio.h>

#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

// --- Saying what is wrong, and where

enum err schema_refuse(struct schema_compiler *c, enum err e, const struct item *item,
                       const char *member, const char *why)
{
    diag_set(c->diag, e, "'%s' at " STR_FMT " %s", member, STR_ARG(str_sub(item->where, 0, 100)),
             why);
    diag_where(c->diag, STR_FMT "/%s", STR_ARG(str_sub(item->where, 0, 100)), member);
    return e;
}

static enum err too_large(struct schema_compiler *c)
{
    return diag_set(
        c->diag, ERR_LIMIT,
        "the schema is too large: its counts, lists, unions and references make more than "
        "%d states or %d different values, or too much to compare",
        GRAPH_STATES_MAX, SCHEMA_VIEWS_MAX);
}

enum err schema_work(struct schema_compiler *c, uint64_t steps)
{
    graph_work(c->graph, steps);
    return graph_is_full(c->graph) ? too_large(c) : ERR_OK;
}

uint64_t schema_weight(yyjson_val *v)
{
    uint64_t n = yyjson_obj_size(v), weight = 1 + n * n;
    size_t i, max;
    yyjson_val *key, *inner;
    if (yyjson_is_arr(v))
        yyjson_arr_foreach(v, i, max, inner) weight += schema_weight(inner);
    else
        yyjson_obj_foreach(v, i, max, key, inner) weight += schema_weight(inner);
    return weight;
}

str schema_child(struct schema_compiler *c, str where, const char *member, str name)
{
    return name.ptr ? arena_printf(&c->arena, STR_FMT "/%s/" STR_FMT, STR_ARG(where), member,
                                   STR_ARG(str_sub(name, 0, 200)))
                    : arena_printf(&c->arena, STR_FMT "/%s", STR_ARG(where), member);
}

// --- What is not held

static bool is_harmless(yyjson_val *v, const char *member)
{
    bool off = yyjson_is_false(v);
    return off && (str_eq_z(STR("uniqueItems"), member) ||
                   str_eq_z(STR("unevaluatedProperties"), member) ||
                   str_eq_z(STR("unevaluatedItems"), member));
}

static enum err check_members(struct schema_compiler *c, const struct item *item)
{
    static const struct {
        const char *member, *why;
    } refused[] = {
        {"not", "is not offered: say what is allowed instead"},
        {"if", "is not offered: use 'anyOf' with one schema for each case"},
        {"dependentSchemas", "is not offered: use 'anyOf' with one schema for each case"},
        {"dependentRequired", "is not offered: use 'anyOf' with one schema for each case"},
        {"dependencies", "is not offered: use 'anyOf' with one schema for each case"},
        {"contains", "is not offered: use 'prefixItems' for what must be there"},
        {"uniqueItems", "is not offered: take it out, and make the items unique afterwards"},
        {"propertyNames", "is not offered: use 'patternProperties' with one pattern"},
        {"unevaluatedProperties", "is offered as false only"},
        {"unevaluatedItems", "is offered as false only"},
        {"$dynamicRef", "is not offered: use '$ref'"},
        {"$recursiveRef", "is not offered: use '$ref'"},
    };
    yyjson_val *required = json_get(item->schema, "required");
    // Draft 3 had a boolean here: false says nothing, as does the null of a list that was not made.
    if (required && !yyjson_is_arr(required) && !yyjson_is_false(required) &&
        !yyjson_is_null(required))
        return schema_refuse(c, ERR_INVALID, item, "required",
                             "must be an array of names, and stand in the object that has them");
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        yyjson_val *v = json_get(item->schema, refused[i].member);
        if (v && !is_harmless(v, refused[i].member))
            return schema_refuse(c, ERR_UNSUPPORTED, item, refused[i].member, refused[i].why);
    }
    return ERR_OK;
}

// --- Views

// Whether item k is here by item `from`, or is it.
static bool leads_to(const struct view *v, size_t k, uint32_t from)
{
    while (from && from != k + 1)
        from = v->items[from - 1].from;
    return from;
}

static enum err leads_back(struct schema_compiler *c, str where)
{
    diag_set(c->diag, ERR_INVALID,
             "the schema at " STR_FMT " leads back to itself with no property or item between: it "
             "says nothing",
             STR_ARG(str_sub(where, 0, 100)));
    diag_where(c->diag, STR_FMT, STR_ARG(str_sub(where, 0, 100)));
    return ERR_INVALID;
}

static enum err add_from(struct schema_compiler *c, struct view *v, uint32_t from,
                         yyjson_val *schema, str where, bool *ret_never)
{
    struct item item = {.schema = schema, .where = where, .from = from};
    if (yyjson_is_false(schema))
        *ret_never = true;
    if (yyjson_is_bool(schema))
        return ERR_OK;
    if (!yyjson_is_obj(schema))
        return diag_set(c->diag, ERR_INVALID,
                        "a schema is an object or a boolean; at " STR_FMT " there is another value "
                        "(%s)",
                        STR_ARG(str_sub(where, 0, 100)), json_type_name(schema));
    for (size_t i = 0; i < v->n; i++)
        if (v->items[i].schema == schema && leads_to(v, i, from))
            return leads_back(c, where);
        else if (v->items[i].schema == schema)
            return ERR_OK;
    if (v->n == VIEW_MAX)
        return diag_set(c->diag, ERR_LIMIT,
                        "more than %d schemas hold at once for one value, at " STR_FMT, VIEW_MAX,
                        STR_ARG(str_sub(where, 0, 100)));
    v->items[v->n++] = item;
    return check_members(c, &item);
}

enum err view_add(struct schema_compiler *c, struct view *v, yyjson_val *schema, str where,
                  bool *ret_never)
{
    return add_from(c, v, 0, schema, where, ret_never);
}

// A reference is an address: %20 stands for a blank.
static str unescape_percents(struct schema_compiler *c, str pointer)
{
    char *out = arena_alloc(&c->arena, pointer.len + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < pointer.len; i++) {
        uint8_t byte;
        bool escape =
            pointer.ptr[i] == '%' && decode_hex(&byte, 1, str_sub(pointer, i + 1, 2)) == ERR_OK;
        out[n++] = escape ? (char)byte : pointer.ptr[i];
        i += escape ? 2 : 0;
    }
    return str_slice(out, out ? n : 0);
}

static str unescape_token(struct schema_compiler *c, str token)
{
    char *out = arena_alloc(&c->arena, token.len + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < token.len; i++) {
        bool escape = token.ptr[i] == '~' && i + 1 < token.len;
        out[n++] = !escape ? token.ptr[i] : token.ptr[++i] == '0' ? '~' : '/';
    }
    return str_slice(out, out ? n : 0);
}

static yyjson_val *at_pointer(struct schema_compiler *c, str pointer)
{
    yyjson_val *v = c->root;
    str token;
    if (pointer.len && pointer.ptr[0] != '/')
        return NULL;
    pointer = str_sub(unescape_percents(c, pointer), 1, SIZE_MAX);
    while (v && str_split(&pointer, '/', &token)) {
        uint64_t index;
        str name = unescape_token(c, token);
        if (yyjson_is_arr(v))
            v = str_to_u64(name, &index) == ERR_OK ? yyjson_arr_get(v, index) : NULL;
        else
            v = json_member(v, name);
    }
    return v;
}

static enum err follow_ref(struct schema_compiler *c, struct view *v, uint32_t from,
                           const struct item *item, yyjson_val *ref, bool *ret_never)
{
    str to = json_str(ref);
    if (!yyjson_is_str(ref))
        return schema_refuse(c, ERR_INVALID, item, "$ref", "must be a string");
    if (!str_starts(to, STR("#")))
        return schema_refuse(c, ERR_UNSUPPORTED, item, "$ref",
                             "must begin with '#': other documents are not fetched; put what it "
                             "means under '$defs'");
    if (to.len > 1 && to.ptr[1] != '/')
        return schema_refuse(c, ERR_UNSUPPORTED, item, "$ref",
                             "names an anchor, which is not offered: say where the schema stands "
                             "('#/$defs/…')");
    yyjson_val *schema = at_pointer(c, str_sub(to, 1, SIZE_MAX));
    if (!schema)
        return schema_refuse(c, ERR_INVALID, item, "$ref", "leads nowhere in this schema");
    return add_from(c, v, from, schema, to, ret_never);
}

static enum err follow_all_of(struct schema_compiler *c, struct view *v, uint32_t from,
                              const struct item *item, yyjson_val *all, bool *ret_never)
{
    size_t i, max;
    yyjson_val *schema;
    if (!yyjson_is_arr(all))
        return schema_refuse(c, ERR_INVALID, item, "allOf", "must be an array of schemas");
    yyjson_arr_foreach(all, i, max, schema)
    {
        str number = arena_printf(&c->arena, "%zu", i);
        ERR_TRY(
            add_from(c, v, from, schema, schema_child(c, item->where, "allOf", number), ret_never));
    }
    return ERR_OK;
}

enum err view_expand(struct schema_compiler *c, struct view *v, bool *ret_never)
{
    for (size_t i = 0; i < v->n; i++) {
        struct item item = v->items[i];
        uint32_t from = (uint32_t)i + 1;
        yyjson_val *ref = json_get(item.schema, "$ref"), *all = json_get(item.schema, "allOf");
        v->items[i].took |= TOOK_REF | TOOK_ALL_OF;
        if (ref && !(item.took & TOOK_REF))
            ERR_TRY(follow_ref(c, v, from, &item, ref, ret_never));
        if (all && !(item.took & TOOK_ALL_OF))
            ERR_TRY(follow_all_of(c, v, from, &item, all, ret_never));
    }
    return ERR_OK;
}

// --- Types

static uint32_t type_named(yyjson_val *name)
{
    static const struct {
        const char *name;
        uint32_t types;
    } names[] = {
        {"null", TYPE_NULL},       {"boolean", TYPE_BOOLEAN},
        {"integer", TYPE_INTEGER}, {"number", TYPE_INTEGER | TYPE_FRACTION},
        {"string", TYPE_STRING},   {"object", TYPE_OBJECT},
        {"array", TYPE_ARRAY},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (yyjson_equals_str(name, names[i].name))
            return names[i].types;
    return 0;
}

static uint32_t types_of(const struct item *item)
{
    yyjson_val *type = json_get(item->schema, "type"), *name;
    uint32_t types = 0;
    size_t i, max;
    if (!type)
        return TYPE_ALL;
    if (yyjson_is_arr(type))
        yyjson_arr_foreach(type, i, max, name) types |= type_named(name);
    else
        types = type_named(type);
    return types | (yyjson_is_true(json_get(item->schema, "nullable")) ? TYPE_NULL : 0u);
}

// A schema without a type means all; what it says of one type tells what is meant.
static uint32_t types_meant(const struct item *item)
{
    static const struct {
        const char *member;
        uint32_t types;
    } hints[] = {
        {"properties", TYPE_OBJECT},
        {"required", TYPE_OBJECT},
        {"additionalProperties", TYPE_OBJECT},
        {"patternProperties", TYPE_OBJECT},
        {"minProperties", TYPE_OBJECT},
        {"maxProperties", TYPE_OBJECT},
        {"items", TYPE_ARRAY},
        {"prefixItems", TYPE_ARRAY},
        {"minItems", TYPE_ARRAY},
        {"maxItems", TYPE_ARRAY},
        {"pattern", TYPE_STRING},
        {"minLength", TYPE_STRING},
        {"maxLength", TYPE_STRING},
        {"format", TYPE_STRING},
        {"minimum", TYPE_INTEGER | TYPE_FRACTION},
        {"maximum", TYPE_INTEGER | TYPE_FRACTION},
        {"exclusiveMinimum", TYPE_INTEGER | TYPE_FRACTION},
        {"exclusiveMaximum", TYPE_INTEGER | TYPE_FRACTION},
        {"multipleOf", TYPE_INTEGER | TYPE_FRACTION},
    };
    uint32_t types = 0;
    for (size_t i = 0; i < ARRAY_LEN(hints); i++)
        if (json_get(item->schema, hints[i].member))
            types |= hints[i].types;
    return types ? types : TYPE_ALL;
}

static bool names_type(const struct view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (json_get(v->items[i].schema, "type"))
            return true;
    return false;
}

uint32_t view_types_named(const struct view *v)
{
    uint32_t types = TYPE_ALL;
    for (size_t i = 0; i < v->n; i++)
        types &= types_of(&v->items[i]);
    return types;
}

uint32_t view_types(const struct view *v)
{
    uint32_t types = view_types_named(v);
    for (size_t i = 0; i < v->n && !names_type(v); i++)
        types &= types_meant(&v->items[i]);
    return types;
}

// --- const and enum

static uint32_t type_of_value(yyjson_val *v)
{
    int64_t whole;
    if (yyjson_is_null(v))
        return TYPE_NULL;
    if (yyjson_is_bool(v))
        return TYPE_BOOLEAN;
    if (yyjson_is_str(v))
        return TYPE_STRING;
    if (yyjson_is_obj(v))
        return TYPE_OBJECT;
    if (yyjson_is_arr(v))
        return TYPE_ARRAY;
    return json_is_int(v, &whole) ? TYPE_INTEGER : TYPE_FRACTION;
}

// `known`: the list that the value is from, or NULL.
static bool item_lists(const struct item *item, const yyjson_val *known, yyjson_val *value)
{
    yyjson_val *one = json_get(item->schema, "const"), *list = json_get(item->schema, "enum"), *v;
    size_t i, max;
    if (one && !yyjson_equals(one, value))
        return false;
    if (!yyjson_is_arr(list) || list == known)
        return true;
    yyjson_arr_foreach(list, i, max, v) if (yyjson_equals(v, value)) return true;
    return false;
}

static bool value_fits(const struct view *v, const yyjson_val *known, yyjson_val *value)
{
    for (size_t i = 0; i < v->n; i++)
        if (!item_lists(&v->items[i], known, value))
            return false;
    return type_of_value(value) & view_types_named(v);
}

static enum err check_alone(struct schema_compiler *c, const struct view *v, const char *member)
{
    static const char *const others[] = {
        "pattern",          "format",           "minLength",  "maxLength",  "minimum",  "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "properties", "required", "items",
        "prefixItems"};
    for (size_t i = 0; i < v->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(others); k++)
            if (json_get(v->items[i].schema, others[k]))
                return schema_refuse(c, ERR_UNSUPPORTED, &v->items[i], others[k],
                                     str_eq_z(STR("const"), member)
                                         ? "stands beside 'const': take it out"
                                         : "stands beside 'enum': list what fits both");
    return ERR_OK;
}

static enum err add_text(struct schema_compiler *c, yyjson_val *value, str *ret)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, SCHEMA_BYTES_MAX * 2);
    jw_init(&w, &out);
    jw_value(&w, value);
    *ret = arena_str(&c->arena, buf_str(&out));
    bool failed = out.failed;
    buf_done(&out);
    return failed || !ret->ptr ? too_large(c) : ERR_OK;
}

// How many values the other items list or name, that each value of `own` may be compared with.
static uint64_t count_others(const struct view *v, const yyjson_val *own)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *list = json_get(v->items[i].schema, "enum");
        yyjson_val *one = json_get(v->items[i].schema, "const");
        n += list == own ? 0 : yyjson_arr_size(list);
        n += one && one != own;
    }
    return n;
}

static enum err charge_comparisons(struct schema_compiler *c, const struct view *v, yyjson_val *own)
{
    uint64_t others = count_others(v, own);
    return schema_work(c, yyjson_arr_size(own) + (others ? schema_weight(own) * others : 0));
}

static enum err lay_listed(struct schema_compiler *c, const struct view *v, yyjson_val *list,
                           uint32_t from, uint32_t to)
{
    size_t i, max, n = 0;
    ERR_TRY(charge_comparisons(c, v, list));
    yyjson_val *value;
    str *texts = arena_zalloc(&c->arena, yyjson_arr_size(list) + 1, sizeof *texts);
    if (!texts)
        return too_large(c);
    yyjson_arr_foreach(list, i, max, value) if (value_fits(v, list, value))
        ERR_TRY(add_text(c, value, &texts[n++]));
    graph_texts(c->graph, from, to, texts, n);
    return ERR_OK;
}

// True: the view lists its values, and they are laid.
static enum err lay_values(struct schema_compiler *c, const struct view *v, uint32_t from,
                           uint32_t to, bool *ret_done)
{
    for (size_t i = 0; i < v->n; i++) {
        yyjson_val *one = json_get(v->items[i].schema, "const");
        yyjson_val *list = json_get(v->items[i].schema, "enum");
        str text;
        if (!one && !list)
            continue;
        *ret_done = true;
        ERR_TRY(check_alone(c, v, one ? "const" : "enum"));
        if (!one && (!yyjson_is_arr(list) || !yyjson_arr_size(list)))
            return schema_refuse(c, ERR_INVALID, &v->items[i], "enum",
                                 "must be an array with at least one value");
        if (!one)
            return lay_listed(c, v, list, from, to);
        ERR_TRY(charge_comparisons(c, v, one));
        if (!value_fits(v, NULL, one))
            return ERR_OK;
        ERR_TRY(add_text(c, one, &text));
        graph_text(c->graph, from, to, text);
        return ERR_OK;
    }
    return ERR_OK;
}

// --- Values by type

static enum err lay_types(struct schema_compiler *c, const struct view *v, uint32_t types,
                          uint32_t from, uint32_t to)
{
    if (types & TYPE_OBJECT)
        ERR_TRY(schema_lay_object(c, v, from, to));
    if (types & TYPE_ARRAY)
        ERR_TRY(schema_lay_array(c, v, from, to));
    if (types & TYPE_STRING)
        ERR_TRY(schema_lay_string(c, v, from, to));
    if (types & (TYPE_INTEGER | TYPE_FRACTION))
        ERR_TRY(schema_lay_number(c, v, !(types & TYPE_FRACTION), from, to));
    if (types & TYPE_BOOLEAN) {
        graph_text(c->graph, from, to, STR("true"));
        graph_text(c->graph, from, to, STR("false"));
    }
    if (types & TYPE_NULL)
        graph_text(c->graph, from, to, STR("null"));
    return ERR_OK;
}

static enum err check_types(struct schema_compiler *c, const struct view *v)
{
    for (size_t i = 0; i < v->n; i++)
        if (!types_of(&v->items[i]))
            return schema_refuse(c, ERR_INVALID, &v->items[i], "type",
                                 "must be one of 'object', 'array', 'string', 'number', 'integer', "
                                 "'boolean' and 'null', or an array of them");
    return ERR_OK;
}

// --- Alternatives

static enum err alternative(struct schema_compiler *c, const struct view *v, size_t item,
                            const char *member, size_t number, struct view *ret, bool *ret_never)
{
    const struct item *i = &v->items[item];
    ERR_TRY(schema_work(c, number)); // an array is walked to find its nth
    str name = arena_printf(&c->arena, "%zu", number);
    *ret = *v;
    ret->items[item].took |= *member == 'a' ? TOOK_ANY_OF : TOOK_ONE_OF;
    return add_from(c, ret, (uint32_t)item + 1, yyjson_arr_get(json_get(i->schema, member), number),
                    schema_child(c, i->where, member, name), ret_never);
}

// oneOf: what one alternative says must not fit another.
static enum err check_apart(struct schema_compiler *c, const struct view *v, size_t item)
{
    size_t n = yyjson_arr_size(json_get(v->items[item].schema, "oneOf"));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            struct view a, b;
            bool never = false;
            if (i == k)
                continue;
            ERR_TRY(alternative(c, v, item, "oneOf", i, &a, &never));
            ERR_TRY(alternative(c, v, item, "oneOf", k, &b, &never));
            bool apart = never || schema_is_apart(c, &a, &b);
            ERR_TRY(schema_work(c, 1)); // what is too much to compare is not apart
            if (!apart)
                return schema_refuse(c, ERR_UNSUPPORTED, &v->items[item], "oneOf",
                                     "has alternatives that may fit the same value: use 'anyOf', "
                                     "or give each a required property with a 'const' of its own");
        }
    return ERR_OK;
}

static enum err lay_alternatives(struct schema_compiler *c, const struct view *v, size_t item,
                                 const char *member, uint32_t from, uint32_t to)
{
    enum { APART_MAX = 64 };
    yyjson_val *list = json_get(v->items[item].schema, member);
    size_t n = yyjson_arr_size(list);
    if (!yyjson_is_arr(list) || !n)
        return schema_refuse(c, ERR_INVALID, &v->items[item], member,
                             "must be an array with at least one schema");
    if (*member == 'o' && n > APART_MAX)
        return schema_refuse(c, ERR_LIMIT, &v->items[item], member,
                             "has more than 64 alternatives: use 'anyOf'");
    if (*member == 'o')
        ERR_TRY(check_apart(c, v, item));
    for (size_t i = 0; i < n; i++) {
        struct view one;
        bool never = false;
        ERR_TRY(alternative(c, v, item, member, i, &one, &never));
        if (!never)
            ERR_TRY(schema_lay_view(c, &one, from, to));
    }
    return ERR_OK;
}

// An item whose alternatives are yet to be gone through, or SIZE_MAX.
static size_t find_alternatives(const struct view *v, const char **ret_member)
{
    for (size_t i = 0; i < v->n; i++) {
        const struct item *item = &v->items[i];
        *ret_member = "anyOf";
        if (json_get(item->schema, "anyOf") && !(item->took & TOOK_ANY_OF))
            return i;
        *ret_member = "oneOf";
        if (json_get(item->schema, "oneOf") && !(item->took & TOOK_ONE_OF))
            return i;
    }
    return SIZE_MAX;
}

static enum err lay_expanded(struct schema_compiler *c, struct view *expanded, uint32_t from,
                             uint32_t to)
{
    struct view v = *expanded;
    const char *member;
    bool done = false;
    size_t item = find_alternatives(&v, &member);
    if (item != SIZE_MAX)
        return lay_alternatives(c, &v, item, member, from, to);
    ERR_TRY(check_types(c, &v));
    ERR_TRY(lay_values(c, &v, from, to, &done));
    uint32_t types = view_types(&v);
    if (done)
        return ERR_OK;
    if (types == TYPE_ALL) {
        graph_call(c->graph, from, to, json_text_value(&c->json));
        return ERR_OK;
    }
    return lay_types(c, &v, types, from, to);
}

// Where nothing was laid, no value fits: the first such place is told if nothing can be said at
// all.
static enum err lay_body(struct schema_compiler *c, const struct view *unexpanded, uint32_t from,
                         uint32_t to)
{
    struct view v = *unexpanded;
    bool never = false;
    size_t edges = c->graph->n_edges;
    ERR_TRY(view_expand(c, &v, &never));
    if (!never)
        ERR_TRY(lay_expanded(c, &v, from, to));
    if (c->graph->n_edges == edges && v.n && !c->hint->nothing_at[0])
        snprintf(c->hint->nothing_at, sizeof c->hint->nothing_at, STR_FMT,
                 STR_ARG(str_sub(v.items[0].where, 0, 100)));
    return ERR_OK;
}

// --- Rules for views

static bool is_leaf(const struct view *v)
{
    static const char *const members[] = {"$ref",
                                          "allOf",
                                          "anyOf",
                                          "oneOf",
                                          "properties",
                                          "items",
                                          "prefixItems",
                                          "additionalProperties",
                                          "patternProperties",
                                          "enum"};
    for (size_t i = 0; i < v->n; i++)
        for (size_t k = 0; k < ARRAY_LEN(members); k++)
            if (json_get(v->items[i].schema, members[k]))
                return false;
    return true;
}

static str key_of(struct schema_compiler *c, const struct view *v)
{
    struct {
        yyjson_val *schema;
        uintptr_t took;
    } key[VIEW_MAX];
    for (size_t i = 0; i < v->n; i++) {
        key[i].schema = v->items[i].schema;
        key[i].took = v->items[i].took;
    }
    return arena_str(&c->arena, str_slice((const char *)key, v->n * sizeof *key));
}

static enum err later(struct schema_compiler *c, const struct view *v, uint32_t rule)
{
    struct view *copy = arena_alloc(&c->arena, sizeof *copy);
    if (!copy || ++c->n_views > SCHEMA_VIEWS_MAX)
        return too_large(c);
    *copy = *v;
    if (c->n_pending == c->pending_cap) {
        c->pending_cap = c->pending_cap * 2 + 16;
        c->pending = mem_resize(c->pending, c->pending_cap, sizeof *c->pending);
    }
    c->pending[c->n_pending++] = (struct pending){copy, rule};
    return ERR_OK;
}

static enum err rule_of(struct schema_compiler *c, const struct view *v, uint32_t *ret)
{
    str key = key_of(c, v);
    if (!key.ptr)
        return too_large(c);
    uintptr_t known = (uintptr_t)map_get(&c->rules, key);
    if (!known) {
        known = (uintptr_t)graph_rule(c->graph) + 1;
        if (graph_is_full(c->graph))
            return too_large(c);
        map_put(&c->rules, key, (void *)known);
        c->graph->rules[known - 1].name = v->n ? v->items[0].where : STR("#");
        ERR_TRY(later(c, v, (uint32_t)(known - 1)));
    }
    *ret = (uint32_t)(known - 1);
    return ERR_OK;
}

enum err schema_lay_view(struct schema_compiler *c, const struct view *v, uint32_t from,
                         uint32_t to)
{
    enum { LOOKS = 16 }; // at each member, to find some
    uint32_t rule;
    for (size_t i = 0; i < v->n; i++)
        ERR_TRY(schema_work(c, LOOKS * (1 + yyjson_obj_size(v->items[i].schema))));
    if (is_leaf(v))
        return lay_body(c, v, from, to);
    ERR_TRY(rule_of(c, v, &rule));
    graph_call(c->graph, from, to, rule);
    return ERR_OK;
}

enum err schema_count(struct schema_compiler *c, const struct item *i, const char *member,
                      uint32_t *ret)
{
    yyjson_val *v = json_get(i->schema, member);
    int64_t n;
    if (!v)
        return ERR_OK;
    if (!json_is_int(v, &n) || n < 0)
        return schema_refuse(c, ERR_INVALID, i, member, "must be an integer, not below 0");
    *ret = n < GRAPH_STATES_MAX ? (uint32_t)n : GRAPH_STATES_MAX;
    return ERR_OK;
}

// --- The whole

static enum err lay_all(struct schema_compiler *c, uint32_t *ret_rule)
{
    struct view v = {.n = 0};
    bool never = false;
    ERR_TRY(view_add(c, &v, c->root, STR("#"), &never));
    if (never)
        return diag_set(c->diag, ERR_INVALID, "the schema is false: nothing fits it");
    ERR_TRY(rule_of(c, &v, ret_rule));
    while (c->n_pending) {
        struct pending p = c->pending[--c->n_pending];
        struct graph_rule r = c->graph->rules[p.rule];
        ERR_TRY(lay_body(c, p.view, r.start, r.end));
        if (graph_is_full(c->graph))
            return too_large(c);
    }
    return ERR_OK;
}

enum err schema_lay(yyjson_val *schema, struct graph *g, uint32_t *ret_rule,
                    struct schema_hint *hint, struct diag *d)
{
    enum { ARENA_BYTES_MAX = 64 << 20 };
    struct schema_compiler c = {.root = schema, .graph = g, .hint = hint, .diag = d};
    json_text_init(&c.json, g);
    arena_init(&c.arena, ARENA_BYTES_MAX);
    map_init(&c.rules);
    enum err e = lay_all(&c, ret_rule);
    for (size_t r = 0; r < g->n_rules; r++) // what they point to goes with the arena
        g->rules[r].name = STR("schema");
    map_done(&c.rules);
    arena_done(&c.arena);
    mem_free(c.pending);
    return e;
}
