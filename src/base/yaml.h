// YAML (libyaml events) to a tree with line and column, for configuration and suites. Refused:
// aliases, anchors, tags, more than one document, duplicate keys, keys that are not scalars, depth
// over 32, files over the limit. Memory: the tree owns all.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, col;      // 1-based
    bool quoted;             // scalar in quotes: always text
    str text;                // scalar
    str key;                 // when the node is a member of a map
    struct yaml_node *first; // children of list or map
    struct yaml_node *next;
};

struct yaml_doc {
    struct arena arena;
    struct yaml_node *root; // NULL for an empty document
};

enum err yaml_parse(struct yaml_doc *d, str text, struct diag *diag) MUST_USE;
void yaml_done(struct yaml_doc *d);
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
