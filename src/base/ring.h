// Bounded rings between threads. spsc: one producer, one consumer, wait-free. mpsc: many producers,
// one consumer, lock-free push. Elements are pointers; ring_*_push returns false when full (the
// bound is the caller's word for what happens then).
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/base.h"

struct ring_spsc {
    void **slots;
    size_t mask;
    _Alignas(64) _Atomic size_t head; // consumer
    _Alignas(64) _Atomic size_t tail; // producer
};

void ring_spsc_init(struct ring_spsc *r, size_t capacity_pow2);
void ring_spsc_done(struct ring_spsc *r);
bool ring_spsc_push(struct ring_spsc *r, void *item);
void *ring_spsc_pop(struct ring_spsc *r); // NULL when empty

struct ring_mpsc_cell;

struct ring_mpsc {
    struct ring_mpsc_cell *cells;
    size_t mask;
    _Alignas(64) _Atomic size_t tail;
    _Alignas(64) size_t head;
};

void ring_mpsc_init(struct ring_mpsc *r, size_t capacity_pow2); // at least 2
void ring_mpsc_done(struct ring_mpsc *r);
bool ring_mpsc_push(struct ring_mpsc *r, void *item);
void *ring_mpsc_pop(struct ring_mpsc *r);
