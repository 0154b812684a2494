// A job's events on their way from the scheduler to its consumer: records of any size in a ring of
// bytes. One producer, one consumer, wait-free. Bounded: a record that does not fit is not written,
// and the scheduler lets that sequence rest until the consumer has read. Records are contiguous and
// 8-aligned; what was peeked stays valid until it is dropped.
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct event_ring {
    uint8_t *mem;
    size_t size;                      // a power of two
    _Alignas(64) _Atomic size_t head; // read so far, in bytes ever
    _Alignas(64) _Atomic size_t tail; // written so far
};

// Rounded up to a power of two. The consumer of a zeroed ring may peek before it is made.
void event_ring_init(struct event_ring *r, size_t size_min);
void event_ring_done(struct event_ring *r);

// --- Producer
// How many records of up to `size` bytes fit for certain, whatever the wrap costs.
size_t event_ring_room(const struct event_ring *r, size_t size);
// Space for one record, or NULL; event_ring_publish makes it visible. One record at a time.
void *event_ring_reserve(struct event_ring *r, size_t size) MUST_USE;
void event_ring_publish(struct event_ring *r);

// --- Consumer
void *event_ring_peek(struct event_ring *r); // NULL when empty
void event_ring_drop(struct event_ring *r);  // the peeked one
