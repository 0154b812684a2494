// Requests of every kind, for what must be the same however they are computed: sampled and greedy,
// of many lengths, scored prompts, embeddings; half of the prompts share a beginning.
#pragma once

#include "engine/engine.h"

enum { REQUEST_MIX_COUNT = 32, REQUEST_MIX_PROMPT_MAX = 70, REQUEST_MIX_ANSWER = 12 };

// Request i. `ids` is given its prompt and must outlive the request.
struct engine_request request_mix(uint32_t i, uint32_t n_vocab,
                                  int32_t ids[static REQUEST_MIX_PROMPT_MAX]);
