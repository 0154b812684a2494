#include "net/timer_wheel.h"

#include "base/banned.h"

enum { SLOT_BITS = 6, SLOTS = 1 << SLOT_BITS };
// One top slot less than a round: a time in the current slot of the next round would look like now.
static const uint64_t DELAY_MS_MAX = UINT64_C(63) << (SLOT_BITS * (TIMER_WHEEL_LEVELS - 1));

static void list_init(struct loop_timer *head)
{
    head->next = head->prev = head;
}

void timer_wheel_remove(struct loop_timer *t)
{
    t->prev->next = t->next;
    t->next->prev = t->prev;
    t->next = t->prev = NULL;
}

static void append(struct loop_timer *head, struct loop_timer *t)
{
    t->prev = head->prev;
    t->next = head;
    head->prev->next = t;
    head->prev = t;
}

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    *w = (struct timer_wheel){.elapsed_ms = now_ms, .now_ms = now_ms, .next_ms = UINT64_MAX};
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++)
        for (int slot = 0; slot < SLOTS; slot++)
            list_init(&w->slots[level][slot]);
}

static int level_of(uint64_t elapsed_ms, uint64_t due_ms)
{
    uint64_t differ = (elapsed_ms ^ due_ms) | 1;
    int level = (63 - __builtin_clzll(differ)) / SLOT_BITS;
    return level < TIMER_WHEEL_LEVELS ? level : TIMER_WHEEL_LEVELS - 1;
}

static void place(struct timer_wheel *w, struct loop_timer *t)
{
    int level = level_of(w->elapsed_ms, t->due_ms);
    unsigned slot = (unsigned)(t->due_ms >> (level * SLOT_BITS)) & (SLOTS - 1);
    append(&w->slots[level][slot], t);
    w->occupied[level] |= UINT64_C(1) << slot;
}

void timer_wheel_add(struct timer_wheel *w, struct loop_timer *t, uint64_t due_ms)
{
    uint64_t latest = w->elapsed_ms + DELAY_MS_MAX;
    if (due_ms <= w->now_ms)
        due_ms = w->now_ms + 1; // what is set while timers fire waits for the next turn
    t->due_ms = due_ms < latest ? due_ms : latest;
    if (t->due_ms < w->next_ms)
        w->next_ms = t->due_ms;
    place(w, t);
}

// When the slot begins. A slot behind the current one exists on the top level alone, where it means
// the next round.
static uint64_t slot_time(const struct timer_wheel *w, int level, unsigned slot)
{
    int shift = level * SLOT_BITS;
    uint64_t round = UINT64_C(1) << (shift + SLOT_BITS);
    uint64_t time = (w->elapsed_ms & ~(round - 1)) + ((uint64_t)slot << shift);
    unsigned here = (unsigned)(w->elapsed_ms >> shift) & (SLOTS - 1);
    return slot < here ? time + round : time;
}

// The first slot of a level that holds something, looking from the current one; -1 when empty.
static int first_slot(struct timer_wheel *w, int level)
{
    unsigned here = (unsigned)(w->elapsed_ms >> (level * SLOT_BITS)) & (SLOTS - 1);
    while (w->occupied[level]) {
        uint64_t bits = w->occupied[level];
        uint64_t turned = here ? (bits >> here) | (bits << (SLOTS - here)) : bits;
        unsigned slot = (here + (unsigned)__builtin_ctzll(turned)) & (SLOTS - 1);
        if (w->slots[level][slot].next != &w->slots[level][slot])
            return (int)slot;
        w->occupied[level] &= ~(UINT64_C(1) << slot);
    }
    return -1;
}

static bool earliest(struct timer_wheel *w, int *ret_level, unsigned *ret_slot, uint64_t *ret_ms)
{
    for (int level = 0; level < TIMER_WHEEL_LEVELS; level++) {
        int slot = first_slot(w, level);
        if (slot < 0)
            continue;
        *ret_level = level;
        *ret_slot = (unsigned)slot;
        *ret_ms = slot_time(w, level, (unsigned)slot);
        return true;
    }
    return false;
}

uint64_t timer_wheel_next_ms(const struct timer_wheel *w)
{
    return w->next_ms;
}

// Move a whole slot to a list of its own: what fires may cancel or set any timer meanwhile.
static void take_slot(struct timer_wheel *w, int level, unsigned slot, struct loop_timer *ret)
{
    struct loop_timer *head = &w->slots[level][slot];
    ret->next = head->next;
    ret->prev = head->prev;
    ret->next->prev = ret;
    ret->prev->next = ret;
    list_init(head);
    w->occupied[level] &= ~(UINT64_C(1) << slot);
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms,
                         void (*fire)(void *ctx, struct loop_timer *t), void *ctx)
{
    int level;
    unsigned slot;
    uint64_t ms;
    w->now_ms = now_ms;
    if (now_ms < w->next_ms)
        return;
    w->next_ms = UINT64_MAX; // what is set meanwhile lowers it
    while (earliest(w, &level, &slot, &ms) && ms <= now_ms) {
        struct loop_timer due;
        if (ms > w->elapsed_ms)
            w->elapsed_ms = ms;
        take_slot(w, level, slot, &due);
        while (due.next != &due) {
            struct loop_timer *t = due.next;
            timer_wheel_remove(t);
            if (level == 0)
                fire(ctx, t);
            else
                place(w, t);
        }
    }
    if (now_ms > w->elapsed_ms)
        w->elapsed_ms = now_ms;
    if (earliest(w, &level, &slot, &ms) && ms < w->next_ms)
        w->next_ms = ms;
}
