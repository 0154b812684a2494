// A model on disk (or in memory), whatever its format, as one neutral view: hyper-parameters,
// tensors under GGUF's names, vocabulary. GGUF v2/v3 files, and Hugging Face folders (config.json,
// *.safetensors, tokenizer.json or vocab.json + merges.txt) are read. The file is mapped read-only
// and never copied; everything here points into it or into the model_file's own arena. Immutable
// after open, so any thread may read. Every offset, count, dimension, type and length is checked
// before use; a refusal names what is wrong.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/fs.h"

enum tensor_type { // values are ggml's
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q4_1 = 3,
    TENSOR_Q8_0 = 8,
    TENSOR_Q4_K = 12,
    TENSOR_Q5_K = 13,
    TENSOR_Q6_K = 14,
    TENSOR_BF16 = 30,
};
const char *tensor_type_name(enum tensor_type t);     // "Q8_0"
uint32_t tensor_type_block(enum tensor_type t);       // values a block: 1, 32, 256
uint32_t tensor_type_block_bytes(enum tensor_type t); // bytes a block: 4, 34, …

struct tensor {
    str name; // GGUF's: "blk.0.attn_qkv.weight"
    enum tensor_type type;
    uint32_t n_dims;
    uint64_t dims[4];    // dims[0] is contiguous (columns), as in GGUF; absent ones are 1
    bool transposed;     // Hugging Face Conv1D: dims describe the bytes as they lie, so dims[0] =
                         // out (contiguous), dims[1] = in; rows are inputs, not outputs
    uint32_t halves;     // Hugging Face llama, q and k: not 0 = the rows of each head of so many
                         // lie as (i, i + halves/2); rows are numbered as GGUF has them,
                         // (2i, 2i+1), so that both sum in one order (tensor_halves_row)
    const uint8_t *data; // size_bytes bytes inside the map; may be unaligned
    uint64_t size_bytes;
};

enum model_arch { ARCH_GPT2, ARCH_LLAMA, ARCH_OTHER /* only in files without tensors */ };
enum rope_kind { ROPE_NONE, ROPE_NORM /* pairs (2i,2i+1) */, ROPE_NEOX /* pairs (i, i+d/2) */ };
// Llama 3.1's scaling comes as hyper-parameters from a folder, and as a tensor "rope_freqs.weight"
// (rope_dims / 2 divisors of the frequencies, f32) in a GGUF file: honour the tensor when it is
// there.
enum rope_scaling {
    ROPE_SCALING_NONE,
    ROPE_SCALING_LINEAR,
    ROPE_SCALING_LLAMA3,
    ROPE_SCALING_YARN
};

// What YaRN needs beside factor and original context. The factor on cosines and sines is
// attention_factor (0: by formula from the scaling factor and, where both are given, mscale and
// mscale_all_dim) times attention_times.
struct yarn_params {
    float beta_fast, beta_slow; // turns over the original context
    bool whole_dims;            // the ramp begins and ends at whole dimensions
    float attention_factor, mscale, mscale_all_dim, attention_times;
};

enum layer_kind {
    LAYER_WINDOWED = 1, // sees sliding_window positions
    LAYER_UNTURNED = 2  // q and k are not rotated (smollm3's "NoPE" layers)
};

enum pooling { POOLING_UNSAID, POOLING_MEAN, POOLING_LAST }; // of embeddings; others are unsaid

struct hparams {
    enum model_arch arch;
    str arch_name, name; // "llama", "qwen2", …; general.name or ""
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx;
    float norm_eps;
    enum rope_kind rope;
    uint32_t rope_dims;
    float rope_base;
    enum rope_scaling rope_scaling;
    float rope_factor, rope_low_freq_factor, rope_high_freq_factor;
    uint32_t rope_original_ctx;
    struct yarn_params yarn;
    uint32_t sliding_window;    // 0 = none
    const uint8_t *layer_kinds; // [n_layer], enum layer_kind; NULL: all windowed, all rotated
    enum pooling pooling;
    bool tied_head; // no "output.weight": token_embd is used
    bool qk_norm;   // qwen3: blk.N.attn_q_norm / attn_k_norm
};

enum vocab_kind {
    VOCAB_NONE,
    VOCAB_BPE /* byte-level */,
    VOCAB_SPM /* sentencepiece-style with scores */,
    VOCAB_WPM /* refused by text/ */
};
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

struct vocab {
    enum vocab_kind kind;
    str pre; // pre-tokenizer's name: "gpt-2", "llama-bpe", "qwen2", "smollm", …; "" when absent
    uint32_t n_tokens;
    const str *tokens;    // as stored (GPT-2's printable byte alphabet for BPE, U+2581 for SPM)
    const float *scores;  // NULL when absent
    const int32_t *types; // enum token_type; NULL = all normal
    uint32_t n_merges;
    const str *merges;               // "a b" in rank order
    int32_t bos, eos, eot, unk, pad; // -1 = none
    bool add_bos, add_eos, add_space_prefix, ignore_merges;
    str chat_template; // Jinja source, or ""
};

struct model_file;

// `path`: a GGUF file or a Hugging Face folder.
enum err model_file_open(const char *path, struct model_file **ret, struct diag *d) MUST_USE;
// A GGUF image in memory that outlives the model_file.
enum err model_file_from_memory(str image, struct model_file **ret, struct diag *d) MUST_USE;
void model_file_free(struct model_file *f);

// vocab-only files (no tensors) have hparams with n_layer possibly set but no tensors: arch/
// refuses them, text/ takes them.
const struct hparams *model_file_hparams(const struct model_file *f);
const struct vocab *model_file_vocab(const struct model_file *f);
const struct tensor *model_file_tensor(const struct model_file *f,
                                       const char *name); // NULL when absent
size_t model_file_tensor_count(const struct model_file *f);
const struct tensor *model_file_tensor_at(const struct model_file *f, size_t i);
// SHA-256 over metadata and tensor headers and a sample of each tensor's data (fast), hex: names
// the model in system_fingerprint.
const char *model_file_fingerprint(const struct model_file *f);
uint64_t model_file_bytes(const struct model_file *f);
// Metadata (GGUF's, or config.json's top members) as text for `weir model info`: the i-th key;
// false at the end. Control bytes are replaced; long values are cut.
bool model_file_meta(const struct model_file *f, size_t i, str *ret_key, str *ret_value,
                     struct arena *a);

// The place in the data of row `row`.
static inline uint64_t tensor_halves_row(uint32_t halves, uint64_t row)
{
    uint64_t i = halves ? row % halves : 0;
    return row - i + i / 2 + (i % 2) * (halves / 2);
}

// Element-wise reading for the repacker and oracles: row `r` (dims[0] values) as f32, exactly the
// format's own value.
enum err tensor_row_f32(const struct tensor *t, uint64_t row, float *out) MUST_USE;
