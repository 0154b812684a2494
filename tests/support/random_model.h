// GGUF models with random weights of a given shape, the same bytes from the same seed on every
// machine. Scaled so that attention is neither flat nor sharp, the residual stream stays near unit
// size, and logits have a standard deviation of about `logit_std`. For tests, benches and oracles.
#pragma once

#include "support/gguf_write.h"

struct random_model {
    const char *arch; // "gpt2", "llama", "qwen2" (q, k and v biases), "qwen3" (q and k norms)
    const char *name;
    uint32_t n_layer, n_embd, n_head, n_head_kv, n_ff, n_ctx;
    uint32_t head_dim; // 0 = n_embd / n_head
    float rope_base;
    enum tensor_type type; // of the matrices; norms, biases and positions are F32
    bool tied_head;
    uint64_t seed;
    float logit_std;
    const struct vocab *vocab; // NULL: made_vocab of this kind, or none with n_vocab rows
    enum vocab_kind vocab_kind;
    uint32_t n_vocab;
    const char *chat_template; // NULL: none beyond the vocabulary's own
};

// 2 layers × 64, 4 heads (llama family: 2 of them for keys and values), context 256, F32, a made
// vocabulary (gpt2: BPE, else SPM), the ChatML template.
void random_model_tiny(const char *arch, struct random_model *ret);
bool random_model_to(const struct random_model *m, gguf_write_sink_fn sink, void *ctx) MUST_USE;
void random_model_image(const struct random_model *m, struct buf *out); // its limit must suffice
