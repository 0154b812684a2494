// GET /api/tags and /api/ps, POST /api/show: what there is to talk to, in Ollama's shape. Pure.
#pragma once

#include "dialect/exchange.h"

struct ollama_model {
    str name;
    str root; // the model behind an alias
    int64_t modified_s;
    uint32_t context_max;
    // Empty and 0 where the model is elsewhere.
    str architecture, quantization, fingerprint;
    uint64_t parameters, bytes;
    bool remote, tools;
};
void ollama_models_list(const struct ollama_model *models, size_t len, struct buf *out);
void ollama_models_running(const struct ollama_model *models, size_t len, struct buf *out);
void ollama_models_show(const struct ollama_model *m, struct buf *out);
