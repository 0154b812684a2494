// A small random model in memory, opened in several ways, and rows to push through it. Aborts on
// misuse. Programs that use it link the room engine/arch.
#pragma once

#include "base/buf.h"
#include "engine/arch/model.h"
#include "engine/kernel/team.h"
#include "support/random_model.h"

#define MADE_POSITIONS 80
#define MADE_BLOCKS    (MADE_POSITIONS / KV_BLOCK_POSITIONS)

struct made_file {
    struct buf image;
    struct model_file *file;
};
// Of the family `arch`, matrices of `type`; wide enough for the type's blocks.
void made_file_init(struct made_file *m, const char *arch, enum tensor_type type, bool tied);
void made_file_done(struct made_file *m);

// An opened model with a pool of `sequences` sequences of MADE_POSITIONS.
struct made_model {
    struct team *team;
    struct model *model;
    uint8_t *pool;
    uint32_t *blocks; // [sequence][MADE_BLOCKS], scattered over the pool
    size_t n_vocab, sequences;
};
void made_model_init(struct made_model *m, const struct made_file *f, const char *isa,
                     size_t threads, size_t sequences, const struct model_options *o);
void made_model_done(struct made_model *m);

// The made token of a sequence at a position; sequences with equal `text` say the same.
int32_t made_token(const struct made_model *m, size_t text, size_t position);
struct model_row made_row(const struct made_model *m, size_t sequence, size_t text, size_t position,
                          float *logits);
