// A model ready to compute: weights repacked into panels, and the forward pass over a batch of rows
// of any sequences. Exactness: each row's logits depend only on the model and that row's own
// tokens, bit for bit, whatever else is in the batch, however the prompt was cut into chunks, and
// on any number of threads and any instruction set (ENGINE.md). Weights are immutable after open.
// model_forward is called by one thread at a time (the scheduler); it uses the team inside.
#pragma once

#include "base/err.h"
#include "engine/format/model_file.h"

#define KV_BLOCK_POSITIONS 16

struct model;
struct team; // engine/kernel/team.h: the fixed set of compute threads

struct model_options {
    const char *isa;     // NULL = best this CPU has; "portable" "avx2" "avx512" "amx" "neon"
    const char *kv_type; // "f32" "f16" "q8_0"; NULL = the model's numerics (f32 for F32 models, f16
                         // otherwise)
    const char *device;  // NULL or "cpu"; "cuda", "cuda:1": a GPU, with the same bits. K and V are
                         // then there, by the engine's block numbers; the pool here is not touched
    struct team *packers; // packs the weights instead of the team that computes later; NULL = it
    bool device_check;    // refuse a GPU that computes other bits than this processor
};

// Whether model_open could compute it, as far as its description tells.
enum err model_check(const struct model_file *f, struct diag *d) MUST_USE;
// Repacks (the file may be closed afterwards only if model_borrows_file says false). Refuses
// tensors whose shapes do not match.
enum err model_open(const struct model_file *f, const struct model_options *o, struct team *team,
                    struct model **ret, struct diag *d) MUST_USE;
void model_free(struct model *m);
bool model_borrows_file(const struct model *m);
const struct hparams *model_hparams(const struct model *m);
const char *model_isa(const struct model *m); // "avx512" …, or "cuda"
bool model_is_on_device(const struct model *m);
size_t model_weight_bytes(const struct model *m);
const char *model_kv_type(const struct model *m); // "f32", "f16" or "q8_0"
bool model_kv_is_usual(const struct model *m);    // what an absent choice would be

// K and V of KV_BLOCK_POSITIONS positions, all layers: size of one block. The engine owns the pool:
// block b is pool + b*bytes (64-aligned).
size_t model_kv_block_bytes(const struct model *m);
// Bytes that K and V of this model can take where they lie; UINT64_MAX: what the engine allows.
uint64_t model_kv_room(const struct model *m);

struct model_row {
    int32_t token;
    uint32_t position;
    const uint32_t
        *blocks;   // the sequence's block table: position p lives in blocks[p / 16], slot p % 16
    float *logits; // n_vocab floats, or NULL: not wanted
    float *hidden; // n_embd floats after the last norm (embeddings), or NULL
};

// Rows of one sequence stand in ascending position; all their K and V are written before any query
// of the same layer reads them. ERR_INVALID when a logit is not finite: ret_row (may be NULL) names
// the first such row; other rows are good. Any other error: the device failed, and no row is good.
enum err model_forward(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                       size_t n_rows, size_t *ret_bad_row) MUST_USE;
// The same for few rows of one sequence, at most model_held_rows_max, in stages: when it is likely
// that the next one would not be over by until_us (clock_mono_us), it returns, and goes on when it
// is called again with the same rows; at least one stage a call. *stage is 0 at first,
// MODEL_STAGE_DONE at the end. Passes in between change nothing, but K and V of these rows are the
// model's meanwhile. Beginning anew forgets what was held.
#define MODEL_STAGE_DONE UINT32_MAX
enum err model_forward_until(struct model *m, uint8_t *kv_pool, const struct model_row *rows,
                             size_t n_rows, uint64_t until_us, uint32_t *stage,
                             size_t *ret_bad_row) MUST_USE;
size_t model_held_rows_max(const struct model *m); // 0: this model holds nothing
// Most rows one call takes (work space is allocated at open).
size_t model_rows_max(const struct model *m);
