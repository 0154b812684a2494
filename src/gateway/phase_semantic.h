// A call's dealings with the semantic cache: its last words become an embedding (a job of the
// engine, or a request to whoever has the model; never work of the loop), and the answer to a
// question near enough is told. Without an embedding in time the call goes on as if there were
// nothing. Loop thread.
#pragma once

#include "gateway/semantic.h"

struct answer_headers;
struct call;
struct call_semantic;

// Whether this call, which the exact cache has no answer for, is to be compared: then its embedding
// is on its way, and the call is in CALL_SEMANTIC.
bool semantic_begin(struct call *c);
// This call's own answer has ended: others may be told it, and in the shadow it is compared with
// what a hit would have said.
void semantic_learn(struct call *c, const struct tape *answer);
void semantic_leave(struct call *c); // at the call's end
// Of a call that was answered so: how near, and the request whose answer it was. 0 and none.
double semantic_similarity(const struct call *c);
str semantic_source(const struct call *c);
