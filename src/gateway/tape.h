// An answer as it was given: its events one after the other, in no dialect's words, so that any
// client can be told it again, whole or as a stream, also while it is still being made. Events of
// tokens' probabilities are not kept. One loop's. Lifetime: until the last who holds it lets go.
#pragma once

#include "dialect/exchange.h"

struct tape;

enum tape_state { TAPE_RUNS, TAPE_ENDED, TAPE_FAILED };

// One who hears it while it is made.
struct tape_listener {
    struct tape_listener *next;
    void (*notify)(void *ctx); // there is more, or it has ended
    void *ctx;
    size_t at; // how many events it has heard
};

struct tape *tape_new(size_t bytes_max);
struct tape *tape_hold(struct tape *t);
void tape_release(struct tape *t); // NULL is fine

// ERR_LIMIT: it is longer than it may be, and has failed. An END ends it.
enum err tape_add(struct tape *t, const struct exchange_event *e) MUST_USE;
// What was said so far counts for nothing: it begins anew. False: someone has heard some of it.
bool tape_restart(struct tape *t) MUST_USE;
void tape_fail(struct tape *t); // nothing when it has ended
enum tape_state tape_state(const struct tape *t);
size_t tape_bytes(const struct tape *t);

void tape_listen(struct tape *t, struct tape_listener *l);
void tape_leave(struct tape *t, struct tape_listener *l);
bool tape_has_listeners(const struct tape *t);
// Who makes it is told when the last listener has left; NULL: nobody.
void tape_set_maker(struct tape *t, void (*unheard)(void *ctx), void *ctx);
// The listener's next event; its slices last until the tape grows.
bool tape_next(const struct tape *t, struct tape_listener *l, struct exchange_event *ret);
// Tells all listeners. They may leave meanwhile.
void tape_tell(struct tape *t);
