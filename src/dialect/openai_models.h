// GET /v1/models and /v1/models/{id}: what there is to talk to, in OpenAI's shape with the members
// that other servers' clients read (root, max_model_len), and Anthropic's (display_name, has_more).
// Pure.
#pragma once

#include "dialect/exchange.h"

struct openai_model {
    str id;   // the name or alias
    str root; // the model behind an alias: its own name
    str provider;
    int64_t created_s;
    uint32_t context_max; // 0: not known, written as null
};
void openai_models_list(const struct openai_model *models, size_t len, struct buf *out);
void openai_models_one(const struct openai_model *m, struct buf *out);
