// GPT-2 forward and backward passes for the trainer, in f32 over OpenBLAS.
//
// A pack is a run of whole documents laid one after another. Attention never crosses a document and
// positions start at 0 in each, so that training sees what serving sees. Parameters lie in one
// array in the order of enum part; every matrix is [outputs][inputs]. The head shares the token
// embedding.
//
// Thread: a struct work belongs to one thread at a time; parameters are only read.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct shape {
    size_t vocab, ctx, width, layers, heads;
};

enum part {
    PART_TOKEN,
    PART_POSITION,
    PART_NORM1_W,
    PART_NORM1_B,
    PART_QKV_W,
    PART_QKV_B,
    PART_OUT_W,
    PART_OUT_B,
    PART_NORM2_W,
    PART_NORM2_B,
    PART_UP_W,
    PART_UP_B,
    PART_DOWN_W,
    PART_DOWN_B,
    PART_NORM_W,
    PART_NORM_B,
    PARTS
};

struct layout {
    struct shape shape;
    size_t offset[PARTS]; // in floats from the start of the parameters
    size_t length[PARTS]; // all layers together
    size_t total;
};

// Document lengths in the order of the pack; token i is followed by target[i], which counts
// weight[i] in the loss.
struct pack {
    size_t tokens, docs;
    size_t *doc_tokens;
    uint16_t *token, *target;
    float *weight;
};

struct work; // activations for packs of up to a fixed number of tokens

void layout_init(struct layout *l, struct shape shape);
// The part's values for one layer (or the whole part where it has no layers).
float *layout_at(const struct layout *l, float *params, enum part part, size_t layer);
void model_random(const struct layout *l, float *params, uint64_t *rng);

struct work *work_new(const struct layout *l, size_t tokens_max);
void work_free(struct work *w);

// Returns the weighted sum of the losses (nats). With grad, writes scale * d(loss)/d(params) there.
double model_loss(struct work *w, const float *params, const struct pack *pack, float *grad,
                  float scale);
// Probabilities that model_loss left for token i of the pack: valid when it ran without grad.
const float *model_probs(const struct work *w, size_t i);

uint32_t rng_u32(uint64_t *rng);
void *alloc_or_die(size_t count, size_t size);
