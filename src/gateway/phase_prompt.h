// Prompts called by name: "prompt": {"name","version","variables"} in a chat or a Responses
// request.
#pragma once

#include "gateway/call.h"

// Loop thread: does the body seem to name one? Then reading it is long work.
bool phase_prompt_named(const struct call *c);
// Any thread, between the body's parse and its dialect: c->doc and c->in.body become the request
// that is meant. False: c->error says why.
bool phase_prompt(struct call *c);
