#include "base/map.h"
#include "base/mem.h"
#include "engine/grammar/machine_impl.h"

#include "base/banned.h"

// --- Making

uint32_t machine_state(struct machine *m)
{
    if (m->n_states == MACHINE_STATES_MAX) {
        m->full = true;
        return 0;
    }
    return m->n_states++;
}

static void add_move(struct machine *m, struct move move)
{
    if (m->full || m->n_moves == (size_t)4 * MACHINE_STATES_MAX) {
        m->full = true;
        return;
    }
    if (m->n_moves == m->moves_cap) {
        m->moves_cap = m->moves_cap * 2 + 32;
        m->moves = mem_resize(m->moves, m->moves_cap, sizeof *m->moves);
    }
    m->moves[m->n_moves++] = move;
}

void machine_move(struct machine *m, enum move_kind kind, uint32_t from, uint32_t to)
{
    add_move(m, (struct move){.from = from, .to = to, .kind = (uint8_t)kind});
}

static bool same_set(const struct charset *a, const struct charset *b)
{
    return a->len == b->len &&
           (!a->len || !memcmp(a->ranges, b->ranges, a->len * sizeof *a->ranges));
}

static uint32_t keep_set(struct machine *m, struct charset *set)
{
    enum { RECENT = 32 }; // copies of one atom come close together
    for (size_t i = m->n_sets > RECENT ? m->n_sets - RECENT : 0; i < m->n_sets; i++)
        if (same_set(&m->sets[i], set))
            return (uint32_t)i;
    if (m->n_sets == m->sets_cap) {
        m->sets_cap = m->sets_cap * 2 + 8;
        m->sets = mem_resize(m->sets, m->sets_cap, sizeof *m->sets);
    }
    m->sets[m->n_sets] = *set;
    *set = (struct charset){0};
    return (uint32_t)m->n_sets++;
}

void machine_move_set(struct machine *m, uint32_t from, uint32_t to, struct charset *set)
{
    charset_settle(set);
    uint32_t number = keep_set(m, set);
    add_move(m, (struct move){.from = from, .to = to, .set = number, .kind = MOVE_SET});
}

void machine_finish(struct machine *m)
{
    struct move *sorted = mem_array(m->n_moves + 1, sizeof *sorted);
    m->first = mem_array((size_t)m->n_states + 2, sizeof *m->first);
    for (size_t i = 0; i < m->n_moves; i++)
        m->first[m->moves[i].from + 2]++;
    for (uint32_t s = 0; s < m->n_states; s++)
        m->first[s + 2] += m->first[s + 1];
    for (size_t i = 0; i < m->n_moves; i++) // first[s + 1] runs from the beginning of s to its end
        sorted[m->first[m->moves[i].from + 1]++] = m->moves[i];
    mem_free(m->moves);
    m->moves = sorted;
}

void machine_free(struct machine *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_sets; i++)
        charset_done(&m->sets[i]);
    mem_free(m->sets);
    mem_free(m->moves);
    mem_free(m->first);
    mem_free(m);
}

// --- Laying: all machines step together; where they stand is one state of the graph

struct stand {
    uint32_t state[MACHINES_MAX];
    uint32_t count;
    bool started, ended; // behind the first character; behind a '$'
};

struct laying {
    const struct machine *const *machines;
    size_t n;
    struct machine_bounds bounds;
    bool json;
    struct graph *graph;
    struct map states; // of struct stand: the graph's state + 1
    struct map sets;   // of ranges: the rule of such a character + 1
    struct stand *todo;
    size_t n_todo, todo_cap;
};

static uint32_t state_of(struct laying *l, const struct stand *s)
{
    str key = str_slice((const char *)s, sizeof *s);
    uintptr_t known = (uintptr_t)map_get(&l->states, key);
    if (known)
        return (uint32_t)(known - 1);
    uint32_t state = graph_state(l->graph);
    map_put(&l->states, key, (void *)(uintptr_t)((uintptr_t)state + 1));
    if (l->n_todo == l->todo_cap) {
        l->todo_cap = l->todo_cap * 2 + 32;
        l->todo = mem_resize(l->todo, l->todo_cap, sizeof *l->todo);
    }
    l->todo[l->n_todo++] = *s;
    return state;
}

