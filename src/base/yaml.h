// YAML (libyaml events) to a tree with line and column, for configuration and suites. Refused:
// aliases, anchors, tags, more than one document, duplicate keys, keys that are not scalars, depth
// over 32, texts over YAML_BYTES_MAX. Memory: the tree owns all.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#define YAML_BYTES_MAX (4u << 20)

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, col; // 1-based
    bool quoted;        // scalar in quotes: always text
    str text;           // scalar
    str key;            // when the node is a member of a map
    uint32_t key_line, key_col;
    struct yaml_node *first; // children of list or map
    struct yaml_node *next;
};

struct yaml_doc {
    struct arena arena;
    struct yaml_node *root; // NULL for an empty document
};

// ERR_PARSE, ERR_INVALID (a duplicate key) or ERR_LIMIT with line and column.
enum err yaml_parse(struct yaml_doc *d, str text, struct diag *diag) MUST_USE;
void yaml_done(struct yaml_doc *d);
// NULL when absent, when `map` is NULL or not a map.
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
