// What the scripted provider saw and did: a ring of the last requests, told as JSON. Owner: the
// server; loop thread. Bounded by its capacity, 16 KiB of head and 64 KiB of body each; the oldest
// is forgotten, and counted.
#pragma once

#include "base/buf.h"
#include "http/server.h"

enum attempt_outcome {
    ATTEMPT_RUNNING,
    ATTEMPT_ANSWERED,
    ATTEMPT_ERROR,
    ATTEMPT_HUNG,
    ATTEMPT_RESET,
    ATTEMPT_STALLED,
    ATTEMPT_CUT,
    ATTEMPT_STOPPED,
    ATTEMPT_FAILED // an error event inside a stream
};

struct attempt {
    uint64_t number;                            // from 0
    uint64_t began_us, first_byte_us, ended_us; // first_byte_us: 0 until then
    str asked;                                  // members of a JSON object, owned
    str did;                                    // the orders in force, owned
    str model;                                  // owned
    const char *wire;                           // "anthropic"
    bool stream;                                // was asked for
    enum attempt_outcome outcome;
    int status;
    uint64_t events, bytes; // of the body
    bool client_closed;     // before the answer was complete
    bool over;
};

struct attempts {
    struct attempt *items;
    size_t cap;
    uint64_t next; // number of the next one
    uint64_t epoch_us, epoch_wall_ms;
    bool bodies;
};

void attempts_init(struct attempts *a, size_t cap, bool bodies);
void attempts_done(struct attempts *a);
void attempts_clear(struct attempts *a); // numbers begin at 0 again
// Remember a request; its number. Secrets among the headers are written as "***".
uint64_t attempts_add(struct attempts *a, const struct http_call *call);
// NULL when it is forgotten.
struct attempt *attempts_get(struct attempts *a, uint64_t number);
// What it asks for and what is done with it; copied.
void attempt_says(struct attempt *t, str model, str did);
void attempts_write(const struct attempts *a, struct buf *out);
