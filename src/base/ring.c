#include "base/ring.h"

#include "base/mem.h"

#include "base/banned.h"

static void check_capacity(size_t capacity)
{
    ASSERT(capacity > 0 && (capacity & (capacity - 1)) == 0);
}

void ring_spsc_init(struct ring_spsc *r, size_t capacity_pow2)
{
    check_capacity(capacity_pow2);
    r->slots = mem_array(capacity_pow2, sizeof *r->slots);
    r->mask = capacity_pow2 - 1;
    atomic_init(&r->head, 0);
    atomic_init(&r->tail, 0);
}

void ring_spsc_done(struct ring_spsc *r)
{
    mem_free(r->slots);
    r->slots = NULL;
}

bool ring_spsc_push(struct ring_spsc *r, void *item)
{
    ASSERT(item != NULL); // NULL is pop's word for "empty"
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    if (tail - head > r->mask)
        return false;
    r->slots[tail & r->mask] = item;
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return true;
}

void *ring_spsc_pop(struct ring_spsc *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    if (head == tail)
        return NULL;
    void *item = r->slots[head & r->mask];
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return item;
}

// Vyukov's bounded queue. A cell's `turn` says whose move it is: equal to a producer's ticket, the
// cell is free for it; ticket + 1, it is filled for the consumer.
struct ring_mpsc_cell {
    _Atomic size_t turn;
    void *item;
};

void ring_mpsc_init(struct ring_mpsc *r, size_t capacity_pow2)
{
    check_capacity(capacity_pow2);
    ASSERT(capacity_pow2 > 1); // a lone cell's turn could not tell "filled" from "free again"
    r->cells = mem_array(capacity_pow2, sizeof *r->cells);
    r->mask = capacity_pow2 - 1;
    for (size_t i = 0; i < capacity_pow2; i++)
        atomic_init(&r->cells[i].turn, i);
    atomic_init(&r->tail, 0);
    r->head = 0;
}

void ring_mpsc_done(struct ring_mpsc *r)
{
    mem_free(r->cells);
    r->cells = NULL;
}

bool ring_mpsc_push(struct ring_mpsc *r, void *item)
{
    ASSERT(item != NULL);
    size_t ticket = atomic_load_explicit(&r->tail, memory_order_relaxed);
    for (;;) {
        struct ring_mpsc_cell *cell = &r->cells[ticket & r->mask];
        size_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
        if (turn == ticket) {
            if (atomic_compare_exchange_weak_explicit(&r->tail, &ticket, ticket + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                cell->item = item;
                atomic_store_explicit(&cell->turn, ticket + 1, memory_order_release);
                return true;
            }
        } else if ((ptrdiff_t)(turn - ticket) < 0) {
            return false; // still filled from the round before
        } else {
            ticket = atomic_load_explicit(&r->tail, memory_order_relaxed);
        }
    }
}

void *ring_mpsc_pop(struct ring_mpsc *r)
{
    struct ring_mpsc_cell *cell = &r->cells[r->head & r->mask];
    if (atomic_load_explicit(&cell->turn, memory_order_acquire) != r->head + 1)
        return NULL;
    void *item = cell->item;
    atomic_store_explicit(&cell->turn, r->head + r->mask + 1, memory_order_release);
    r->head++;
    return item;
}
