#include "engine/event_ring.h"

#include "base/mem.h"

#include "base/banned.h"

// Before each record: its whole size, and whether it only fills the end of the ring.
struct head {
    uint32_t size;
    uint32_t filler;
};

enum { ALIGN = 8 };

static size_t whole_size(size_t payload)
{
    return (sizeof(struct head) + payload + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

static struct head *head_at(const struct event_ring *r, size_t at)
{
    return (struct head *)(void *)(r->mem + (at & (r->size - 1)));
}

void event_ring_init(struct event_ring *r, size_t size_min)
{
    r->size = 64;
    while (r->size < size_min)
        r->size *= 2;
    r->mem = mem_aligned(64, r->size);
    atomic_store_explicit(&r->head, 0, memory_order_relaxed);
    atomic_store_explicit(&r->tail, 0, memory_order_relaxed);
}

void event_ring_done(struct event_ring *r)
{
    mem_free(r->mem);
    r->mem = NULL;
}

// Sequentially consistent, here and in drop: "full, so I rest" and "read, does someone rest?" must
// not miss each other (job.c).
static size_t free_bytes(const struct event_ring *r)
{
    return r->size - (atomic_load_explicit(&r->tail, memory_order_relaxed) - atomic_load(&r->head));
}

size_t event_ring_room(const struct event_ring *r, size_t size)
{
    size_t whole = whole_size(size), space = free_bytes(r);
    // One filler may lie in the free bytes; it is shorter than the record that it makes way for.
    size_t filler_max = whole - ALIGN;
    return space < filler_max ? 0 : (space - filler_max) / whole;
}

void *event_ring_reserve(struct event_ring *r, size_t size)
{
    size_t whole = whole_size(size), tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t to_end = r->size - (tail & (r->size - 1));
    size_t filler = whole <= to_end ? 0 : to_end;
    if (filler + whole > free_bytes(r))
        return NULL;
    if (filler) {
        *head_at(r, tail) = (struct head){(uint32_t)filler, 1};
        tail += filler;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    struct head *h = head_at(r, tail);
    *h = (struct head){(uint32_t)whole, 0};
    return h + 1;
}

void event_ring_publish(struct event_ring *r)
{
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    atomic_store_explicit(&r->tail, tail + head_at(r, tail)->size, memory_order_release);
}

void *event_ring_peek(struct event_ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    while (head != atomic_load_explicit(&r->tail, memory_order_acquire)) {
        struct head *h = head_at(r, head);
        if (!h->filler)
            return h + 1;
        head += h->size;
        atomic_store(&r->head, head);
    }
    return NULL;
}

void event_ring_drop(struct event_ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    atomic_store(&r->head, head + head_at(r, head)->size);
}
