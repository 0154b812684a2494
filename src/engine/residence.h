// Which models have their weights in memory. Under a bound (engine_options.weights_bytes_max) the
// least recently used model gives its weights back when another needs the room, and gets them again
// when a request comes for it. All else of a model stays: its file is mapped, its tokenizer and its
// description serve, its keys and values are kept, so nothing but the time tells.
//
// A model with running sequences keeps its weights. One that is never idle would keep others out
// for ever: after engine_options.weights_stay_ms it takes in nobody new while another waits, ends
// what runs, and gives way; its own requests then wait for their turn. Requests that wait for
// weights stand in the engine's queue, under its bound, with their deadlines.
//
// One thread of its own packs the weights, so that other models go on computing meanwhile. What it
// changes of lanes it changes between two steps (scheduler_pause).
//
// Draft models stay in memory always: the bound counts them, and what is left must have room for
// the largest model.
#pragma once

#include <stdatomic.h>

#include "base/thread.h"
#include "engine/park.h"

struct engine;
struct engine_options;
struct engine_model;
struct lane;
struct scheduler;

struct residence {
    struct engine *engine;
    uint64_t bytes_max, stay_ms; // no bytes: no bound, no thread
    struct thread thread;
    struct park park;
    _Atomic bool stop;
};

enum err residence_start(struct residence *r, struct engine *e, const struct engine_options *o,
                         struct diag *d) MUST_USE;
void residence_stop(struct residence *r);
// Whoever loads a model (engine.loading): waits until its `bytes` more have room, and `draft_bytes`
// of a draft model that is not in a lane yet. ERR_LIMIT: they, or another model, never will.
enum err residence_make_room(struct residence *r, const struct engine_model *of, uint64_t bytes,
                             uint64_t draft_bytes, struct diag *d) MUST_USE;
// The same by a guess, which refuses nothing.
enum err residence_make_room_for_guess(struct residence *r, const struct engine_model *of,
                                       uint64_t bytes) MUST_USE;

// The scheduler thread: this lane has no weights; asks for them if somebody waits for it.
void residence_want(struct residence *r, struct lane *l);
