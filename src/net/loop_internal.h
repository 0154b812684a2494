// What loop.c and its backends share. Nobody else includes this.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "base/ring.h"
#include "net/doorbell.h"
#include "net/loop.h"
#include "net/timer_wheel.h"

// Descriptors live in slots, so that an event which was fetched before its descriptor was removed
// (and perhaps another one added) is recognised by the slot's generation and dropped.
struct loop_slot {
    struct loop_fd *f;   // NULL: free
    uint32_t generation; // grows at each removal
    uint32_t next_free;
};

struct loop_backend_ops {
    enum err (*open)(struct loop *l, struct diag *d);
    void (*close)(struct loop *l);
    enum err (*add)(struct loop *l, struct loop_fd *f);
    void (*set)(struct loop *l, struct loop_fd *f, uint32_t newly_armed);
    void (*remove)(struct loop *l, struct loop_fd *f);
    // Wait, call loop_turn_began, then loop_dispatch for each event.
    void (*wait)(struct loop *l, int timeout_ms);
};
extern const struct loop_backend_ops loop_epoll_ops, loop_poll_ops;

struct loop {
    const struct loop_backend_ops *ops;
    void *backend;
    struct loop_slot *slots;
    uint32_t slots_len, slots_cap, free_slot;
    struct timer_wheel wheel;
    uint64_t now_ms, turn_began_ns;
    struct loop_later laters;  // sentinel
    struct loop_wake *waiting; // taken off `wakes`, in order of signalling

    struct doorbell doorbell;
    struct loop_fd doorbell_fd;
    _Atomic bool rung, stopping;
    struct loop_wake *_Atomic wakes; // a stack
    struct ring_mpsc posts;

    // Published for the watchdog: what runs, since when (0: nothing, the loop waits).
    _Atomic uint64_t running_since_ns;
    void (*_Atomic running)(void);
    // The watcher's call at the next turn (loop_stir_once).
    _Atomic int stir_state;
    void (*stir)(void *ctx);
    void *stir_ctx;
    uint64_t mark_ns; // end of the last callback
    bool busy;        // a callback ran in this turn
    struct loop_stats stats;
    char *scratch;
};

#define LOOP_SLOT_NONE UINT32_MAX

// The backend has its events: time starts to count.
void loop_turn_began(struct loop *l);
// Deliver what is armed of `events`; keep the rest in f->missed when `remember`.
void loop_dispatch(struct loop *l, struct loop_fd *f, uint32_t events, bool remember);
