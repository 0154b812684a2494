// The inside of a model, shared by the files of arch/: weights as packed, the work space of one
// pass, and the steps of which an architecture's layers are made.
//
// A pass takes rows through all layers in one team_run, in one of two ways.
// Together: few rows are one slice, and all members work on it. A step hands out its units of work
// by a counter and ends with a barrier.
// Apart: many rows are cut into slices, in order, and each member takes the next one through all
// layers alone. What it computes stays in its own caches; it meets the others only at attention,
// where the slices before it must have stored their K and V of that layer. Nobody waits for a later
// slice, so somebody always gets on.
// Logits come last, from all members together. A pass in stages is made together, and its members
// look at the clock after each half of a layer: what is held from one call to the next is x and the
// rotations of its rows. Which member does what, and how rows are
// cut, leaves no trace in the results (kernel.h).
#pragma once

#include <stdatomic.h>

#include "engine/arch/model.h"
#include "engine/kernel/kernel.h"
#include "engine/kernel/panel.h"
#include "engine/kernel/progress.h"
#include "engine/kernel/rope.h"
#include "engine/kernel/team.h"

#define SLICE_ROWS      64
#define SLICE_ROOM      (SLICE_ROWS + KV_POSITIONS - 1) // cuts give way by less than a block
#define HELD_ROWS       48 // of a pass in stages: more are cheaper by the row, fewer end sooner
#define LAYER_STEPS_MAX 12
#define MODEL_ROWS_MAX  4096
#define KV_HEAD_MAX     512 // values a head

struct matrix {
    struct panels panels;
    const float *bias; // NULL = none; padded to LANES
};

struct norm {
    const float *weight, *bias; // bias NULL: RMS norm
};

struct layer {
    struct norm attn_norm, ffn_norm;
    const float *q_norm, *k_norm; // RMS norms over one head, or NULL
    bool turned;                  // q and k are rotated by their position
    uint32_t window;              // positions a query sees; 0 = all
    struct matrix qkv[3];         // one fused, or q, k and v
    struct matrix attn_out, gate, up, down;
};

// Where a row's q, k and v lie in its qkv buffer.
struct qkv_layout {
    size_t q, k, v, total; // floats
};

struct member;
struct loader;
struct device;

// What makes an architecture. A new one is a file with these three. The two halves of a layer read
// and add to x; nothing else outlives them.
struct arch {
    enum err (*load)(struct loader *l, struct model *m);
    void (*attention)(struct member *me, const struct layer *l, size_t index);
    void (*feed_forward)(struct member *me, const struct layer *l);
};
extern const struct arch arch_gpt2, arch_llama;

struct model {
    const struct model_file *file;
    const struct hparams *hp;
    const struct arch *arch;
    const struct kernel *kernel;
    struct team *team;
    struct layer *layers;
    size_t n_qkv; // matrices in layer.qkv
    struct qkv_layout qkv;
    struct norm output_norm;
    struct matrix head;             // its panels are the tied embedding's too
    const struct tensor *embedding; // read from the file; NULL when tied: from head
    const struct tensor *positions; // learned ones, or NULL
    const double *rope_frequencies; // rope_dims / 2, or NULL
    double rope_attention;          // factor on cosines and sines (YaRN's), folded into the tables
    float attention_scale;
    enum kv_type kv_type;
    size_t kv_k_bytes, kv_v_bytes; // of one layer and KV head in a block
    size_t weight_bytes;
    uint8_t *region; // all matrices
    size_t region_bytes;
    struct device *device; // device.h; NULL: computed here
    void **owned;          // every allocation above
    size_t n_owned;
    struct pass *pass; // NULL with a device
};

// A run of consecutive rows of one sequence that one attention unit works on.
struct row_group {
    uint32_t row, n;
};

struct counter {
    _Alignas(64) atomic_size_t next;
};

// Rows that go through the layers together, and room for what becomes of them. On a device: all
// rows of a pass, its memory.
struct slice {
    const struct model_row *rows;
    size_t n;
    size_t index, first_row; // its place among the slices, and its rows' in the pass
    struct row_group groups[SLICE_ROOM];
    size_t n_groups;
    // [row][…], strides in floats, multiples of LANES
    float *x, *h, *qkv, *att, *y, *up, *gate;
    size_t embd_stride, qkv_stride, att_stride, ff_stride;
    struct act_block *act; // quantised form of the current step's input
    size_t act_stride;
    float *cosines, *sines; // [row][rope_dims/2]
};

