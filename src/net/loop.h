// An event loop: descriptors, timers, posted work. One thread owns a loop and everything hung on
// it; only loop_post, loop_wake_signal and loop_stop may be called from other threads. Nothing run
// by a loop may block or compute for over 1 ms: a lag histogram and a watchdog line name offenders.
// Two backends: epoll (Linux) and poll (everywhere; tested here too).
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/histogram.h"

struct loop;

enum loop_backend { LOOP_BACKEND_DEFAULT, LOOP_BACKEND_EPOLL, LOOP_BACKEND_POLL };

enum err loop_new(enum loop_backend backend, struct loop **ret, struct diag *d) MUST_USE;
void loop_free(struct loop *l); // not while running; frees no timers, streams or wakes of others
// Run until loop_stop. loop_run_once: one turn, waiting at most max_wait_ms (for tests and the main
// of short verbs).
void loop_run(struct loop *l);
void loop_run_once(struct loop *l, uint32_t max_wait_ms);
void loop_stop(struct loop *l);             // any thread
uint64_t loop_now_ms(const struct loop *l); // monotonic, read once a turn
bool loop_is_current(const struct loop *l); // is this thread running l?

// --- Timers: embedded in their owner, coarse (1 ms), O(1). Setting an armed timer moves it.
struct loop_timer {
    struct loop_timer *next, *prev;
    uint64_t due_ms;
    void (*fire)(void *ctx);
    void *ctx;
};
void loop_timer_init(struct loop_timer *t, void (*fire)(void *ctx), void *ctx);
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t delay_ms);
void loop_timer_cancel(struct loop_timer *t); // fine when not armed
static inline bool loop_timer_armed(const struct loop_timer *t)
{
    return t->next != NULL;
}

// --- Work from other threads (or for the next turn of the same loop).
// run(ctx) will be called once on the loop thread. ERR_BUSY when the mailbox is full.
enum err loop_post(struct loop *l, void (*run)(void *ctx), void *ctx) MUST_USE;

// A doorbell embedded in its owner: any number of signals from any thread becomes one call on the
// loop thread. loop_wake_done (loop thread) guarantees no call after it; the owner makes sure
// nobody signals afterwards.
struct loop_wake {
    struct loop *loop;
    void (*run)(void *ctx);
    void *ctx;
    _Atomic int state;
    struct loop_wake *_Atomic next;
};
void loop_wake_init(struct loop *l, struct loop_wake *w, void (*run)(void *ctx), void *ctx);
void loop_wake_signal(struct loop_wake *w); // any thread, wait-free
void loop_wake_done(struct loop_wake *w);

// --- Descriptors. Edge-triggered in spirit: after a callback the owner reads or writes until
// EAGAIN.
enum {
    LOOP_READ = 1u << 0,
    LOOP_WRITE = 1u << 1,
    LOOP_HANGUP = 1u << 2
}; // HANGUP: the peer closed (also half)
struct loop_fd {
    int fd;
    uint32_t events; // armed
    void (*ready)(void *ctx, uint32_t events);
    void *ctx;
    uint32_t slot; // backend's
};
enum err loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events) MUST_USE;
void loop_fd_set(struct loop *l, struct loop_fd *f, uint32_t events);
void loop_fd_remove(
    struct loop *l,
    struct loop_fd *f); // no callback after it, also within the same turn; does not close

// --- Health: time a turn kept others waiting (µs), and the slowest callback since the last call,
// for the watchdog.
struct loop_stats {
    struct histogram lag_us;
    uint64_t turns, callbacks_over_1ms;
};
const struct loop_stats *loop_stats(const struct loop *l);
