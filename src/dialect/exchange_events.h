// Exchange events made and not yet taken, of one attempt: what a provider, or the reader of a
// provider's wire format, has to say. Owner: the attempt; one thread at a time.
#pragma once

#include "dialect/exchange.h"

struct exchange_events {
    struct exchange_event *items;
    size_t len, cap, next;
    struct api_error *error; // of an ERROR event
};
struct exchange_event *exchange_events_push(struct exchange_events *q,
                                            enum exchange_event_type type, uint32_t choice);
// An ERROR event; fill what it returns.
struct api_error *exchange_events_fail(struct exchange_events *q, uint32_t choice);
// False when all were taken.
bool exchange_events_pop(struct exchange_events *q, struct exchange_event *ret);
// Gives back its memory, if all of them have been taken.
void exchange_events_rest(struct exchange_events *q);
void exchange_events_done(struct exchange_events *q);
