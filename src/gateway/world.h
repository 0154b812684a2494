// What a call sees of the world: clocks, randomness, and a place for long work. The real one is
// made by gateway.c over a loop and a worker pool; tests have one with virtual time. Loop thread,
// but for the clocks, which any thread may read.
#pragma once

#include "base/base.h"
#include "net/loop.h"

// Work moved off the loop: run(ctx) on another thread, then done(ctx) back on the loop. Embedded in
// its owner, which must live until `done`.
struct offload {
    void (*run)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
    void *slot; // the world's own
};

// A moment to come: fire(ctx) on the loop. Embedded in its owner; coarse (1 ms).
struct world_timer {
    void (*fire)(void *ctx);
    void *ctx;
    struct loop_timer loop; // the world's own
    uint64_t due_ms;
};

struct world {
    void *ctx;
    uint64_t (*mono_us)(void *ctx);
    uint64_t (*wall_ms)(void *ctx);
    void (*random_id)(void *ctx, char *out, size_t n); // n characters and a NUL
    uint64_t (*random_u64)(void *ctx);
    void (*timer_set)(void *ctx, struct world_timer *t, uint64_t delay_ms); // moves an armed one
    void (*timer_cancel)(void *ctx, struct world_timer *t);                 // fine when not armed
    // False: no room now.
    bool (*offload)(void *ctx, struct offload *o);
};
