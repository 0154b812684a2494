#include "gateway/context.h"

#include "base/banned.h"

const char *const context_policy_names[] = {"refuse", "truncate_oldest", "truncate_middle", NULL};

// Messages that go or stay together.
struct unit {
    size_t from, len;
};

struct plan {
    const struct exchange_message *messages;
    size_t len;
    struct unit *units; // in the order in which they go
    size_t units_len;
    bool *gone; // by message
};

static bool is_system(const struct exchange_message *m)
{
    return m->role == EXCHANGE_SYSTEM || m->role == EXCHANGE_DEVELOPER;
}

// --- Units

// Where the last turn of the user's begins; `len`: there is none.
static size_t last_turn(const struct plan *p)
{
    for (size_t i = p->len; i > 0; i--)
        if (p->messages[i - 1].role == EXCHANGE_USER)
            return i - 1;
    return p->len;
}

static bool begins_turn(const struct plan *p, size_t i)
{
    return p->messages[i].role == EXCHANGE_USER;
}

// Within a turn: what the assistant says, with the results of what it calls.
static bool begins_step(const struct plan *p, size_t i)
{
    return p->messages[i].role != EXCHANGE_TOOL;
}

// Units of [from, to), in their order; system messages are in none.
static size_t find_units(const struct plan *p, size_t from, size_t to,
                         bool (*begins)(const struct plan *p, size_t i), struct unit *out)
{
    size_t len = 0;
    bool open = false;
    for (size_t i = from; i < to; i++) {
        if (is_system(&p->messages[i])) {
            open = false;
            continue;
        }
        if (!open || begins(p, i))
            out[len++] = (struct unit){i, 0};
        out[len - 1].len++;
        open = true;
    }
    return len;
}

static void swap(struct unit *a, struct unit *b)
{
    struct unit kept = *a;
    *a = *b;
    *b = kept;
}

// From the middle outwards, the first one last: c, c+1, c-1, c+2, …
static void from_the_middle(const struct unit *in, size_t len, struct unit *out)
{
    size_t low = len / 2, high = low, n = 0;
    if (len)
        out[n++] = in[low];
    while (n < len) {
        if (high + 1 < len)
            out[n++] = in[++high];
        if (n < len && low > 0)
            out[n++] = in[--low];
    }
    if (len > 1 &&
        out[len - 1].from != in[0].from) // an even number leaves the last one for the end
        for (size_t i = 0; i + 1 < len; i++)
            if (out[i].from == in[0].from)
                swap(&out[i], &out[len - 1]);
}

// Earlier turns first, then earlier steps of the last one.
static bool plan_units(struct plan *p, enum context_policy policy, struct arena *arena)
{
    struct unit *found = arena_zalloc(arena, p->len + 1, sizeof *found);
    p->units = arena_zalloc(arena, p->len + 1, sizeof *p->units);
    p->gone = arena_zalloc(arena, p->len + 1, sizeof *p->gone);
    if (!found || !p->units || !p->gone)
        return false;
    size_t last = last_turn(p), turns = find_units(p, 0, last, begins_turn, found);
    turns -= last == p->len && turns > 0; // nobody asks: the newest is what counts
    size_t after = last < p->len ? last + 1 : p->len;
    size_t steps = find_units(p, after, p->len, begins_step, found + turns);
    steps -= steps > 0; // the newest one is what the answer goes on from
    p->units_len = turns + steps;
    if (policy == CONTEXT_TRUNCATE_MIDDLE) {
        from_the_middle(found, turns, p->units);
        from_the_middle(found + turns, steps, p->units + turns);
        return true;
    }
    memcpy(p->units, found, p->units_len * sizeof *found);
    return true;
}

// --- Cutting

static size_t keep(struct plan *p, size_t gone, struct exchange_message *out)
{
    size_t len = 0;
    memset(p->gone, 0, p->len * sizeof *p->gone);
    for (size_t i = 0; i < gone; i++)
        for (size_t k = 0; k < p->units[i].len; k++)
            p->gone[p->units[i].from + k] = true;
    for (size_t i = 0; i < p->len; i++)
        if (!p->gone[i])
            out[len++] = p->messages[i];
    return len;
}

// The fewest units that must go; a count of what is left is never more without one of them.
static enum context_result search(struct plan *p, uint64_t room, context_count count, void *ctx,
                                  struct context_cut *cut)
{
    size_t low = 1, high = p->units_len;
    uint64_t tokens;
    cut->len = keep(p, high, cut->messages);
    if (!count(ctx, cut->messages, cut->len, &cut->after))
        return CONTEXT_UNKNOWN;
    if (!high || cut->after > room)
        return CONTEXT_TOO_LONG;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        cut->len = keep(p, middle, cut->messages);
        if (!count(ctx, cut->messages, cut->len, &tokens))
            return CONTEXT_UNKNOWN;
        if (tokens <= room) {
            high = middle;
            cut->after = tokens;
        } else {
            low = middle + 1;
        }
    }
    cut->len = keep(p, high, cut->messages);
    cut->left_out = p->len - cut->len;
    return CONTEXT_CUT;
}

enum context_result context_fit(enum context_policy policy, struct exchange_message *messages,
                                size_t len, uint64_t room, context_count count, void *ctx,
                                struct arena *arena, struct context_cut *ret)
{
    struct plan p = {.messages = messages, .len = len};
    struct context_cut cut = {.messages = messages, .len = len};
    if (!count(ctx, messages, len, &cut.before))
        return CONTEXT_UNKNOWN;
    cut.after = cut.before;
    *ret = cut;
    if (cut.before <= room)
        return CONTEXT_FITS;
    if (policy == CONTEXT_REFUSE)
        return CONTEXT_TOO_LONG;
    cut.messages = arena_zalloc(arena, len + 1, sizeof *cut.messages);
    if (!cut.messages || !plan_units(&p, policy, arena))
        return CONTEXT_UNKNOWN;
    enum context_result result = search(&p, room, count, ctx, &cut);
    *ret = cut;
    return result;
}
