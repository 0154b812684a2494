// A simulation of the automaton with the leftmost start of each state. A byte costs at most one
// visit of each node; a match that is found looks again at the bytes behind it, at most
// PATTERN_MATCH_BYTES_MAX of them.
#include "guard/scan.h"

#include "base/mem.h"
#include "guard/pattern_internal.h"

#include "base/banned.h"

enum { END = -1 };

void scan_scratch_init(struct scan_scratch *x, const struct patterns *p)
{
    scan_scratch_init_nodes(x, p->len);
}

void scan_scratch_init_nodes(struct scan_scratch *x, uint32_t nodes)
{
    size_t len = (size_t)nodes + 1;
    *x = (struct scan_scratch){0};
    x->next = mem_array(len, sizeof *x->next);
    x->visited = mem_array(len, sizeof *x->visited);
    x->listed = mem_array(len, sizeof *x->listed);
    x->stack = mem_array(len, sizeof *x->stack);
}

void scan_scratch_done(struct scan_scratch *x)
{
    mem_free(x->next);
    mem_free(x->visited);
    mem_free(x->listed);
    mem_free(x->stack);
    *x = (struct scan_scratch){0};
}

void scan_init(struct scan *s, const struct patterns *p, const struct scan_handler *h, void *ctx)
{
    *s = (struct scan){.patterns = p, .handler = h, .ctx = ctx, .last = END};
    buf_init(&s->held, SIZE_MAX);
}

void scan_done(struct scan *s)
{
    mem_free(s->now);
    buf_done(&s->held);
    *s = (struct scan){0};
}

static bool is_word(int byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

// --- One step

static void accept(struct scan *s, uint32_t entry, uint64_t start)
{
    bool better = !s->found || start < s->found_start ||
                  (start == s->found_start &&
                   (s->at > s->found_end || (s->at == s->found_end && entry < s->found_entry)));
    if (!better || s->at == start)
        return;
    s->found = true;
    s->found_start = start;
    s->found_end = s->at;
    s->found_entry = entry;
}

static void visit(struct scan_scratch *x, uint32_t node, uint32_t *stack_len)
{
    if (x->visited[node] == x->step)
        return;
    x->visited[node] = x->step;
    x->stack[(*stack_len)++] = node;
}

static void consume(const struct scan *s, struct scan_scratch *x, const struct pattern_node *n,
                    uint64_t start, int byte)
{
    if (byte == END || !pattern_set_has(n->set, (uint8_t)byte) || x->listed[n->a] == x->step ||
        s->at + 1 - start > PATTERN_MATCH_BYTES_MAX)
        return;
    x->listed[n->a] = x->step;
    x->next[x->next_len++] = (struct scan_thread){n->a, start};
}

// All that the thread can reach without a byte, and then by this one.
static void follow(struct scan *s, struct scan_scratch *x, struct scan_thread t, int byte)
{
    uint32_t len = 0;
    bool edge = is_word(s->last) != is_word(byte);
    visit(x, t.node, &len);
    while (len) {
        const struct pattern_node *n = &s->patterns->nodes[x->stack[--len]];
        switch (n->kind) {
        case PATTERN_BYTE:
            consume(s, x, n, t.start, byte);
            break;
        case PATTERN_FORK:
            visit(x, n->b, &len);
            visit(x, n->a, &len);
            break;
        case PATTERN_EDGE:
        case PATTERN_INNER:
            if (edge == (n->kind == PATTERN_EDGE))
                visit(x, n->a, &len);
            break;
        case PATTERN_ACCEPT:
            accept(s, n->a, t.start);
            break;
        }
    }
}

static void begin_here(struct scan *s, struct scan_scratch *x, int byte)
{
    const struct patterns *p = s->patterns;
    for (uint32_t i = 0; i < p->entries_len && byte != END; i++)
        if (pattern_set_has(p->entries[i].first, (uint8_t)byte))
            follow(s, x, (struct scan_thread){p->entries[i].node, s->at}, byte);
}

static void keep_threads(struct scan *s, const struct scan_scratch *x)
{
    if (x->next_len > s->now_cap) {
        s->now_cap = 2 * x->next_len;
        s->now = mem_resize(s->now, s->now_cap, sizeof *s->now);
    }
    if (x->next_len)
        memcpy(s->now, x->next, x->next_len * sizeof *s->now);
    s->now_len = x->next_len;
}

// Threads are in the order of their starts, so the first to reach a node is the leftmost.
static void step(struct scan *s, struct scan_scratch *x, int byte)
{
    x->step++;
    x->next_len = 0;
    for (uint32_t i = 0; i < s->now_len; i++)
        if (!s->found || s->now[i].start <= s->found_start)
            follow(s, x, s->now[i], byte);
    if (!s->found)
        begin_here(s, x, byte);
    while (s->found && x->next_len && x->next[x->next_len - 1].start > s->found_start)
        x->next_len--;
    keep_threads(s, x);
    s->at++;
    s->last = byte;
}

// --- Telling

static void tell_until(struct scan *s, uint64_t to)
{
    if (to <= s->from)
        return;
    size_t len = (size_t)(to - s->from);
    s->handler->text(s->ctx, str_sub(buf_str(&s->held), 0, len));
    buf_consume(&s->held, len);
    s->from = to;
}

// The match is certain: what lies behind it is looked at anew.
static void tell_match(struct scan *s)
{
    size_t len = (size_t)(s->found_end - s->found_start);
    tell_until(s, s->found_start);
    s->last = (unsigned char)buf_ptr(&s->held)[len - 1];
    s->handler->match(s->ctx, s->patterns->entries[s->found_entry].id,
                      str_sub(buf_str(&s->held), 0, len));
    buf_consume(&s->held, len);
    s->from = s->at = s->found_end;
    s->found = false;
    s->now_len = 0;
}

static void look(struct scan *s, struct scan_scratch *x)
{
    while (s->at < s->from + s->held.len) {
        step(s, x, (unsigned char)buf_ptr(&s->held)[s->at - s->from]);
        if (s->found && s->now_len == 0)
            tell_match(s);
    }
}

// From where on a match may still come: what was found waits only while a thread that began no
// later lives.
static uint64_t earliest(const struct scan *s)
{
    return s->now_len ? s->now[0].start : s->at;
}

void scan_feed(struct scan *s, struct scan_scratch *x, str bytes)
{
    (void)buf_append_str(&s->held, bytes);
    look(s, x);
    tell_until(s, earliest(s));
}

void scan_end(struct scan *s, struct scan_scratch *x)
{
    while (s->held.len) {
        look(s, x);
        if (s->at == s->from + s->held.len)
            step(s, x, END);
        if (!s->found)
            break;
        tell_match(s);
    }
    tell_until(s, s->from + s->held.len);
    s->from = s->at = 0;
    s->now_len = 0;
    s->last = END;
}

size_t scan_held_bytes(const struct scan *s)
{
    return s->held.len;
}
