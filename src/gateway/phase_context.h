// A call's dealings with its model's context: counted before anything is sent, and cut or refused
// as its route says.
#pragma once

#include "gateway/context.h"

struct answer_headers;
struct call;

// What the request was before anything of it was left out for one target.
struct call_context {
    struct exchange_message *messages;
    size_t messages_len;
    const struct dialect *spoken;
    bool cut;
};

// Before the target is prepared. Any thread; false: c->error says why.
bool phase_context(struct call *c);
// "truncate_oldest; messages=4; tokens=1234", of the attempt that answers; empty: nothing was left
// out.
str context_told(const struct call *c, char *out, size_t size);
