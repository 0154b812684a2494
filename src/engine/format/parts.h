// What the readers of the single formats (gguf.c, hf.c …) fill in, shared inside this room only.
// Lifetime and thread: the model_file's.
#pragma once

#include "base/arena.h"
#include "base/fs.h"
#include "engine/format/model_file.h"

struct gguf;

enum {
    MODEL_CONTEXT_MAX = 1 << 20,
    MODEL_LAYERS_MAX = 1024,
    MODEL_TENSORS_MAX = 65536,
    MODEL_SHARDS_MAX = 256
};
#define MODEL_ARENA_BYTES_MAX (1u << 30)

// A shown key and value of a folder's config.json.
struct meta_pair {
    str key, value;
};

struct model_file {
    struct arena arena;
    struct fs_map *maps;
    size_t n_maps;
    struct hparams hparams;
    struct vocab vocab;
    struct tensor *tensors; // as the file orders them
    const struct tensor **by_name;
    size_t n_tensors;
    const struct gguf *gguf; // NULL for a folder
    const struct meta_pair *meta;
    size_t n_meta;
    uint64_t bytes;
    char fingerprint[65];
};

// The rules that both formats obey: ranges of hyper-parameters, vocabulary beside embedding. Fills
// in what follows from the rest (head_dim, rope_dims).
enum err hparams_check(struct hparams *h, struct diag *d) MUST_USE;
enum err vocab_check(const struct vocab *v, struct diag *d) MUST_USE;
// An empty vocabulary: no special tokens.
void vocab_init(struct vocab *v);

// What the architecture's name means; false when this build does not run it.
bool arch_by_name(str name, struct hparams *h);

// YaRN's parameters where a file names none.
void yarn_init(struct yarn_params *y);
// rope_factor and rope_original_ctx are read (the latter maybe as 0): what follows from them.
// given: the original context is the file's own word, so that the factor extends the context.
void yarn_context(struct hparams *h, bool given);
// h->layer_kinds of h->n_layer entries, all `kind`, to be changed by the caller. NULL, without a
// sentence, where the number of layers is out of range (hparams_check refuses it).
uint8_t *layer_kinds_new(struct hparams *h, struct arena *a, enum layer_kind kind);
// Each `every`-th layer is not rotated (0: none).
void layer_kinds_skip_rope(uint8_t *kinds, uint32_t n, uint32_t every);

// Type, dims and n_dims are set: checks them and computes size_bytes without overflow. Names the
// tensor in the refusal.
enum err tensor_check_shape(struct tensor *t, struct diag *d) MUST_USE;

// Fills f->by_name; refuses tensors of one name, and tensors that overlap.
enum err tensors_index(struct model_file *f, struct diag *d) MUST_USE;

// After hparams, vocab and the tensor index are filled in: everything that must hold together.
enum err model_file_check(struct model_file *f, struct diag *d) MUST_USE;
// heads: the bytes that describe the model (metadata, tensor headers).
void model_file_set_fingerprint(struct model_file *f, const str *heads, size_t n_heads);

enum err gguf_hparams(const struct gguf *g, bool has_tensors, struct arena *a, struct hparams *ret,
                      struct diag *d) MUST_USE;
enum err gguf_vocab(const struct gguf *g, struct arena *a, struct vocab *ret,
                    struct diag *d) MUST_USE;
bool gguf_meta(const struct gguf *g, size_t i, str *ret_key, str *ret_value, struct arena *a);

// A zeroed array in the arena (never empty); NULL, with the sentence, past the ceiling.
void *parts_array(struct arena *a, size_t count, size_t size, struct diag *d) MUST_USE;
