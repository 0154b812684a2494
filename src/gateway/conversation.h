// Conversations within bounds: a program that asks a model again and again, an agent in its loop of
// tools, may make so many calls, use so many tokens and cost so much, and is refused from then on.
//
// Which conversation a call belongs to the client says in x-weir-conversation; or, where the
// configuration has it so, its opening does: the system messages and the first question, which
// every call of one loop repeats. Keys do not share any. What a call used is added when it ends, so
// what runs at once may pass a bound by its own size. Bounded: of the conversations that are
// remembered the one that has rested longest goes first. Loop thread, one table a loop.
#pragma once

#include "base/map.h"
#include "gateway/answer_headers.h"
#include "gateway/config.h"

struct call;
struct conversation;

struct conversations {
    const struct gateway_conversations *options;
    int64_t cost_max_nano;
    bool bounded; // by anything at all
    struct map map;
    struct conversation *newest, *oldest;
};

void conversations_init(struct conversations *all, const struct gateway_conversations *options);
void conversations_done(struct conversations *all);
// The request has been read: it is one more call of its conversation. False: that may make no more
// (c->error).
bool conversation_enter(struct call *c) MUST_USE;
// How far its conversation has come, where it has bounds.
void conversation_headers(const struct call *c, struct answer_headers *h);
// The call is over: what it used counts.
void conversation_leave(struct call *c);
