// Streams of exchange events, drawn by a seed: every order that the exchange allows for one choice.
// BEGIN; text, reasoning and its seals, calls and the pieces of their arguments, interleaved;
// FINISH; END. Arguments are cut anywhere. One stream at a time; the strings are its own.
#pragma once

#include "dialect/exchange.h"

#define EVENTS_MAX 512

struct events {
    struct exchange_event items[EVENTS_MAX];
    size_t len;
    size_t calls;
    bool sequential; // no call's arguments come behind the next call's beginning
};
void events_draw(struct events *e, uint32_t seed);
