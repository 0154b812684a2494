#include "engine/grammar/automaton.h"

#include "base/mem.h"
#include "engine/grammar/network.h"

#include "base/banned.h"

#define UNKNOWN     UINT32_MAX
#define STACK_EMPTY 0u

// A state of the network, and where to go on when its rule has ended.
struct place {
    uint32_t state, stack;
};

// Where to go back to; the same chain of returns is the same number.
struct frame {
    uint32_t back, below;
    uint32_t depth;
};

// Where a class of bytes leads from a state, and how many places (and edges, four for one) are
// looked at to find it: that much work a walk that comes by here is charged, once, whether it is
// the first to find it or not.
struct way {
    uint32_t next; // UNKNOWN: not asked for yet
    uint32_t walk; // the number of the last that was charged
    uint16_t cost;
};

struct row {
    uint32_t walk;
    struct way ways[]; // of each class
};

struct known {
    uint32_t first, n; // in places
    struct row *row;   // NULL: never left yet
    uint64_t *mask;    // NULL: not asked for yet
    bool accepts;
};

// Open addressing from contents to a number.
struct table {
    uint32_t *slots; // number + 1
    size_t cap, len;
};

struct automaton {
    struct network *network;
    const struct token_trie *trie;
    struct known *known; // 0 is dead
    size_t n_known, known_cap;
    struct place *places;
    size_t n_places, places_cap;
    struct frame *frames; // 0 is the empty stack
    size_t n_frames, frames_cap;
    struct table known_table, frame_table;
    size_t bytes;
    uint32_t walks;            // through the trie
    uint64_t work, walk_bytes; // of this walk, as if nothing had been known before
    uint32_t epoch, start;
    // While one state is made from another:
    struct place *todo, *found;
    size_t n_todo, todo_cap, n_found;
    uint64_t *seen;       // open addressing over places,
    uint32_t *seen_stamp; // of which those with this state's stamp count
    size_t seen_cap, n_seen, n_edges;
    uint32_t stamp;
    bool accepts;
    uint32_t *path;    // of the walk through the trie
    struct row **rows; // of these states
};

// --- Numbers for contents

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

static void table_clear(struct table *t)
{
    if (t->slots)
        memset(t->slots, 0, t->cap * sizeof *t->slots);
    t->len = 0;
}

typedef uint64_t hash_of(const struct automaton *a, uint32_t number);

static void table_add(const struct automaton *a, struct table *t, hash_of *hash, uint32_t number);

static void table_grow(const struct automaton *a, struct table *t, hash_of *hash)
{
    struct table old = *t;
    t->cap = old.cap ? old.cap * 2 : 256;
    t->slots = mem_array(t->cap, sizeof *t->slots);
    t->len = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i])
            table_add(a, t, hash, old.slots[i] - 1);
    mem_free(old.slots);
}

static void table_add(const struct automaton *a, struct table *t, hash_of *hash, uint32_t number)
{
    if (t->len * 2 >= t->cap)
        table_grow(a, t, hash);
    size_t at = hash(a, number) & (t->cap - 1);
    while (t->slots[at])
        at = (at + 1) & (t->cap - 1);
    t->slots[at] = number + 1;
    t->len++;
}

static uint64_t hash_frame(const struct automaton *a, uint32_t number)
{
    return mix(mix(1, a->frames[number].back), a->frames[number].below);
}

static uint64_t hash_places(const struct place *p, size_t n, bool accepts)
{
    uint64_t h = accepts;
    for (size_t i = 0; i < n; i++)
        h = mix(h, (uint64_t)p[i].state << 32 | p[i].stack);
    return h;
}

static uint64_t hash_known(const struct automaton *a, uint32_t number)
{
    const struct known *k = &a->known[number];
    return hash_places(a->places + k->first, k->n, k->accepts);
}

// --- Frames

static uint32_t add_frame(struct automaton *a, uint32_t back, uint32_t below, uint32_t depth)
{
    if (a->n_frames == a->frames_cap) {
        a->frames_cap = a->frames_cap * 2 + 64;
        a->frames = mem_resize(a->frames, a->frames_cap, sizeof *a->frames);
    }
    a->frames[a->n_frames] = (struct frame){back, below, depth};
    a->bytes += 2 * sizeof(struct frame);
    return (uint32_t)a->n_frames++;
}

