// A compiled template, shared by the compiler (mustache_compile.c) and the renderer (mustache.c).
#pragma once

#include "prompt/mustache.h"

enum node_kind {
    NODE_TEXT,
    NODE_VARIABLE,
    NODE_RAW,
    NODE_SECTION,
    NODE_INVERTED,
    NODE_END,
    NODE_PARTIAL
};

struct node {
    enum node_kind kind;
    bool begins_line; // nothing of its line comes before it
    str text;         // TEXT; else the name
    str indent;       // PARTIAL that stands alone: what stands before it
    size_t at;        // offset in the source
    size_t end;       // SECTION, INVERTED: index of its END
};

struct mustache {
    char *source;
    size_t source_len;
    struct node *nodes;
    size_t len, cap;
};

void mustache_place(const struct mustache *t, size_t at, uint32_t *ret_line, uint32_t *ret_col);
