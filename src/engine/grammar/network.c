#include "engine/grammar/network.h"

#include "base/mem.h"

#include "base/banned.h"

// Edges once more, by where they lead to or by the rule they call: lists through arrays.
struct backward {
    uint32_t *into; // by state: the first edge into it, + 1
    uint32_t *into_next;
    uint32_t *callers; // by rule: the first edge that calls it, + 1
    uint32_t *callers_next;
    uint32_t *begins; // by state: the rule that it is the start of, + 1
};

struct list {
    uint32_t *items;
    size_t len, cap;
};

static void push(struct list *l, uint32_t item)
{
    if (l->len == l->cap) {
        l->cap = l->cap * 2 + 64;
        l->items = mem_resize(l->items, l->cap, sizeof *l->items);
    }
    l->items[l->len++] = item;
}

static bool can_be_said(const struct edge *e, const bool *has_byte)
{
    for (uint32_t b = e->low; e->kind == EDGE_BYTES && b <= e->high; b++)
        if (has_byte[b])
            return true;
    return e->kind != EDGE_BYTES;
}

static void backward_init(struct backward *b, const struct graph *g, const bool *has_byte)
{
    b->into = mem_array(g->n_states, sizeof(uint32_t));
    b->into_next = mem_array(g->n_edges + 1, sizeof(uint32_t));
    b->callers = mem_array(g->n_rules, sizeof(uint32_t));
    b->callers_next = mem_array(g->n_edges + 1, sizeof(uint32_t));
    b->begins = mem_array(g->n_states, sizeof(uint32_t));
    for (uint32_t i = 0; i < g->n_edges; i++) {
        const struct edge *e = &g->edges[i];
        if (!can_be_said(e, has_byte))
            continue;
        b->into_next[i] = b->into[e->to];
        b->into[e->to] = i + 1;
        if (e->kind != EDGE_RULE)
            continue;
        b->callers_next[i] = b->callers[e->rule];
        b->callers[e->rule] = i + 1;
    }
    for (uint32_t r = 0; r < g->n_rules; r++)
        b->begins[g->rules[r].start] = r + 1;
}

static void backward_done(struct backward *b)
{
    mem_free(b->into);
    mem_free(b->into_next);
    mem_free(b->callers);
    mem_free(b->callers_next);
    mem_free(b->begins);
}

// --- How deep one must go: states in the order of their need, each settled once

struct needs {
    const struct graph *graph;
    const struct backward *backward;
    struct network *network;
    struct list *by_need; // depth_max + 1 lists
    uint32_t depth_max;
};

static void consider(struct needs *n, const struct edge *e)
{
    uint16_t *need = n->network->need;
    uint32_t after = need[e->to];
    if (e->kind == EDGE_RULE) {
        uint32_t inside = need[n->graph->rules[e->rule].start];
        if (inside == NETWORK_NEVER)
            return;
        after = after > inside + 1 ? after : inside + 1;
    }
    if (after > n->depth_max || after >= need[e->from])
        return;
    need[e->from] = (uint16_t)after;
    push(&n->by_need[after], e->from);
}

static void settle(struct needs *n, uint32_t state)
{
    const struct backward *b = n->backward;
    for (uint32_t i = b->into[state]; i; i = b->into_next[i - 1])
        consider(n, &n->graph->edges[i - 1]);
    if (!b->begins[state])
        return;
    for (uint32_t i = b->callers[b->begins[state] - 1]; i; i = b->callers_next[i - 1])
        if (n->network->need[n->graph->edges[i - 1].to] != NETWORK_NEVER)
            consider(n, &n->graph->edges[i - 1]);
}

static void find_needs(struct needs *n)
{
    n->by_need = mem_array(n->depth_max + 1, sizeof *n->by_need);
    for (uint32_t s = 0; s < n->graph->n_states; s++)
        n->network->need[s] = NETWORK_NEVER;
    for (size_t r = 0; r < n->graph->n_rules; r++) {
        n->network->need[n->graph->rules[r].end] = 0;
        push(&n->by_need[0], n->graph->rules[r].end);
    }
    for (uint32_t depth = 0; depth <= n->depth_max; depth++) {
        struct list *l = &n->by_need[depth];
        for (size_t i = 0; i < l->len; i++)
            if (n->network->need[l->items[i]] == depth)
                settle(n, l->items[i]);
        mem_free(l->items);
    }
    mem_free(n->by_need);
}

// --- Rules that begin with themselves

