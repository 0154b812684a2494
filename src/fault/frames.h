// A streamed answer, made whole before it is played: its bytes, and where each event begins, so
// that any place in it can be found. Owner: the play; bounded by the limit of `bytes`.
#pragma once

#include "base/buf.h"
#include "fault/order.h"

enum frame_kind {
    FRAME_LEAD,  // opens the answer: leaves with the headers
    FRAME_TOKEN, // waits for its token
    FRAME_TAIL,  // follows at once
    FRAME_DONE,  // the proof that the answer is whole: follows at once
};

struct frame {
    enum frame_kind kind;
    size_t from; // its first byte
};

struct frames {
    struct buf bytes;
    struct frame *items;
    size_t len, cap;
};

void frames_init(struct frames *f, size_t bytes_max);
void frames_done(struct frames *f);
// Open the next frame; what is appended to the buffer belongs to it.
struct buf *frames_next(struct frames *f, enum frame_kind kind);
// The byte at which event `at` begins, or the end; a byte itself where the place is one. An answer
// of a single frame has its events in the middle.
size_t frames_place(const struct frames *f, const struct order_place *p);
// Where the first frame of that kind begins, or the end.
size_t frames_first(const struct frames *f, enum frame_kind kind);
// Break the JSON of event `at`, keeping its length and its frame; the last one where there are
// fewer.
void frames_damage(struct frames *f, uint64_t at, enum order_damage how);
