// REQ: SEC-4 DEP-3
// Any bytes as a configuration file: the tree, then a table of every type over it; what is taken is
// shown, and what is shown reads back.
#include <stdlib.h>

#include "base/option.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
    str name, text;
};

struct config {
    bool b;
    int64_t i, d, z, c;
    double f;
    str t;
    struct option_strings l;
    struct item one;
    struct option_items many;
};

static const char *const choices[] = {"red", "green", NULL};
static const struct option item_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = offsetof(struct item, name)},
    {.name = "t", .type = OPTION_STRING, .offset = offsetof(struct item, text)},
    {0},
};
static const struct option table[] = {
    {.name = "b", .type = OPTION_BOOL, .offset = offsetof(struct config, b)},
    {.name = "i", .type = OPTION_INT, .offset = offsetof(struct config, i), .min = -9, .max = 9},
    {.name = "d", .type = OPTION_DURATION, .offset = offsetof(struct config, d)},
    {.name = "z", .type = OPTION_BYTES, .offset = offsetof(struct config, z)},
    {.name = "c", .type = OPTION_CHOICE, .offset = offsetof(struct config, c), .choices = choices},
    {.name = "f", .type = OPTION_FLOAT, .offset = offsetof(struct config, f)},
    {.name = "t", .type = OPTION_STRING, .offset = offsetof(struct config, t)},
    {.name = "l", .type = OPTION_STRINGS, .offset = offsetof(struct config, l)},
    {.name = "one",
     .type = OPTION_TABLE,
     .offset = offsetof(struct config, one),
     .table = item_table,
     .table_size = sizeof(struct item)},
    {.name = "many",
     .type = OPTION_TABLES,
     .offset = offsetof(struct config, many),
     .table = item_table,
     .table_size = sizeof(struct item)},
    {0},
};

static enum err read_config(str text, struct arena *arena, struct config *ret, struct diag *d)
{
    struct yaml_doc doc;
    enum err e = yaml_parse(&doc, text, d);
    if (e != ERR_OK)
        return e;
    e = option_defaults(table, ret, arena, d);
    if (e == ERR_OK)
        e = option_from_yaml(table, doc.root, ret, arena, d);
    yaml_done(&doc);
    return e;
}

static void must_go_round(const struct config *config, struct arena *arena)
{
    struct buf shown, again;
    struct config back;
    buf_init(&shown, 16 << 20);
    buf_init(&again, 16 << 20);
    if (option_show(table, config, &shown) != ERR_OK ||
        read_config(buf_str(&shown), arena, &back, NULL) != ERR_OK ||
        option_show(table, &back, &again) != ERR_OK || !str_eq(buf_str(&shown), buf_str(&again)))
        abort();
    buf_done(&shown);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct config config;
    struct diag d = {0};
    arena_init(&arena, 64 << 20);
    enum err e = read_config(str_slice((const char *)data, size), &arena, &config, &d);
    if (e == ERR_OK)
        must_go_round(&config, &arena);
    else if (d.code != e || d.text[0] == '\0')
        abort();
    arena_done(&arena);
    return 0;
}
