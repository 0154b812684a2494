// One model on the processor and on a GPU: the same rows through both, their logits compared, and
// how long each took. Main thread.
#pragma once

#include "engine/format/model_file.h"

struct gpu_compare_options {
    const char *device;
    size_t threads, prompt_tokens, tokens, repeat; // threads 0: every CPU
};

struct gpu_comparison {
    char isa[32];                   // of the processor
    size_t threads, prompt_tokens;  // the prompt is cut to what the context holds
    double prompt_s[2], token_s[2]; // medians: processor, GPU
    double load_s;                  // until the GPU's model could compute
    size_t logits, different;       // how many were compared, and have other bits
    double largest;                 // difference
};

enum err gpu_compare(const struct model_file *f, const struct gpu_compare_options *o,
                     struct gpu_comparison *ret, struct diag *d) MUST_USE;
