#include "base/option.h"

#include <stdio.h>

#include "base/map.h"
#include "base/option_value.h"

#include "base/banned.h"

static void *field_of(const struct option *row, void *target)
{
    return (char *)target + row->offset;
}

// The place of `name` inside `p`: "server" and "port" make "server.port".
static struct option_place inside(const struct option_place *p, str name, uint32_t line,
                                  uint32_t col)
{
    struct option_place inner = *p;
    size_t len = strlen(inner.key);
    snprintf(inner.key + len, sizeof inner.key - len, "%s" STR_FMT, len ? "." : "", STR_ARG(name));
    inner.line = line;
    inner.col = col;
    return inner;
}

static struct option_place inside_list(const struct option_place *p, size_t index,
                                       const struct yaml_node *item)
{
    struct option_place inner = *p;
    size_t len = strlen(inner.key);
    snprintf(inner.key + len, sizeof inner.key - len, "[%zu]", index);
    inner.line = item->line;
    inner.col = item->col;
    return inner;
}

static enum err no_memory(const struct option_place *p)
{
    return option_refuse(p, ERR_LIMIT, "does not fit into the memory set aside for options");
}

// ---- text ----

static enum err set_single(const struct option_place *p, const struct option *row, str text,
                           void *field)
{
    str value = STR_NONE;
    if (row->type == OPTION_SECRET)
        ERR_TRY(option_resolve_secret(p, text, &value));
    else
        ERR_TRY(option_resolve(p, text, &value));
    return option_parse(p, row, value, field);
}

static enum err append_string(const struct option_place *p, str text, struct option_strings *list)
{
    str value = STR_NONE;
    ERR_TRY(option_resolve(p, text, &value));
    str *items = arena_zalloc(p->arena, list->len + 1, sizeof *items);
    str copy = arena_str(p->arena, value);
    if (!items || !copy.ptr)
        return no_memory(p);
    if (list->len)
        memcpy(items, list->items, list->len * sizeof *items);
    items[list->len] = copy;
    *list = (struct option_strings){items, list->len + 1};
    return ERR_OK;
}

static enum err split_strings(const struct option_place *p, str text, struct option_strings *ret)
{
    struct option_strings list = {0};
    str item;
    while (str_split(&text, ',', &item))
        ERR_TRY(append_string(p, str_trim(item), &list));
    *ret = list;
    return ERR_OK;
}

static enum err set_text(const struct option_place *p, const struct option *row, str text,
                         void *field)
{
    if (row->type != OPTION_STRINGS)
        return set_single(p, row, text, field);
    if (row->repeated)
        return append_string(p, text, field);
    return split_strings(p, text, field);
}

enum err option_set(const struct option *row, str text, void *target, struct arena *arena,
                    struct diag *d)
{
    struct option_place top = {.arena = arena, .diag = d};
    struct option_place p = inside(&top, str_of(row->name), 0, 0);
    return set_text(&p, row, text, field_of(row, target));
}

// ---- defaults ----

static size_t size_of(const struct option *row)
{
    switch (row->type) {
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_FLOAT:
        return sizeof(double);
    case OPTION_STRING:
    case OPTION_SECRET:
        return sizeof(str);
    case OPTION_STRINGS:
        return sizeof(struct option_strings);
    case OPTION_TABLES:
        return sizeof(struct option_items);
    case OPTION_TABLE:
        return row->table_size;
    default:
        return sizeof(int64_t);
    }
}

static enum err set_defaults(const struct option_place *p, const struct option *table, void *target)
{
    for (const struct option *row = table; row->name; row++) {
        struct option_place at = inside(p, str_of(row->name), 0, 0);
        void *field = field_of(row, target);
        memset(field, 0, size_of(row));
        if (row->type == OPTION_TABLE)
            ERR_TRY(set_defaults(&at, row->table, field));
        else if (row->value && row->type == OPTION_STRINGS)
            ERR_TRY(split_strings(&at, str_of(row->value), field));
        else if (row->value)
            ERR_TRY(set_text(&at, row, str_of(row->value), field));
    }
    return ERR_OK;
}

