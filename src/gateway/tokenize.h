// POST /tokenize, POST /detokenize, GET /tokenizer_info: a model's own tokenizer. Requests and
// answers have the members of vLLM's and of llama.cpp's servers where these agree or do not
// collide: prompt or content (or messages), tokens, count, max_model_len; prompt and content.
#pragma once

#include "gateway/call.h"

struct http_call;
void tokenizer_info(struct gateway *g, struct http_call *hc); // of the first model
bool tokenize_work(struct call *c);
bool detokenize_work(struct call *c);
// POST /v1/messages/count_tokens: what the prompt of c->request would cost.
bool count_tokens_work(struct call *c);
