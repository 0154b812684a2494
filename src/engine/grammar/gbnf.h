// GBNF, the grammar notation of llama.cpp, laid into a graph: rules `name ::= …`, texts in quotes,
// classes, '.', groups, '|', * + ? {n,m}, '#' comments; it begins with the rule `root`. Recursion
// is fine, but for rules that begin with themselves (automaton_new refuses these by name).
// Bounded: GBNF_BYTES_MAX of text, GBNF_NESTING_MAX groups in each other, and the graph's bounds.
#pragma once

#include "engine/grammar/graph.h"

enum { GBNF_BYTES_MAX = 1 << 20, GBNF_NESTING_MAX = 64 };

// *ret_root: the rule to begin with. Names in the graph point into `text`. ERR_PARSE, ERR_LIMIT,
// with line and column in the sentence.
enum err gbnf_lay(str text, struct graph *g, uint32_t *ret_root, struct diag *d) MUST_USE;
