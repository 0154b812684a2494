// The engine's one thread: takes jobs in, lets each model's lane step in turn, sleeps when there is
// nothing to do. Everything here but the functions and counters marked so belongs to that thread.
#pragma once

#include <stdatomic.h>

#include "base/ring.h"
#include "base/thread.h"
#include "engine/lane.h"
#include "engine/tenant.h"

struct kernel;
struct residence;
struct team;

// Written by the scheduler, read by anyone.
struct counters {
    _Atomic uint64_t steps, last_step_ms, jobs_finished[4];
    _Atomic bool idle; // the thread sleeps until it is given something: no step can be due
    _Atomic double decode_tokens_per_s;
    _Atomic double ms_between_ends; // moving average, while there is work
};

struct scheduler {
    struct engine_options options;
    struct door *door;
    struct ring_mpsc inbox;
    _Atomic uint32_t n_queued; // submitted, not yet started: bounded by options.queue_max
    _Atomic bool stop;
    struct thread thread;
    // Held for each turn; whoever adds a model (and computes with the team meanwhile) takes it.
    pthread_mutex_t turn, next_turn;
    _Atomic uint32_t n_pausing; // of those; the heart beats for them

    struct tenants tenants;
    struct kv_budget budget;
    struct lane *lanes[KV_POOLS_MAX];
    size_t n_lanes;
    struct lane *starved; // waits for blocks that others hold: until it has them nobody else starts
    uint32_t n_running;
    uint64_t last_order, last_end_ms;
    struct step step;
    struct residence *residence;     // set before the start; NULL: every lane has its weights
    struct team *team;               // set before the start
    struct sample_scratch *sampling; // one a member of the team
    struct buf text, piece;          // scratch
    struct engine_observer observer;
    struct counters counters;
};

void scheduler_init(struct scheduler *s, const struct engine_options *o);
// The team computes, the kernels sample; both outlive the thread.
enum err scheduler_start(struct scheduler *s, struct team *team, const struct kernel *k,
                         struct diag *d) MUST_USE;
// Ends the thread, and every job with "cancelled". Nobody submits any more.
void scheduler_stop(struct scheduler *s);
void scheduler_done(struct scheduler *s);

// --- Any thread
// A place in the queue, or false when it is full. scheduler_submit or scheduler_give_up_place
// follows.
bool scheduler_take_place(struct lane *l);
void scheduler_give_up_place(struct lane *l);
void scheduler_submit(struct scheduler *s, struct engine_job *j); // has its tokens, or its error
uint32_t scheduler_retry_ms(const struct scheduler *s);
// Between two steps, in turn with the thread.
void scheduler_pause(struct scheduler *s);
void scheduler_resume(struct scheduler *s);
