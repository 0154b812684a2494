#include "engine/grammar/graph.h"

#include <stdlib.h>

#include "base/mem.h"

#include "base/banned.h"

void graph_init(struct graph *g)
{
    *g = (struct graph){0};
}

void graph_done(struct graph *g)
{
    mem_free(g->edges);
    mem_free(g->spans);
    mem_free(g->rules);
    *g = (struct graph){0};
}

void graph_work(struct graph *g, uint64_t steps)
{
    g->work += steps < GRAPH_WORK_MAX ? steps : GRAPH_WORK_MAX;
    if (g->work >= GRAPH_WORK_MAX)
        g->full = true;
}

uint32_t graph_state(struct graph *g)
{
    if (g->n_states == GRAPH_STATES_MAX) {
        g->full = true;
        return 0;
    }
    return g->n_states++;
}

uint32_t graph_rule(struct graph *g)
{
    uint32_t start = graph_state(g), end = graph_state(g);
    if (g->n_rules == GRAPH_RULES_MAX) {
        g->full = true;
        return 0;
    }
    if (g->n_rules == g->rules_cap) {
        g->rules_cap = g->rules_cap * 2 + 16;
        g->rules = mem_resize(g->rules, g->rules_cap, sizeof *g->rules);
    }
    g->rules[g->n_rules] = (struct graph_rule){start, end, STR_NONE};
    return (uint32_t)g->n_rules++;
}

static void add(struct graph *g, struct edge e)
{
    if (g->full || g->n_edges == GRAPH_EDGES_MAX) {
        g->full = true;
        return;
    }
    if (g->n_edges == g->edges_cap) {
        g->edges_cap = g->edges_cap * 2 + 64;
        g->edges = mem_resize(g->edges, g->edges_cap, sizeof *g->edges);
    }
    ASSERT(g->edges);
    g->edges[g->n_edges++] = e;
}

void graph_slice(struct graph *g, uint32_t from, uint32_t to, uint32_t slice)
{
    if (g->full) // at least an edge comes with each
        return;
    if (g->n_spans == g->spans_cap) {
        g->spans_cap = g->spans_cap * 2 + 16;
        g->spans = mem_resize(g->spans, g->spans_cap, sizeof *g->spans);
    }
    g->spans[g->n_spans++] = (struct slice_span){from, to, slice};
}

// Once: "||||" would be gone through again and again.
void graph_nothing(struct graph *g, uint32_t from, uint32_t to)
{
    const struct edge *last = g->n_edges ? &g->edges[g->n_edges - 1] : NULL;
    if (last && last->kind == EDGE_NOTHING && last->from == from && last->to == to)
        return;
    add(g, (struct edge){.from = from, .to = to, .kind = EDGE_NOTHING});
}

void graph_bytes(struct graph *g, uint32_t from, uint32_t to, uint8_t low, uint8_t high)
{
    add(g, (struct edge){.from = from, .to = to, .kind = EDGE_BYTES, .low = low, .high = high});
}

void graph_call(struct graph *g, uint32_t from, uint32_t to, uint32_t rule)
{
    add(g, (struct edge){.from = from, .to = to, .kind = EDGE_RULE, .rule = rule});
}

uint32_t graph_after(struct graph *g, uint32_t from, str text)
{
    for (size_t i = 0; i < text.len && !g->full; i++) {
        uint8_t byte = (uint8_t)text.ptr[i];
        uint32_t to = graph_state(g);
        graph_bytes(g, from, to, byte, byte);
        from = to;
    }
    return from;
}

void graph_text(struct graph *g, uint32_t from, uint32_t to, str text)
{
    if (!text.len) {
        graph_nothing(g, from, to);
        return;
    }
    from = graph_after(g, from, str_sub(text, 0, text.len - 1));
    uint8_t last = (uint8_t)text.ptr[text.len - 1];
    graph_bytes(g, from, to, last, last);
}

// --- One of several texts

static int by_bytes(const void *a, const void *b)
{
    const str *x = a, *y = b;
    return str_cmp(*x, *y);
}

static size_t common_length(str a, str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

void graph_texts(struct graph *g, uint32_t from, uint32_t to, str *texts, size_t n)
{
    size_t longest = 0;
    for (size_t i = 0; i < n; i++)
        longest = max_size(longest, texts[i].len);
    qsort(texts, n, sizeof *texts, by_bytes);
    uint32_t *path = mem_array(longest + 1, sizeof *path); // the states behind each byte
    path[0] = from;
    for (size_t i = 0; i < n && !g->full; i++) {
        size_t at = i ? common_length(texts[i - 1], texts[i]) : 0;
        for (; at < texts[i].len; at++) {
            uint8_t byte = (uint8_t)texts[i].ptr[at];
            path[at + 1] = graph_state(g);
            graph_bytes(g, path[at], path[at + 1], byte, byte);
        }
        graph_nothing(g, path[texts[i].len], to);
    }
    mem_free(path);
}

void graph_repeat(struct graph *g, uint32_t from, uint32_t to, uint32_t rule, uint32_t least,
                  uint32_t most)
{
    for (uint32_t i = 0; i < least && !g->full; i++) {
        uint32_t next = graph_state(g);
        graph_call(g, from, next, rule);
        from = next;
    }
    if (most == UINT32_MAX) { // a state of its own: what leads to `from` must not be led round
        uint32_t again = graph_state(g);
        graph_nothing(g, from, again);
        graph_call(g, again, again, rule);
        graph_nothing(g, again, to);
        return;
    }
    for (uint32_t i = least; i < most && !g->full; i++) {
        uint32_t next = graph_state(g);
        graph_nothing(g, from, to);
        graph_call(g, from, next, rule);
        from = next;
    }
    graph_nothing(g, from, to);
}
