// A client of the gateway's core, for tests without sockets: it takes what a call answers, and
// holds the call to the order in which it may. One thread.
#pragma once

#include "gateway/gateway_internal.h"

struct scripted_client {
    struct call *call; // the last one asked; gone once it is over
    int status;
    struct buf body, headers; // headers: "name: value\n" of the last head
    bool responded, begun, ended, aborted;
    enum err write_says;             // to what is written; ERR_CLOSED: and goes away at once
    void (*over)(struct call *call); // a look at the call that is over, or NULL
};

void scripted_client_init(struct scripted_client *c); // all zero but for the bounds of the buffers
void scripted_client_done(struct scripted_client *c);
// Asks with a JSON body, which must last as long as the call; forgets what the last call said.
void scripted_client_ask(struct scripted_client *c, struct gateway *g, const struct call_kind *kind,
                         str body);
// The output of its calls, for who makes them himself: their ctx is the client.
extern const struct call_output scripted_client_output;

static inline bool scripted_client_over(const struct scripted_client *c)
{
    return c->responded || c->ended || c->aborted;
}
