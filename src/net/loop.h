// An event loop: descriptors, timers, posted work. One thread owns a loop and everything hung on
// it; only loop_post, loop_wake_signal, loop_stop, loop_running and loop_stir_* may be called from
// other threads. Nothing run by a loop may block or compute for over 1 ms: a lag histogram
// (loop_stats) and a watchdog line (net/watchdog.h) name offenders. Two backends: epoll (Linux) and
// poll (everywhere; tested here too).
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/histogram.h"

struct loop;

enum loop_backend { LOOP_BACKEND_DEFAULT, LOOP_BACKEND_EPOLL, LOOP_BACKEND_POLL };

// ERR_UNSUPPORTED for a backend that this system lacks; ERR_IO when it refuses descriptors.
enum err loop_new(enum loop_backend backend, struct loop **ret, struct diag *d) MUST_USE;
void loop_free(struct loop *l); // not while running; frees no timers, streams or wakes of others
// Run until loop_stop (a stop given before the run ends it at once). loop_run_once: one turn,
// waiting at most max_wait_ms (for tests and the main of short verbs).
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
// Fires in a later turn, also with delay 0; never early. Delays over two years are cut to that.
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t delay_ms);
void loop_timer_cancel(struct loop_timer *t); // fine when not armed
static inline bool loop_timer_armed(const struct loop_timer *t)
{
    return t->next != NULL;
}

// --- Work for the end of this turn, before the loop waits again (embedded in its owner, loop
// thread only): batches writes, breaks recursion, frees what is still on the stack. What a later
// schedules (a request that is written to a connection, and then that connection's queue) still
// runs in this turn; what that schedules, in the next, which then does not wait.
struct loop_later {
    struct loop_later *next, *prev;
    void (*run)(void *ctx);
    void *ctx;
};
void loop_later_init(struct loop_later *w, void (*run)(void *ctx), void *ctx);
void loop_later_set(struct loop *l, struct loop_later *w); // fine when already set
void loop_later_cancel(struct loop_later *w);              // fine when not set

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
void loop_wake_signal(struct loop_wake *w); // any thread, lock-free
void loop_wake_done(struct loop_wake *w);

// --- Descriptors. Edge-triggered in spirit: after a callback the owner reads or writes until
// EAGAIN. Arming an event that came while it was not armed reports it in the next turn.
enum {
    LOOP_READ = 1u << 0,
    LOOP_WRITE = 1u << 1,
    LOOP_HANGUP = 1u << 2, // the peer ended its side; data may still be unread before that
    LOOP_ERROR = 1u << 3,  // dead (reset, error, both sides ended); comes unasked: remove it
    LOOP_END = 1u << 4,    // the loop is being freed: for who outlives his owner
};
struct loop_fd {
    int fd;
    uint32_t events; // armed
    void (*ready)(void *ctx, uint32_t events);
    void *ctx;
    uint32_t slot;   // backend's
    uint32_t missed; // backend's: came while not armed
};
enum err loop_fd_add(struct loop *l, struct loop_fd *f, uint32_t events) MUST_USE;
void loop_fd_set(struct loop *l, struct loop_fd *f, uint32_t events); // cheap: often no system call
// No callback after it, also within the same turn. Does not close the descriptor.
void loop_fd_remove(struct loop *l, struct loop_fd *f);

// --- Health.
struct loop_stats {
    struct histogram lag_us; // how long each turn kept others waiting
    uint64_t turns, callbacks_over_1ms;
    uint64_t slowest_us; // the slowest callback since loop_stats_reset …
    void (*slowest)(void);
};
// Loop thread only.
const struct loop_stats *loop_stats(const struct loop *l);
void loop_stats_reset(struct loop *l);
// Name the function about to run for whoever looks at a stall: layers that call handlers of their
// own (streams, the HTTP server) say so here. One store.
#define LOOP_NOTE(l, function) loop_note((l), (void (*)(void))(function))
void loop_note(struct loop *l, void (*function)(void));
// Any thread: what callback runs now and for how long; false when the loop waits.
bool loop_running(const struct loop *l, void (**ret_function)(void), uint64_t *ret_us);
// For one watcher on another thread, so that it need not look while nothing happens: `stir` is
// called once, on the loop's thread, when the loop's next turn begins. False when a turn runs
// already. The watcher quiets it before it goes: afterwards stir is not called, nor does it run.
bool loop_stir_once(struct loop *l, void (*stir)(void *ctx), void *ctx);
void loop_stir_quiet(struct loop *l);

// --- Scratch memory of the loop, for reads: valid until the callback returns, by one user at a
// time (streams).
#define LOOP_SCRATCH_BYTES 65536
char *loop_scratch(struct loop *l);