static uint32_t frame_on(struct automaton *a, uint32_t back, uint32_t below)
{
    struct table *t = &a->frame_table;
    uint64_t h = mix(mix(1, back), below);
    for (size_t at = h & (t->cap - 1); t->cap && t->slots[at]; at = (at + 1) & (t->cap - 1)) {
        const struct frame *f = &a->frames[t->slots[at] - 1];
        if (f->back == back && f->below == below)
            return t->slots[at] - 1;
    }
    uint32_t number = add_frame(a, back, below, a->frames[below].depth + 1);
    table_add(a, t, hash_frame, number);
    return number;
}

// --- From one state to the next

static bool may_stand(const struct automaton *a, uint32_t state, uint32_t stack)
{
    return a->network->need[state] + a->frames[stack].depth <= AUTOMATON_DEPTH_MAX;
}

// False: seen before.
static bool see(struct automaton *a, struct place p)
{
    uint64_t key = (uint64_t)p.state << 32 | p.stack;
    size_t at = mix(7, key) & (a->seen_cap - 1);
    for (; a->seen_stamp[at] == a->stamp; at = (at + 1) & (a->seen_cap - 1))
        if (a->seen[at] == key)
            return false;
    if (a->n_seen * 2 >= a->seen_cap) // as many as will be looked at: the rest is let go
        return false;
    a->seen[at] = key;
    a->seen_stamp[at] = a->stamp;
    a->n_seen++;
    return true;
}

static void put(struct automaton *a, uint32_t state, uint32_t stack)
{
    if (!may_stand(a, state, stack))
        return;
    if (a->n_todo == a->todo_cap) {
        a->todo_cap = a->todo_cap * 2 + 64;
        a->todo = mem_resize(a->todo, a->todo_cap, sizeof *a->todo);
    }
    a->todo[a->n_todo++] = (struct place){state, stack};
}

static void enter(struct automaton *a, const struct edge *e, uint32_t stack)
{
    const struct network *n = a->network;
    if (!n->is_tail[e->to]) {
        if (!may_stand(a, e->to, stack) || a->frames[stack].depth >= AUTOMATON_DEPTH_MAX)
            return;
        stack = frame_on(a, e->to, stack);
    }
    put(a, n->rules[e->rule].start, stack);
}

static void leave(struct automaton *a, uint32_t stack)
{
    if (stack == STACK_EMPTY)
        a->accepts = true;
    else
        put(a, a->frames[stack].back, a->frames[stack].below);
}

// What can be reached from a place without a byte, in the order of the edges.
static void expand(struct automaton *a, uint32_t state, uint32_t stack)
{
    const struct network *n = a->network;
    put(a, state, stack);
    while (a->n_todo) {
        struct place p = a->todo[--a->n_todo];
        if (!see(a, p))
            continue;
        bool speaks = false;
        a->n_edges += n->first[p.state + 1] - n->first[p.state];
        for (uint32_t i = n->first[p.state + 1]; i-- > n->first[p.state];) {
            const struct edge *e = &n->edges[i];
            if (e->kind == EDGE_BYTES)
                speaks = true;
            else if (e->kind == EDGE_NOTHING)
                put(a, e->to, p.stack);
            else
                enter(a, e, p.stack);
        }
        if (n->is_end[p.state])
            leave(a, p.stack);
        if (speaks && a->n_found < AUTOMATON_PLACES_MAX)
            a->found[a->n_found++] = p;
    }
}

static void begin_state(struct automaton *a)
{
    a->stamp++;
    a->n_seen = a->n_todo = a->n_found = a->n_edges = 0;
    a->accepts = false;
}

static void keep_places(struct automaton *a, struct known *k)
{
    if (a->n_places + a->n_found > a->places_cap) {
        a->places_cap = (a->places_cap + a->n_found) * 2;
        a->places = mem_resize(a->places, a->places_cap, sizeof *a->places);
    }
    k->first = (uint32_t)a->n_places;
    k->n = (uint32_t)a->n_found;
    k->accepts = a->accepts;
    if (a->n_found)
        memcpy(a->places + a->n_places, a->found, a->n_found * sizeof *a->places);
    a->n_places += a->n_found;
    a->bytes += sizeof *k + a->n_found * sizeof *a->places;
}

