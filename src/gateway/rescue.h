// A stream that broke off after the client saw a part of it goes on from another target: one that
// can continue an assistant's text, or one of the same model, which says the same once more and is
// held to it, byte by byte, before anything new is shown. What cannot be continued exactly (several
// choices, tool calls, reasoning, logprobs) ends with a clear error instead. Loop thread.
#pragma once

#include "dialect/exchange.h"

struct call;
struct model_entry;

struct call_rescue {
    struct buf said;                   // text that the client has, of a stream that can be rescued
    uint64_t pieces;                   // events it came in: about its tokens
    const struct model_entry *first;   // who said it
    bool hopeless;                     // something was shown that cannot be continued
    bool on;                           // this attempt continues
    bool repeats;                      // … by saying all of it once more
    size_t repeated;                   // so many bytes of it were said again
    struct exchange_message *messages; // the request's own
    size_t messages_len;
    struct exchange_prompt prompt;
    int64_t tokens_max;
};

void rescue_done(struct call_rescue *r);
// An event is about to be written out.
void rescue_note(struct call *c, const struct exchange_event *e);
// Could the answer go on elsewhere, as far as it has come?
bool rescue_possible(const struct call *c);
// … on this target?
bool rescue_fits(const struct call *c, const struct model_entry *m);
// Make the request one for the rest of the answer, from c->model. False: c->error says why.
bool rescue_begin(struct call *c);
// An event of the attempt that continues. What the client has already is cut off; false: nothing is
// left of it, or c->error is set because it says something else.
bool rescue_filter(struct call *c, struct exchange_event *e);