// States from which their rule's end can be reached without a byte.
static bool *find_silent(const struct graph *g, const struct backward *b)
{
    bool *silent = mem_array(g->n_states, sizeof *silent);
    struct list todo = {0};
    for (size_t r = 0; r < g->n_rules; r++) {
        silent[g->rules[r].end] = true;
        push(&todo, g->rules[r].end);
    }
    while (todo.len) {
        uint32_t state = todo.items[--todo.len];
        for (int round = 0; round < 2; round++) { // edges into it, and calls of its rule
            uint32_t i = round == 0         ? b->into[state]
                         : b->begins[state] ? b->callers[b->begins[state] - 1]
                                            : 0;
            for (; i; i = round == 0 ? b->into_next[i - 1] : b->callers_next[i - 1]) {
                const struct edge *e = &g->edges[i - 1];
                bool quiet = e->kind == EDGE_NOTHING ||
                             (e->kind == EDGE_RULE && silent[g->rules[e->rule].start]);
                if (!quiet || !silent[e->to] || silent[e->from])
                    continue;
                silent[e->from] = true;
                push(&todo, e->from);
            }
        }
    }
    mem_free(todo.items);
    return silent;
}

struct search {
    const struct network *network;
    const bool *silent;
    uint8_t *color;   // by rule: 0 new, 1 open, 2 done
    uint32_t *stamp;  // by state: the rule it was last reached from, + 1
    struct list path; // of rules; UINT32_MAX closes the one below it
};

// The rules that `rule` may begin with go on the path.
static void push_beginnings(struct search *s, uint32_t rule)
{
    const struct network *n = s->network;
    struct list todo = {0};
    push(&todo, n->rules[rule].start);
    s->stamp[n->rules[rule].start] = rule + 1;
    while (todo.len) {
        uint32_t state = todo.items[--todo.len];
        for (uint32_t i = n->first[state]; i < n->first[state + 1]; i++) {
            const struct edge *e = &n->edges[i];
            if (e->kind == EDGE_BYTES)
                continue;
            if (e->kind == EDGE_RULE)
                push(&s->path, e->rule);
            if (e->kind == EDGE_RULE && !s->silent[n->rules[e->rule].start])
                continue;
            if (s->stamp[e->to] == rule + 1)
                continue;
            s->stamp[e->to] = rule + 1;
            push(&todo, e->to);
        }
    }
    mem_free(todo.items);
}

// A rule that begins with itself, or UINT32_MAX.
static uint32_t search_from(struct search *s, uint32_t rule)
{
    push(&s->path, rule);
    while (s->path.len) {
        uint32_t top = s->path.items[s->path.len - 1];
        if (top == UINT32_MAX) {
            s->color[s->path.items[s->path.len - 2]] = 2;
            s->path.len -= 2;
            continue;
        }
        if (s->color[top] == 1)
            return top;
        if (s->color[top] == 2) {
            s->path.len--;
            continue;
        }
        s->color[top] = 1;
        push(&s->path, UINT32_MAX);
        push_beginnings(s, top);
    }
    return UINT32_MAX;
}

static enum err check_beginnings(const struct network *n, const bool *silent, struct diag *d)
{
    struct search s = {.network = n, .silent = silent};
    s.color = mem_array(n->n_rules, sizeof *s.color);
    s.stamp = mem_array(n->n_states, sizeof *s.stamp);
    uint32_t found = UINT32_MAX;
    for (uint32_t r = 0; r < n->n_rules && found == UINT32_MAX; r++)
        if (!s.color[r])
            found = search_from(&s, r);
    mem_free(s.color);
    mem_free(s.stamp);
    mem_free(s.path.items);
    if (found == UINT32_MAX)
        return ERR_OK;
    str name = n->rules[found].name;
    return diag_set(d, ERR_INVALID,
                    "the rule '" STR_FMT "' begins with itself (left recursion): write it so that "
                    "something stands before it, as in \"item (',' item)*\"",
                    STR_ARG(name));
}

// --- Making it

static bool leads_somewhere(const struct network *n, const struct edge *e, const bool *has_byte)
{
    return can_be_said(e, has_byte) && n->need[e->to] != NETWORK_NEVER &&
           (e->kind != EDGE_RULE || n->need[n->rules[e->rule].start] != NETWORK_NEVER);
}