// The number of the state that `found` and `accepts` are.
static uint32_t finish_state(struct automaton *a)
{
    struct table *t = &a->known_table;
    if (!a->n_found && !a->accepts)
        return AUTOMATON_DEAD;
    uint64_t h = hash_places(a->found, a->n_found, a->accepts);
    for (size_t at = h & (t->cap - 1); t->cap && t->slots[at]; at = (at + 1) & (t->cap - 1)) {
        const struct known *k = &a->known[t->slots[at] - 1];
        if (k->n == a->n_found && k->accepts == a->accepts &&
            (!k->n || !memcmp(a->places + k->first, a->found, k->n * sizeof *a->found)))
            return t->slots[at] - 1;
    }
    if (a->n_known == a->known_cap) {
        a->known_cap = a->known_cap * 2 + 64;
        a->known = mem_resize(a->known, a->known_cap, sizeof *a->known);
    }
    struct known *k = &a->known[a->n_known];
    *k = (struct known){0};
    keep_places(a, k);
    table_add(a, t, hash_known, (uint32_t)a->n_known);
    return (uint32_t)a->n_known++;
}

// --- Forgetting

static void forget(struct automaton *a)
{
    for (size_t i = 0; i < a->n_known; i++) {
        mem_free(a->known[i].row);
        mem_free(a->known[i].mask);
    }
    table_clear(&a->known_table);
    table_clear(&a->frame_table);
    a->n_known = 1;
    a->n_places = 0;
    a->n_frames = 1;
    a->bytes = 0;
    a->start = UNKNOWN;
    a->epoch++;
}

static uint32_t again(struct automaton *a, const struct frame *frames, uint32_t stack)
{
    uint32_t chain[AUTOMATON_DEPTH_MAX + 1], n = 0, made = STACK_EMPTY;
    for (; stack != STACK_EMPTY; stack = frames[stack].below)
        chain[n++] = stack;
    while (n-- > 0)
        made = frame_on(a, frames[chain[n]].back, made);
    return made;
}

// Forgets all but the states at `path`, and gives these their new numbers.
static void forget_but(struct automaton *a, uint32_t *path, size_t n)
{
    struct frame *frames = mem_array(a->n_frames, sizeof *frames);
    memcpy(frames, a->frames, a->n_frames * sizeof *frames);
    struct known *old = mem_array(n + 1, sizeof *old);
    struct place *places = mem_array(a->n_places + 1, sizeof *places);
    if (a->n_places)
        memcpy(places, a->places, a->n_places * sizeof *places);
    for (size_t i = 0; i < n; i++)
        old[i] = a->known[path[i]];
    forget(a);
    for (size_t i = 0; i < n; i++) {
        begin_state(a);
        a->accepts = old[i].accepts;
        for (uint32_t k = 0; k < old[i].n; k++) {
            struct place p = places[old[i].first + k];
            a->found[a->n_found++] = (struct place){p.state, again(a, frames, p.stack)};
        }
        path[i] = finish_state(a);
    }
    mem_free(old);
    mem_free(places);
    mem_free(frames);
}

// --- Steps

static size_t row_bytes(const struct automaton *a)
{
    return sizeof(struct row) + a->network->n_classes * sizeof(struct way);
}

static struct row *row_of(struct automaton *a, uint32_t state)
{
    struct known *k = &a->known[state];
    if (!k->row) {
        k->row = mem_alloc(row_bytes(a));
        k->row->walk = 0; // of none
        for (uint32_t i = 0; i < a->network->n_classes; i++)
            k->row->ways[i] = (struct way){.next = UNKNOWN};
        a->bytes += row_bytes(a);
    }
    return k->row;
}

// Bytes that lead to the same place as one of them.
struct alike {
    uint8_t low, high;
};

static bool takes(const struct edge *e, uint8_t byte, struct alike *alike)
{
    if (byte < e->low) {
        alike->high = alike->high < e->low ? alike->high : (uint8_t)(e->low - 1);
        return false;
    }
    if (byte > e->high) {
        alike->low = alike->low > e->high ? alike->low : (uint8_t)(e->high + 1);
        return false;
    }
    alike->low = alike->low > e->low ? alike->low : e->low;
    alike->high = alike->high < e->high ? alike->high : e->high;
    return true;
}

// What is found for one class holds for all that no edge of these places tells from it.
static uint32_t find_step(struct automaton *a, uint32_t state, uint8_t class)
{
    const struct network *n = a->network;
    uint8_t byte = n->some[class];
    struct alike alike = {0, UINT8_MAX};
    const struct known *k = &a->known[state];
    begin_state(a);
    for (uint32_t i = 0; i < k->n; i++) {
        struct place p = a->places[k->first + i];
        a->n_edges += n->first[p.state + 1] - n->first[p.state];
        for (uint32_t e = n->first[p.state]; e < n->first[p.state + 1]; e++)
            if (n->edges[e].kind == EDGE_BYTES && takes(&n->edges[e], byte, &alike))
                expand(a, n->edges[e].to, p.stack);
    }
    size_t cost = min_size(k->n + a->n_seen + a->n_edges / 4, UINT16_MAX);
    uint32_t to = finish_state(a);
    struct row *row = row_of(a, state);
    for (uint32_t c = n->class_of[alike.low]; c <= n->class_of[alike.high]; c++) {
        row->ways[c].next = to;
        row->ways[c].cost = (uint16_t)cost;
    }
    return to;
}

