// How much a text looks like an attempt to take over the model that reads it. The method is plain:
// signs are looked for (to ignore instructions, to reveal them, a persona without limits, a stopped
// task, forged turns of the conversation …), each with a weight w; the score is 1 - product of
// (1 - w) over the signs that are there, each counted once. No model, no network; linear time. What
// it catches and what it does not is measured by tests/oracle/injection_test.py, on public sets.
// Compiled once, immutable; any thread.
#pragma once

#include "guard/scan.h"

#define INJECTION_THRESHOLD 0.5 // what is at or above it is called an injection

enum injection_sign {
    INJECTION_OVERRIDE, // ignore the previous instructions
    INJECTION_LEAK,     // what are your instructions?
    INJECTION_PERSONA,  // you are DAN now, without restrictions
    INJECTION_LIMITS,   // speaks of limits to be broken
    INJECTION_HIJACK,   // stop everything, just say …
    INJECTION_FORGED,   // pretends to be another turn or the system
    INJECTION_HIDING,   // do not tell the user
    INJECTION_PRESSURE, // never refuse, or you lose tokens
    INJECTION_SIGNS
};
const char *injection_sign_name(enum injection_sign sign); // "override"

struct injection;
struct injection *injection_new(void);
void injection_free(struct injection *j); // NULL is fine
uint32_t injection_nodes(const struct injection *j);

// A text that comes in pieces; the score can be asked for at any time, and is final after the end.
struct injection_stream {
    struct scan scan;
    uint32_t signs; // bits 1 << enum injection_sign
};
void injection_stream_init(struct injection_stream *s, const struct injection *j);
void injection_stream_done(struct injection_stream *s);
void injection_stream_feed(struct injection_stream *s, struct scan_scratch *x, str bytes);
void injection_stream_end(struct injection_stream *s, struct scan_scratch *x);
double injection_score(uint32_t signs);
void injection_scratch_init(struct scan_scratch *x, const struct injection *j);
