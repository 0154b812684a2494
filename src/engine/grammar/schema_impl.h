// What the files of the schema compiler share. A view is what one value must fit all at once: one
// schema as a rule, several by allOf, $ref, or the same property in two of them.
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/schema.h"

enum { VIEW_MAX = 12 };

// Members of a schema that the view has been widened by already.
enum { TOOK_REF = 1, TOOK_ALL_OF = 2, TOOK_ANY_OF = 4, TOOK_ONE_OF = 8 };

struct item {
    yyjson_val *schema; // an object, or true
    str where;          // its JSON pointer
    uint32_t took;
    uint32_t from; // by which of the view's items it is here, + 1; 0: by what the view is made for
};

struct view {
    struct item items[VIEW_MAX];
    size_t n;
};

// Types of values, as bits.
enum {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_FRACTION = 8, // a number that is no integer
    TYPE_STRING = 16,
    TYPE_OBJECT = 32,
    TYPE_ARRAY = 64,
    TYPE_ALL = 127,
};

struct pending {
    struct view *view;
    uint32_t rule;
};

struct schema_compiler {
    yyjson_val *root;
    struct graph *graph;
    struct json_text json;
    struct diag *diag;
    struct arena arena;
    struct map rules; // by view: the rule + 1
    struct pending *pending;
    size_t n_pending, pending_cap, n_views;
    struct schema_hint *hint;
};

enum err schema_refuse(struct schema_compiler *c, enum err e, const struct item *item,
                       const char *member, const char *why);
str schema_child(struct schema_compiler *c, str where, const char *member, str name);
// Refuses what takes too much: graph_work, said of the schema.
enum err schema_work(struct schema_compiler *c, uint64_t steps) MUST_USE;
// What it takes to compare a value with another: each member of an object may be looked for among
// all of the other's.
uint64_t schema_weight(yyjson_val *v);
// The view and one more schema; false schemas make *ret_never true.
enum err view_add(struct schema_compiler *c, struct view *v, yyjson_val *schema, str where,
                  bool *ret_never) MUST_USE;
// $ref and allOf are followed until none is left.
enum err view_expand(struct schema_compiler *c, struct view *v, bool *ret_never) MUST_USE;
// The types that are said: 0 when none is left. A schema that names none means those that its other
// members are about, though by the standard values of other types fit it, too: view_types_named.
uint32_t view_types(const struct view *v);
uint32_t view_types_named(const struct view *v);
// One value that fits the view: in place, or as a rule that is laid later.
enum err schema_lay_view(struct schema_compiler *c, const struct view *v, uint32_t from,
                         uint32_t to) MUST_USE;
// The member of the item, counted number; *ret stays when it is absent.
enum err schema_count(struct schema_compiler *c, const struct item *i, const char *member,
                      uint32_t *ret) MUST_USE;

// By type: the view is expanded and has no alternatives left.
enum err schema_lay_object(struct schema_compiler *c, const struct view *v, uint32_t from,
                           uint32_t to) MUST_USE;
enum err schema_lay_array(struct schema_compiler *c, const struct view *v, uint32_t from,
                          uint32_t to) MUST_USE;
enum err schema_lay_string(struct schema_compiler *c, const struct view *v, uint32_t from,
                           uint32_t to) MUST_USE;
enum err schema_lay_number(struct schema_compiler *c, const struct view *v, bool whole,
                           uint32_t from, uint32_t to) MUST_USE;
// Whether what is said by `a` never fits `b`, as far as can be seen.
bool schema_is_apart(struct schema_compiler *c, const struct view *a, const struct view *b);