static inline uint32_t step(struct automaton *a, uint32_t state, uint8_t class)
{
    const struct row *row = a->known[state].row;
    if (row && row->ways[class].next != UNKNOWN)
        return row->ways[class].next;
    return find_step(a, state, class);
}

uint32_t automaton_step(struct automaton *a, uint32_t state, uint8_t byte)
{
    if (state == AUTOMATON_DEAD)
        return AUTOMATON_DEAD;
    if (a->bytes > AUTOMATON_BYTES_MAX)
        forget_but(a, &state, 1);
    return step(a, state, a->network->class_of[byte]);
}

uint32_t automaton_feed(struct automaton *a, uint32_t state, str bytes)
{
    for (size_t i = 0; i < bytes.len && state != AUTOMATON_DEAD; i++)
        state = automaton_step(a, state, (uint8_t)bytes.ptr[i]);
    return state;
}

uint32_t automaton_start(struct automaton *a)
{
    if (a->start == UNKNOWN) {
        begin_state(a);
        expand(a, a->network->rules[a->network->root].start, STACK_EMPTY);
        a->start = finish_state(a);
    }
    return a->start;
}

bool automaton_accepts(const struct automaton *a, uint32_t state)
{
    return a->known[state].accepts;
}

bool automaton_goes_on(struct automaton *a, uint32_t state)
{
    return a->known[state].n > 0; // a place is kept for the bytes that go on from it
}

uint32_t automaton_epoch(const struct automaton *a)
{
    return a->epoch;
}

size_t automaton_bytes(const struct automaton *a)
{
    return a->bytes;
}

// --- Tokens

static void allow(uint64_t *mask, int32_t token)
{
    mask[(uint32_t)token / 64] |= (uint64_t)1 << ((uint32_t)token % 64);
}

// Not by what is kept, which depends on what was asked before: forgetting makes this walk do (and
// be charged for) some work again. The second bound is for memory's sake alone.
static bool must_forget(const struct automaton *a)
{
    return a->walk_bytes > AUTOMATON_BYTES_MAX / 2 || a->bytes > 3 * (size_t)AUTOMATON_BYTES_MAX;
}

static inline void walk_to(struct automaton *a, uint32_t depth, uint32_t state)
{
    a->path[depth] = state;
    a->rows[depth] = a->known[state].row;
}

// The first of this walk to come by here.
static uint32_t charged_step(struct automaton *a, uint32_t depth, uint8_t class)
{
    uint32_t state = a->path[depth], to = step(a, state, class);
    struct row *row = a->rows[depth] = a->known[state].row;
    struct way *way = &row->ways[class];
    if (row->walk != a->walks)
        a->walk_bytes += row_bytes(a);
    row->walk = way->walk = a->walks;
    a->work += way->cost;
    a->walk_bytes += way->cost * sizeof(struct place);
    if (to == AUTOMATON_DEAD || !must_forget(a))
        return to;
    a->path[depth + 1] = to;
    forget_but(a, a->path, (size_t)depth + 2);
    a->walk_bytes = 0;
    for (uint32_t d = 0; d <= depth; d++)
        walk_to(a, d, a->path[d]);
    return a->path[depth + 1];
}

// Each text of so many characters as a token of the slice has goes on from the place. No rule is
// ever too deep on the way.
static bool is_free(const struct automaton *a, uint32_t slice, struct place p)
{
    const struct network *n = a->network;
    const struct frame *f = &a->frames[p.stack];
    if (f->depth + n->need_most >= AUTOMATON_DEPTH_MAX)
        return false;
    if (n->free[slice][p.state] == SLICE_CHARACTERS_MAX)
        return true;
    return n->says[slice][p.state] && p.stack != STACK_EMPTY &&
           n->free[slice][f->back] + 1 >= SLICE_CHARACTERS_MAX;
}

