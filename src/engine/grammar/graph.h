// What may be said, as a graph over bytes: rules, each with a start and an end, states, and edges
// that stand for nothing, for one byte of a range, or for all that another rule says. All kinds of
// grammar are compiled to it: to lay something "from a to b" is to add edges so that it leads from
// state a to state b.
//
// Owner: whoever compiles; one thread. Bounded: past a limit the graph is `full`, takes no more,
// and automaton_new refuses it; loops over counts ask graph_is_full. What takes time without laying
// anything (comparing lists, reading a class again) counts as work.
#pragma once

#include "base/err.h"
#include "base/str.h"

enum {
    GRAPH_STATES_MAX = 1 << 18,
    GRAPH_EDGES_MAX = 1 << 19,
    GRAPH_RULES_MAX = 1 << 15,
    GRAPH_WORK_MAX = 1 << 25, // a tenth of a second, or less
};

enum edge_kind { EDGE_NOTHING, EDGE_BYTES, EDGE_RULE };

struct edge {
    uint32_t from, to;
    uint32_t rule; // EDGE_RULE
    uint8_t kind;
    uint8_t low, high; // EDGE_BYTES
};

// Among what leads from one state to the other is each character of a slice (slice.h).
struct slice_span {
    uint32_t from, to, slice;
};

struct graph_rule {
    uint32_t start, end;
    str name; // for people; may be absent; outlives the graph
};

struct graph {
    struct edge *edges;
    size_t n_edges, edges_cap;
    struct slice_span *spans;
    size_t n_spans, spans_cap;
    struct graph_rule *rules;
    size_t n_rules, rules_cap;
    uint32_t n_states;
    uint64_t work;
    bool full;
};

void graph_init(struct graph *g);
void graph_done(struct graph *g);
static inline bool graph_is_full(const struct graph *g)
{
    return g->full;
}

// Steps that are about to be taken, each of a few nanoseconds.
void graph_work(struct graph *g, uint64_t steps);

uint32_t graph_state(struct graph *g);
uint32_t graph_rule(struct graph *g); // with a start and an end, and nothing between yet

void graph_nothing(struct graph *g, uint32_t from, uint32_t to);
void graph_bytes(struct graph *g, uint32_t from, uint32_t to, uint8_t low, uint8_t high);
void graph_slice(struct graph *g, uint32_t from, uint32_t to, uint32_t slice); // it is laid so
void graph_call(struct graph *g, uint32_t from, uint32_t to, uint32_t rule);
void graph_text(struct graph *g, uint32_t from, uint32_t to, str text);
// A text, and the state that it leads to.
uint32_t graph_after(struct graph *g, uint32_t from, str text);
// One of several texts: what they begin with alike is laid once. Sorts them.
void graph_texts(struct graph *g, uint32_t from, uint32_t to, str *texts, size_t n);
// What the rule says, from `least` to `most` times (UINT32_MAX: no end).
void graph_repeat(struct graph *g, uint32_t from, uint32_t to, uint32_t rule, uint32_t least,
                  uint32_t most);
