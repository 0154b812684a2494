// The automaton: nodes that consume a byte, fork, ask where words end, or accept. Shared by the
// compiler (pattern.c) and the scanner (scan.c).
#pragma once

#include "guard/pattern.h"

enum pattern_node_kind { PATTERN_BYTE, PATTERN_FORK, PATTERN_EDGE, PATTERN_INNER, PATTERN_ACCEPT };

struct pattern_node {
    enum pattern_node_kind kind;
    uint32_t a, b; // next; FORK: both; ACCEPT: index of the pattern
    uint8_t set[32];
};

struct pattern_entry {
    uint32_t id, node;
    uint8_t first[32]; // bytes that a match can begin with
};

struct patterns {
    struct pattern_node *nodes;
    uint32_t len, cap;
    struct pattern_entry *entries;
    uint32_t entries_len, entries_cap;
};

static inline bool pattern_set_has(const uint8_t set[static 32], uint8_t byte)
{
    return set[byte >> 3] >> (byte & 7) & 1;
}