// All of which is allowed; NULL: none.
static const struct token_slice *free_slice(const struct automaton *a, uint32_t state)
{
    const struct known *k = &a->known[state];
    for (uint32_t slice = 0; slice < SLICES; slice++)
        for (uint32_t i = 0; a->network->free[slice] && i < k->n; i++)
            if (is_free(a, slice, a->places[k->first + i]))
                return &a->trie->slices[slice];
    return NULL;
}

// False: it is too much work. Nearly all nodes are met on ways that are known and charged.
static bool walk(struct automaton *a, const struct trie_node *nodes, size_t len,
                 const int32_t *also, uint64_t *mask)
{
    const uint8_t *class_of = a->network->class_of;
    const uint32_t number = ++a->walks;
    a->work = a->walk_bytes = 0;
    for (size_t i = 0; i < len && a->work <= AUTOMATON_WORK_MAX;) {
        const struct trie_node *node = &nodes[i];
        const uint8_t class = class_of[node->byte];
        const struct row *row = a->rows[node->depth];
        const struct way *way = row ? &row->ways[class] : NULL;
        uint32_t to = way && way->walk == number ? way->next : charged_step(a, node->depth, class);
        if (to == AUTOMATON_DEAD) {
            i = node->past;
            continue;
        }
        if (node->past > i + 1)
            walk_to(a, node->depth + 1u, to);
        if (node->token >= 0)
            allow(mask, node->token);
        for (int32_t token = node->token; node->shared && token >= 0; token = also[token])
            allow(mask, token);
        i++;
    }
    return a->work <= AUTOMATON_WORK_MAX;
}

void automaton_mask_of(struct automaton *a, const struct token_trie *texts, uint32_t *state,
                       uint64_t *ret_mask)
{
    size_t bytes = token_mask_words(texts->n_tokens) * sizeof *ret_mask;
    ASSERT(texts->depth_max <= a->trie->depth_max);
    if (a->bytes > AUTOMATON_BYTES_MAX)
        forget_but(a, state, 1);
    walk_to(a, 0, *state);
    const struct token_slice *s = texts == a->trie ? free_slice(a, *state) : NULL;
    if (s)
        memcpy(ret_mask, s->mask, bytes);
    else
        memset(ret_mask, 0, bytes);
    if (!walk(a, s ? s->nodes : texts->nodes, s ? s->len : texts->len, texts->also, ret_mask))
        memset(ret_mask, 0, bytes);
    *state = a->path[0];
}

const uint64_t *automaton_mask(struct automaton *a, uint32_t *state)
{
    if (a->known[*state].mask)
        return a->known[*state].mask;
    size_t words = token_mask_words(a->trie->n_tokens);
    uint64_t *mask = mem_array(words, sizeof *mask);
    automaton_mask_of(a, a->trie, state, mask);
    a->known[*state].mask = mask;
    a->bytes += words * sizeof *mask;
    return mask;
}

// --- Life

enum err automaton_new(const struct graph *g, uint32_t root, const struct token_trie *trie,
                       struct automaton **ret, struct diag *d)
{
    enum { SEEN = 1 << 14 };
    struct network *network;
    ERR_TRY(network_new(g, root, AUTOMATON_DEPTH_MAX, trie->has_byte, &network, d));
    struct automaton *a = mem_new(struct automaton);
    a->network = network;
    a->trie = trie;
    a->known_cap = a->frames_cap = 64;
    a->known = mem_array(a->known_cap, sizeof *a->known);
    a->frames = mem_array(a->frames_cap, sizeof *a->frames);
    a->n_known = a->n_frames = 1;
    a->start = UNKNOWN;
    a->found = mem_array(AUTOMATON_PLACES_MAX, sizeof *a->found);
    a->seen_cap = SEEN;
    a->seen = mem_array(a->seen_cap, sizeof *a->seen);
    a->seen_stamp = mem_array(a->seen_cap, sizeof *a->seen_stamp);
    a->path = mem_array((size_t)trie->depth_max + 2, sizeof *a->path);
    a->rows = mem_array((size_t)trie->depth_max + 2, sizeof *a->rows);
    *ret = a;
    return ERR_OK;
}

void automaton_free(struct automaton *a)
{
    if (!a)
        return;
    forget(a);
    network_free(a->network);
    mem_free(a->known);
    mem_free(a->places);
    mem_free(a->frames);
    mem_free(a->known_table.slots);
    mem_free(a->frame_table.slots);
    mem_free(a->todo);
    mem_free(a->found);
    mem_free(a->seen);
    mem_free(a->seen_stamp);
    mem_free(a->path);
    mem_free(a->rows);
    mem_free(a);
}