enum err option_defaults(const struct option *table, void *target, struct arena *arena,
                         struct diag *d)
{
    struct option_place top = {.arena = arena, .diag = d};
    return set_defaults(&top, table, target);
}

// ---- YAML ----

static enum err read_table(const struct option_place *p, const struct option *table,
                           const struct yaml_node *map, void *target);

static bool is_nothing(const struct yaml_node *n)
{
    return n->kind == YAML_SCALAR && !n->quoted &&
           (n->text.len == 0 || str_eq(n->text, STR("~")) || str_eq(n->text, STR("null")));
}

// "port, host, …" as far as there is room.
static void list_names(const struct option *table, char *out, size_t out_size)
{
    size_t len = 0;
    for (const struct option *row = table; row->name && len < out_size; row++)
        len += (size_t)snprintf(out + len, out_size - len, "%s%s", row == table ? "" : ", ",
                                row->name);
    if (len >= out_size)
        snprintf(out + out_size - 5, 5, " ...");
}

static enum err refuse_key(const struct option_place *p, const struct option *table,
                           const struct yaml_node *node)
{
    const char *near = option_nearest(table, node->key);
    char inside_what[sizeof p->key + 8] = "";
    if (p->key[0])
        snprintf(inside_what, sizeof inside_what, " in '%s'", p->key);
    char known[160];
    list_names(table, known, sizeof known);
    int cut = (int)min_size(node->key.len, 64);
    if (near)
        diag_set(p->diag, ERR_INVALID, "unknown key '%.*s'%s; did you mean '%s'?", cut,
                 node->key.ptr, inside_what, near);
    else
        diag_set(p->diag, ERR_INVALID, "unknown key '%.*s'%s; known here: %s", cut, node->key.ptr,
                 inside_what, known);
    diag_place(p->diag, node->key_line, node->key_col);
    return ERR_INVALID;
}

// {env: NAME} or {file: PATH}
static enum err read_secret_map(const struct option_place *p, const struct yaml_node *map, str *ret)
{
    const struct yaml_node *only = map->first;
    bool one = only && !only->next && only->kind == YAML_SCALAR;
    if (one && str_eq_z(only->key, "env"))
        return option_secret_from_env(p, only->text, ret);
    if (one && str_eq_z(only->key, "file"))
        return option_secret_from_file(p, only->text, ret);
    return option_refuse(p, ERR_INVALID, "must be {env: NAME} or {file: PATH}");
}

static enum err read_strings(const struct option_place *p, const struct yaml_node *node,
                             struct option_strings *ret)
{
    struct option_strings list = {0};
    if (node->kind == YAML_SCALAR) {
        ERR_TRY(append_string(p, node->text, &list));
    } else if (node->kind == YAML_LIST) {
        for (const struct yaml_node *n = node->first; n; n = n->next) {
            struct option_place at = inside_list(p, list.len, n);
            if (n->kind != YAML_SCALAR)
                return option_refuse(&at, ERR_INVALID, "must be text, not a list or map");
            ERR_TRY(append_string(&at, n->text, &list));
        }
    } else {
        return option_refuse(p, ERR_INVALID, "must be a list of texts, not a map");
    }
    *ret = list;
    return ERR_OK;
}

static bool has_name(const struct option *row)
{
    return row->table->type == OPTION_STRING && str_eq_z(str_of(row->table->name), "name");
}

// One struct of a TABLES; `key` is its name when it stands in a map.
static enum err read_item(const struct option_place *p, const struct option *row,
                          const struct yaml_node *node, str key, void *item)
{
    ERR_TRY(set_defaults(p, row->table, item));
    str *name = field_of(row->table, item);
    if (key.ptr && !(*name = arena_str(p->arena, key)).ptr)
        return no_memory(p);
    ERR_TRY(read_table(p, row->table, node, item));
    if (key.ptr && !str_eq(*name, key))
        return option_refuse(p, ERR_INVALID, "has a 'name' other than its key; leave 'name' out");
    return ERR_OK;
}

