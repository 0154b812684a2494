// A provider that misbehaves on order: a server that speaks the wire formats of OpenAI (also under
// Azure's and NIM's paths), Anthropic and Ollama, and does wrong what its script, the x-fault
// header or the model's name say. `weir fault` is this; tests and the gateway start it in their own
// process. Owner: whoever made it; everything on the loop's thread.
// GET /fault/attempts tells what it saw; DELETE forgets that and begins again: the same seed and
// the same requests in the same order give the same answers, waits and faults.
#pragma once

#include "fault/script.h"
#include "net/loop.h"

struct fault;

// The script must outlive it.
enum err fault_new(struct loop *l, const struct script *s, struct fault **ret,
                   struct diag *d) MUST_USE;
// As http_server_listen.
enum err fault_listen(struct fault *f, const char *address, uint16_t *ret_port,
                      struct diag *d) MUST_USE;
void fault_free(struct fault *f);