// The edges sorted by their state; within one they keep their order.
static void take_edges(struct network *n, const struct graph *g, const bool *has_byte)
{
    n->first = mem_array((size_t)n->n_states + 1, sizeof *n->first);
    for (size_t i = 0; i < g->n_edges; i++)
        if (leads_somewhere(n, &g->edges[i], has_byte))
            n->first[g->edges[i].from + 1]++;
    for (uint32_t s = 0; s < n->n_states; s++)
        n->first[s + 1] += n->first[s];
    uint32_t *at = mem_array((size_t)n->n_states + 1, sizeof *at);
    memcpy(at, n->first, ((size_t)n->n_states + 1) * sizeof *at);
    n->edges = mem_array((size_t)n->first[n->n_states] + 1, sizeof *n->edges);
    for (size_t i = 0; i < g->n_edges; i++)
        if (leads_somewhere(n, &g->edges[i], has_byte))
            n->edges[at[g->edges[i].from]++] = g->edges[i];
    mem_free(at);
}

static void find_classes(struct network *n)
{
    bool begins[257] = {false};
    for (uint32_t i = 0; i < n->first[n->n_states]; i++)
        if (n->edges[i].kind == EDGE_BYTES)
            begins[n->edges[i].low] = begins[n->edges[i].high + 1] = true;
    for (uint32_t byte = 0; byte < 256; byte++) {
        if (byte == 0 || begins[byte])
            n->some[n->n_classes++] = (uint8_t)byte;
        n->class_of[byte] = (uint8_t)(n->n_classes - 1);
    }
}

// Through edges of nothing alone, one after the other, to the end.
static void find_tails(struct network *n)
{
    enum { STEPS_MAX = 8 };
    for (size_t r = 0; r < n->n_rules; r++)
        n->is_end[n->rules[r].end] = true;
    for (uint32_t s = 0; s < n->n_states; s++) {
        uint32_t at = s;
        for (int i = 0; i < STEPS_MAX && !n->is_end[at]; i++) {
            uint32_t first = n->first[at];
            if (n->first[at + 1] - first != 1 || n->edges[first].kind != EDGE_NOTHING)
                break;
            at = n->edges[first].to;
        }
        n->is_tail[s] = n->is_end[at] && n->first[at] == n->first[at + 1];
    }
}

// --- Characters that may surely follow

struct freeing {
    struct network *network;
    const struct graph *graph;
    const struct backward *backward;
    uint32_t slice;
    uint32_t *spans_into, *spans_next; // by state: the first span into it, + 1
    struct list todo;
};

static bool may_end(const struct network *n, uint32_t state)
{
    return n->is_end[state] || n->is_tail[state];
}

static bool one_character(const struct freeing *f, const struct edge *e)
{
    const struct network *n = f->network;
    return e->kind == EDGE_RULE && n->says[f->slice][n->rules[e->rule].start];
}

// From the ends on: a span to where a rule may end, and what leads there silently, or through a
// rule that says such a character and no more.
static void find_says(struct freeing *f)
{
    enum { ROUNDS_MAX = 8 };
    const struct graph *g = f->graph;
    struct network *n = f->network;
    bool *says = n->says[f->slice], changed = true;
    for (size_t i = 0; i < g->n_spans; i++)
        if (g->spans[i].slice == f->slice && may_end(n, g->spans[i].to))
            says[g->spans[i].from] = true;
    for (int round = 0; round < ROUNDS_MAX && changed; round++) {
        changed = false;
        for (uint32_t s = 0; s < n->n_states; s++)
            for (uint32_t i = n->first[s]; i < n->first[s + 1] && !says[s]; i++) {
                const struct edge *e = &n->edges[i];
                says[s] = (e->kind == EDGE_NOTHING && says[e->to]) ||
                          (one_character(f, e) && may_end(n, e->to));
                changed = changed || says[s];
            }
    }
}

static void raise(struct freeing *f, uint32_t state, uint32_t to)
{
    uint8_t *at = &f->network->free[f->slice][state];
    to = to < SLICE_CHARACTERS_MAX ? to : SLICE_CHARACTERS_MAX;
    if (*at >= to || f->network->need[state] == NETWORK_NEVER)
        return;
    *at = (uint8_t)to;
    push(&f->todo, state);
}

static void raise_before(struct freeing *f, uint32_t state, const bool *has_byte)
{
    const struct backward *b = f->backward;
    uint32_t here = f->network->free[f->slice][state];
    for (uint32_t i = b->into[state]; i; i = b->into_next[i - 1]) {
        const struct edge *e = &f->graph->edges[i - 1];
        bool leads = leads_somewhere(f->network, e, has_byte);
        if (leads && e->kind == EDGE_NOTHING)
            raise(f, e->from, here);
        else if (leads && one_character(f, e))
            raise(f, e->from, here + 1);
    }
    for (uint32_t i = f->spans_into[state]; i; i = f->spans_next[i - 1])
        raise(f, f->graph->spans[i - 1].from, here + 1);
}