static enum err check_name(const struct option_place *p, const struct option *row, void *item,
                           struct map *names)
{
    if (!has_name(row))
        return ERR_OK;
    str name = *(str *)field_of(row->table, item);
    if (name.len == 0)
        return option_refuse(p, ERR_INVALID, "needs a 'name'");
    if (map_put(names, name, item))
        return option_refuse(p, ERR_INVALID, "has the name '" STR_FMT "', which is taken already",
                             STR_ARG(name));
    return ERR_OK;
}

static enum err read_items(const struct option_place *p, const struct option *row,
                           const struct yaml_node *node, struct option_items *items,
                           struct map *names)
{
    for (const struct yaml_node *n = node->first; n; n = n->next) {
        bool keyed = node->kind == YAML_MAP;
        struct option_place at =
            keyed ? inside(p, n->key, n->line, n->col) : inside_list(p, items->len, n);
        void *item = (char *)items->items + items->len * row->table_size;
        ERR_TRY(read_item(&at, row, n, keyed ? n->key : STR_NONE, item));
        ERR_TRY(check_name(&at, row, item, names));
        items->len++;
    }
    return ERR_OK;
}

static enum err read_tables(const struct option_place *p, const struct option *row,
                            const struct yaml_node *node, struct option_items *ret)
{
    if (node->kind == YAML_SCALAR || (node->kind == YAML_MAP && !has_name(row)))
        return option_refuse(p, ERR_INVALID, "must be a list%s",
                             has_name(row) ? ", or a map from names" : "");
    size_t count = 0;
    for (const struct yaml_node *n = node->first; n; n = n->next)
        count++;
    struct option_items items = {.items = arena_zalloc(p->arena, count, row->table_size)};
    if (!items.items)
        return no_memory(p);
    struct map names;
    map_init(&names);
    enum err e = read_items(p, row, node, &items, &names);
    map_done(&names);
    if (e == ERR_OK)
        *ret = items;
    return e;
}

static enum err read_value(const struct option_place *p, const struct option *row,
                           const struct yaml_node *node, void *field)
{
    if (is_nothing(node))
        return ERR_OK;
    if (row->type == OPTION_TABLE)
        return read_table(p, row->table, node, field);
    if (row->type == OPTION_TABLES)
        return read_tables(p, row, node, field);
    if (row->type == OPTION_STRINGS)
        return read_strings(p, node, field);
    if (row->type == OPTION_SECRET && node->kind == YAML_MAP)
        return read_secret_map(p, node, field);
    if (node->kind != YAML_SCALAR)
        return option_refuse(p, ERR_INVALID, "must be a single value, not a %s",
                             node->kind == YAML_LIST ? "list" : "map");
    return set_single(p, row, node->text, field);
}

static enum err read_table(const struct option_place *p, const struct option *table,
                           const struct yaml_node *map, void *target)
{
    if (is_nothing(map))
        return ERR_OK;
    if (map->kind != YAML_MAP) {
        if (p->key[0])
            return option_refuse(p, ERR_INVALID, "must be a map of keys and values");
        diag_set(p->diag, ERR_INVALID, "expected a map of keys and values");
        diag_place(p->diag, map->line, map->col);
        return ERR_INVALID;
    }
    for (const struct yaml_node *n = map->first; n; n = n->next) {
        const struct option *row = option_find(table, n->key);
        if (!row)
            return refuse_key(p, table, n);
        struct option_place at = inside(p, n->key, n->line, n->col);
        ERR_TRY(read_value(&at, row, n, field_of(row, target)));
    }
    return ERR_OK;
}

enum err option_from_yaml(const struct option *table, const struct yaml_node *map, void *target,
                          struct arena *arena, struct diag *d)
{
    struct option_place top = {.arena = arena, .diag = d};
    return map ? read_table(&top, table, map, target) : ERR_OK;
}

// ---- names ----

const struct option *option_find(const struct option *table, str name)
{
    for (; table->name; table++)
        if (str_eq_z(name, table->name))
            return table;
    return NULL;
}

const char *option_nearest(const struct option *table, str name)
{
    const char *nearest = NULL;
    size_t least = 1 + name.len / 4; // more edits than this and it is another word
    for (; table->name; table++) {
        size_t distance = str_distance(name, str_of(table->name));
        if (distance <= least && (!nearest || distance < least)) {
            nearest = table->name;
            least = distance;
        }
    }
    return nearest;
}
