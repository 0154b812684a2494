// A loaded model as the engine's own files see it. Immutable once it stands in the engine's list,
// but for its lane, which is the scheduler's.
#pragma once

#include <stddef.h>

#include "engine/arch/model.h"
#include "engine/constraint.h"
#include "engine/engine.h"
#include "engine/lane.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"

struct engine_model {
    struct engine *engine;
    struct model_file *file;
    struct tokenizer *tokenizer;
    struct model *model;
    struct chat_template chat;
    struct engine_model_info info;
    char *name, *file_name, *fingerprint;
    uint32_t context_max;
    size_t piece_bytes_max; // no token's bytes are longer
    int32_t *eog;           // the tokens that end a generation
    size_t n_eog;
    struct grammars *grammars; // has locks of its own
    struct lane lane;
    char *kv_type;          // as asked; NULL = the model's own
    _Atomic bool is_loaded; // has its weights in memory (residence.h)
};

// Its weights, packed by the calling thread: other models go on computing. They are the caller's.
enum err engine_model_open_weights(const struct engine_model *m, const struct engine *e,
                                   struct model **ret, struct diag *d) MUST_USE;
// The model whose lane it is.
static inline struct engine_model *lane_owner(struct lane *l)
{
    return (struct engine_model *)((char *)l - offsetof(struct engine_model, lane));
}

void engine_model_free(struct engine_model *m);
// Enough for any record of a job with this request.
size_t engine_model_record_bytes(const struct engine_model *m, const struct engine_request *r);
// Bounds and ranges of a request, but for the length of a prompt that is text.
enum err request_check(const struct engine_model *m, const struct engine_request *r,
                       struct diag *d) MUST_USE;
// The prompt of n tokens and the answer fit the context; *ret_tokens_max is their sum.
enum err request_check_length(const struct engine_model *m, const struct engine_request *r,
                              size_t n_prompt, uint32_t *ret_tokens_max, struct diag *d) MUST_USE;