static void find_free(struct network *n, const struct graph *g, const struct backward *b,
                      uint32_t slice, const bool *has_byte)
{
    struct freeing f = {.network = n, .graph = g, .backward = b, .slice = slice};
    n->free[slice] = mem_array(n->n_states, sizeof *n->free[slice]);
    n->says[slice] = mem_array(n->n_states, sizeof *n->says[slice]);
    f.spans_into = mem_array(n->n_states, sizeof *f.spans_into);
    f.spans_next = mem_array(g->n_spans, sizeof *f.spans_next);
    for (uint32_t i = 0; i < g->n_spans; i++) {
        const struct slice_span *s = &g->spans[i];
        if (s->slice != slice || n->need[s->to] == NETWORK_NEVER)
            continue;
        f.spans_next[i] = f.spans_into[s->to];
        f.spans_into[s->to] = i + 1;
    }
    find_says(&f);
    for (uint32_t s = 0; s < n->n_states; s++)
        if (n->need[s] != NETWORK_NEVER)
            raise_before(&f, s, has_byte);
    while (f.todo.len)
        raise_before(&f, f.todo.items[--f.todo.len], has_byte);
    mem_free(f.todo.items);
    mem_free(f.spans_into);
    mem_free(f.spans_next);
}

static bool has_spans(const struct graph *g, uint32_t slice)
{
    for (size_t i = 0; i < g->n_spans; i++)
        if (g->spans[i].slice == slice)
            return true;
    return false;
}

static void find_all_free(struct network *n, const struct graph *g, const struct backward *b,
                          const bool *has_byte)
{
    for (uint32_t s = 0; s < n->n_states; s++)
        if (n->need[s] != NETWORK_NEVER && n->need[s] > n->need_most)
            n->need_most = n->need[s];
    for (uint32_t i = 0; i < SLICES; i++)
        if (has_spans(g, i))
            find_free(n, g, b, i, has_byte);
}

static enum err make(struct network *n, const struct graph *g, uint32_t depth_max,
                     const bool *has_byte, struct diag *d)
{
    struct backward b;
    backward_init(&b, g, has_byte);
    struct needs needs = {.graph = g, .backward = &b, .network = n, .depth_max = depth_max};
    find_needs(&needs);
    take_edges(n, g, has_byte);
    find_classes(n);
    find_tails(n);
    find_all_free(n, g, &b, has_byte);
    bool *silent = find_silent(g, &b);
    enum err e = check_beginnings(n, silent, d);
    mem_free(silent);
    backward_done(&b);
    if (e == ERR_OK && n->need[n->rules[n->root].start] == NETWORK_NEVER)
        e = diag_set(d, ERR_INVALID,
                     "nothing can be said within it: what it asks for contradicts itself, never "
                     "ends, or is nested more than %u deep",
                     depth_max);
    return e;
}

enum err network_new(const struct graph *g, uint32_t root, uint32_t depth_max,
                     const bool has_byte[static 256], struct network **ret, struct diag *d)
{
    if (g->full)
        return diag_set(
            d, ERR_LIMIT,
            "it is too large: at most %d states, %d edges and %d rules are allowed, and "
            "so much work (counts such as {0,1000}, large classes and long lists are "
            "what makes it grow)",
            GRAPH_STATES_MAX, GRAPH_EDGES_MAX, GRAPH_RULES_MAX);
    struct network *n = mem_new(struct network);
    n->n_states = g->n_states;
    n->n_rules = g->n_rules;
    n->root = root;
    n->rules = mem_array(g->n_rules, sizeof *n->rules);
    memcpy(n->rules, g->rules, g->n_rules * sizeof *n->rules);
    n->need = mem_array(n->n_states, sizeof *n->need);
    n->is_end = mem_array(n->n_states, sizeof *n->is_end);
    n->is_tail = mem_array(n->n_states, sizeof *n->is_tail);
    enum err e = make(n, g, depth_max, has_byte, d);
    if (e != ERR_OK) {
        network_free(n);
        return e;
    }
    *ret = n;
    return ERR_OK;
}

void network_free(struct network *n)
{
    if (!n)
        return;
    mem_free(n->first);
    mem_free(n->edges);
    mem_free(n->need);
    mem_free(n->is_end);
    mem_free(n->is_tail);
    mem_free(n->rules);
    for (uint32_t i = 0; i < SLICES; i++) {
        mem_free(n->free[i]);
        mem_free(n->says[i]);
    }
    mem_free(n);
}