static void lay_set(struct laying *l, const struct charset *set, uint32_t from, uint32_t to)
{
    struct graph *g = l->graph;
    bool small =
        set->len <= 4 && set->ranges[set->len - 1].high < 0x80 && set->ranges[0].low >= 0x20;
    if (small) {
        (l->json ? charset_lay_json : charset_lay)(set, g, from, to);
        return;
    }
    str key = str_slice((const char *)set->ranges, set->len * sizeof *set->ranges);
    uintptr_t known = (uintptr_t)map_get(&l->sets, key);
    if (!known) {
        uint32_t rule = graph_rule(g);
        if (graph_is_full(g))
            return;
        (l->json ? charset_lay_json : charset_lay)(set, g, g->rules[rule].start,
                                                   g->rules[rule].end);
        known = (uintptr_t)rule + 1;
        map_put(&l->sets, key, (void *)known);
    }
    graph_call(g, from, to, (uint32_t)(known - 1));
}

// The machines from `i` on choose each a move over a character; `shared` is what those before
// allow.
static void step_together(struct laying *l, const struct stand *at, struct stand *to, size_t i,
                          const struct charset *shared, uint32_t from)
{
    if (i == l->n) {
        ASSERT(shared); // there is one machine at least
        lay_set(l, shared, from, state_of(l, to));
        return;
    }
    const struct machine *m = l->machines[i];
    for (uint32_t k = m->first[at->state[i]]; k < m->first[at->state[i] + 1]; k++) {
        struct charset met;
        if (m->moves[k].kind != MOVE_SET || graph_is_full(l->graph))
            continue;
        const struct charset *own = &m->sets[m->moves[k].set];
        graph_work(l->graph, own->len + (shared ? shared->len : own->len));
        if (shared)
            charset_meet(&met, shared, own);
        else
            charset_copy(&met, own);
        to->state[i] = m->moves[k].to;
        if (met.len)
            step_together(l, at, to, i + 1, &met, from);
        charset_done(&met);
    }
}

static void step_over_character(struct laying *l, const struct stand *at, uint32_t from)
{
    struct stand to = *at;
    to.started = true;
    if (at->ended || at->count == l->bounds.most)
        return;
    // Without an upper bound nothing is counted beyond the lower one.
    if (l->bounds.most != UINT32_MAX || at->count < l->bounds.least)
        to.count++;
    step_together(l, at, &to, 0, NULL, from);
}

static void step_silently(struct laying *l, const struct stand *at, size_t i, uint32_t from)
{
    const struct machine *m = l->machines[i];
    for (uint32_t k = m->first[at->state[i]]; k < m->first[at->state[i] + 1]; k++) {
        const struct move *move = &m->moves[k];
        struct stand to = *at;
        if (move->kind == MOVE_SET || (move->kind == MOVE_BEGIN && at->started))
            continue;
        to.ended = at->ended || move->kind == MOVE_END;
        to.state[i] = move->to;
        graph_nothing(l->graph, from, state_of(l, &to));
    }
}

static bool all_at_end(const struct laying *l, const struct stand *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (s->state[i] != l->machines[i]->end)
            return false;
    return s->count >= l->bounds.least;
}

void machine_lay(const struct machine *const *machines, size_t n, struct machine_bounds bounds,
                 bool json, struct graph *g, uint32_t from, uint32_t to)
{
    struct laying l = {.machines = machines, .n = n, .bounds = bounds, .json = json, .graph = g};
    struct stand start;
    memset(&start, 0, sizeof start); // it is a key: also between its members
    for (size_t i = 0; i < n; i++)
        start.state[i] = machines[i]->start;
    map_init(&l.states);
    map_init(&l.sets);
    graph_nothing(g, from, state_of(&l, &start));
    while (l.n_todo && !graph_is_full(g)) {
        struct stand at = l.todo[--l.n_todo];
        uint32_t state = state_of(&l, &at);
        step_over_character(&l, &at, state);
        for (size_t i = 0; i < n; i++)
            step_silently(&l, &at, i, state);
        if (all_at_end(&l, &at))
            graph_nothing(g, state, to);
    }
    map_done(&l.states);
    map_done(&l.sets);
    mem_free(l.todo);
}
