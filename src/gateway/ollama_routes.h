// What Ollama's clients ask beside answers: GET /api/tags, /api/ps and /api/version, POST
// /api/show.
#pragma once

#include "gateway/call.h"

struct http_call;
void ollama_tags(struct gateway *g, struct http_call *hc);
void ollama_ps(struct gateway *g, struct http_call *hc);
void ollama_version(struct gateway *g, struct http_call *hc);
bool ollama_show_work(struct call *c);