struct pass {
    struct model *m;
    const struct model_row *rows;
    size_t n;
    uint8_t *pool;
    bool together;
    size_t n_slices, *starts; // first rows; one more: the end
    atomic_size_t next_slice; // nobody has taken it yet
    struct progress *stored;  // [slice] layers whose K and V are written
    struct slice *room;       // [member]; together they work in the first
    struct counter *counters; // of the steps that members make together
    size_t n_counters, n_used;
    // Rows that want logits: their last states, and where these go.
    size_t n_logits, last_rows; // last_rows: room in `last`
    float *last;                // [n_logits][embd_stride]
    float **logits;
    uint32_t *logits_row, *logits_at; // row of the pass; its inverse
    float *scores;                    // [member]
    size_t scores_stride;
    atomic_bool *bad; // [row]
    // A pass in stages: what lasts from one to the next is its own, the rest is room[0]'s.
    struct slice held;
    uint32_t stage; // that comes next
    bool pauses;    // before it
    uint64_t until_us;
    uint64_t stage_us[3]; // what one of its kind took lately
};

// A member's place in the pass.
struct member {
    struct pass *pass; // NULL on a device
    struct slice *slice;
    struct model *m;
    size_t index, size; // size: members that share its steps
    size_t step;        // counts the steps made together; names the counter
    size_t next;        // unit of a step made alone
};

// One product of a step: w times the step's input, to out[row * stride].
struct product {
    const struct matrix *w;
    float *out;
    size_t stride;
};

enum after { AFTER_NOTHING, AFTER_GELU, AFTER_ADD_TO_X };

static inline bool matrix_quantised(const struct matrix *w)
{
    return panel_kind_quantised(w->panels.kind);
}

// --- pass.c
struct pass *pass_new(struct model *m);
void pass_free(struct pass *p);
// Up to MODEL_ROWS_MAX rows. *ret_bad, SIZE_MAX before: the first whose state or logits are not
// finite.
void pass_run(struct pass *p, uint8_t *pool, const struct model_row *rows, size_t n,
              size_t *ret_bad);
// Up to HELD_ROWS rows, together, in stages (model.h): each half of a layer is one, the logits the
// last.
void pass_run_until(struct pass *p, uint8_t *pool, const struct model_row *rows, size_t n,
                    uint64_t until_us, uint32_t *stage, size_t *ret_bad);
// Strides of a slice's rows.
void slice_strides(struct slice *s, const struct model *m);

// --- steps.c. Who works together meets at the end of each.
// x = embedding of the row's token, and of its position where these are learned; rotations.
void step_embed(struct member *me);
// h = norm(x); its quantised form too when the next products ask for it.
void step_norm(struct member *me, const struct norm *norm, bool quantised);
// The quantised form of rows of n values.
void step_quantise(struct member *me, const float *in, size_t stride, size_t n);
// out = w * in + bias for each product; `after` is applied to the outputs.
void step_products(struct member *me, const struct product *list, size_t n, const float *in,
                   size_t in_stride, enum after after);
// gate = silu(gate_w * h) * (up_w * h)
void step_gated(struct member *me, const struct layer *l);
// Head norms, rotation, and K and V to the cache.
void step_store_kv(struct member *me, const struct layer *l, size_t layer);
void step_attention(struct member *me, size_t layer);
// The last norm of the rows that want their state or logits.
void step_last_norm(struct member *me);
// The logits of all rows of the pass that want them.
void step_logits(struct member *me);

// --- loader.c
// A matrix of rows outputs by cols inputs, or its refusal. *ret must stay where it is: its data
// comes when all are known to be good.
enum err loader_matrix(struct loader *l, const char *name, uint32_t rows, uint32_t cols,
                       struct matrix *ret) MUST_USE;
// A vector as floats, padded to LANES with zeros; *ret NULL when it is absent and not required.
enum err loader_vector(struct loader *l, const char *name, uint32_t n, bool required,
                       const float **ret) MUST_USE;
// A tensor that stays in the file: only its shape is checked.
enum err loader_rows(struct loader *l, const char *name, uint32_t rows, uint32_t cols,
                     const struct tensor **ret) MUST_USE;
// Zeroed, freed with the model.
double *loader_doubles(struct loader *l, size_t n);
enum err loader_refuse(struct loader *l, const char *why);
// "blk.N.suffix", valid until the next call.
const char *loader_name(struct loader *l, uint32_t layer, const char *suffix);
// `packers` pack the matrices.
enum err loader_load(struct model *m, struct team *packers, struct diag *d) MUST_USE;
// Gives the matrices' memory back: they are elsewhere.
void model_forget_region(struct model *m);
