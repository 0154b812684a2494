// Exchange events made and not yet taken, of one attempt. Loop thread.
#pragma once

#include "dialect/exchange.h"

struct local_events {
    struct exchange_event *items;
    size_t len, cap, next;
    struct api_error *error; // of an ERROR event
};
struct exchange_event *local_events_push(struct local_events *q, enum exchange_event_type type,
                                         uint32_t choice);
// An ERROR event; fill what it returns.
struct api_error *local_events_fail(struct local_events *q, uint32_t choice);
// False when all were taken.
bool local_events_pop(struct local_events *q, struct exchange_event *ret);
void local_events_done(struct local_events *q);
