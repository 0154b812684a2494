// One request at the scripted provider, from its orders to its end: the waits, the answer made
// whole beforehand, and the place where it goes wrong. Owner: the server; loop thread; ends with
// play_free, by itself or when the client goes.
#pragma once

#include "fault/attempts.h"
#include "fault/frames.h"
#include "fault/wire.h"

enum play_end { PLAY_WHOLE, PLAY_RESET, PLAY_STALL, PLAY_CUT, PLAY_STOP, PLAY_FAIL };

struct play {
    struct play *next, *prev; // of the server's ring
    struct loop *loop;
    struct http_call *call; // NULL when it is over
    struct attempts *attempts;
    uint64_t number, seed;
    struct arena arena;
    struct order order;
    struct order_plan plan;
    const struct wire *wire;
    struct loop_timer timer;
    void (*when)(struct play *p); // after the wait
    void (*done)(struct play *p); // frees what its owner hung on it

    struct frames frames;
    str type; // of the body
    enum play_end end;
    size_t end_at; // byte of the body
    size_t sent, frame;
    bool entered; // into `frame`: its wait is counted
    uint64_t tokens, drips, due_us;
};

void play_init(struct play *p, struct loop *l, struct http_call *call);
void play_free(struct play *p); // also unlinks it
// Call `when` after that spread of time, at once for none.
void play_after(struct play *p, uint64_t wait_us, void (*when)(struct play *p));
// The draws of a play, one stream a purpose.
enum play_draw { PLAY_DRAW_HEAD = 16, PLAY_DRAW_TOKEN, PLAY_DRAW_DRIP };
uint64_t play_draw(const struct play *p, const struct spread *s, enum play_draw purpose,
                   uint64_t i);

// Ends, each of which frees the play.
void play_respond(struct play *p, int status, str type, const struct http_headers *extra, str body);
void play_error(struct play *p, const struct mishap *m);
void play_reset(struct play *p);
void play_hang(struct play *p); // until the client goes
// Play what `frames` holds, as far as the orders let it. `whole`: a body that is no stream.
void play_frames(struct play *p, bool whole);
void play_drained(struct play *p);
void play_client_gone(struct play *p);
