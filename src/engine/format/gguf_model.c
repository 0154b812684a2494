// From GGUF metadata to hyper-parameters and vocabulary.
#include <stdio.h>

#include "engine/format/gguf.h"
#include "engine/format/parts.h"

#include "base/banned.h"

// Keys below "<architecture>.".
struct reader {
    const struct gguf *g;
    str arch;
    bool required; // a file without tensors may lack them
    struct diag *d;
    char key[192];
};

static const char *arch_key(struct reader *r, const char *suffix)
{
    snprintf(r->key, sizeof r->key, STR_FMT ".%s", STR_ARG(r->arch), suffix);
    return r->key;
}

static enum err missing(struct reader *r)
{
    return diag_set(r->d, ERR_INVALID, "metadata key \"%s\" is missing", r->key);
}

static enum err optional_u32(struct reader *r, const char *suffix, uint32_t *ret)
{
    enum err e = gguf_get_u32(r->g, arch_key(r, suffix), ret, r->d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err required_u32(struct reader *r, const char *suffix, uint32_t *ret)
{
    enum err e = gguf_get_u32(r->g, arch_key(r, suffix), ret, r->d);
    if (e != ERR_NOT_FOUND)
        return e;
    return r->required ? missing(r) : ERR_OK;
}

static enum err optional_f32(struct reader *r, const char *suffix, float *ret)
{
    enum err e = gguf_get_f32(r->g, arch_key(r, suffix), ret, r->d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err optional_str(const struct gguf *g, const char *key, str *ret, struct diag *d)
{
    enum err e = gguf_get_str(g, key, ret, d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err read_sizes(struct reader *r, struct hparams *h)
{
    uint32_t value_length = 0, experts = 0, pooling = 0;
    ERR_TRY(required_u32(r, "block_count", &h->n_layer));
    ERR_TRY(required_u32(r, "embedding_length", &h->n_embd));
    ERR_TRY(required_u32(r, "feed_forward_length", &h->n_ff));
    ERR_TRY(required_u32(r, "context_length", &h->n_ctx));
    ERR_TRY(required_u32(r, "attention.head_count", &h->n_head));
    ERR_TRY(optional_u32(r, "attention.head_count_kv", &h->n_head_kv));
    ERR_TRY(optional_u32(r, "vocab_size", &h->n_vocab));
    ERR_TRY(optional_u32(r, "attention.key_length", &h->head_dim));
    ERR_TRY(optional_u32(r, "attention.value_length", &value_length));
    ERR_TRY(optional_u32(r, "attention.sliding_window", &h->sliding_window));
    ERR_TRY(optional_u32(r, "expert_count", &experts));
    ERR_TRY(optional_u32(r, "pooling_type", &pooling));
    h->pooling = pooling == 3 ? POOLING_LAST : pooling == 1 ? POOLING_MEAN : POOLING_UNSAID;
    if (experts)
        return diag_set(r->d, ERR_UNSUPPORTED,
                        "a mixture of %u experts, which this build does not run", experts);
    uint32_t key_length = h->head_dim ? h->head_dim : h->n_head ? h->n_embd / h->n_head : 0;
    if (value_length && value_length != key_length)
        return diag_set(r->d, ERR_UNSUPPORTED,
                        "keys of %u and values of %u dimensions a head: they must be equal",
                        key_length, value_length);
    return ERR_OK;
}

static enum err read_eps(struct reader *r, struct hparams *h)
{
    const char *suffix =
        h->arch == ARCH_GPT2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon";
    enum err e = gguf_get_f32(r->g, arch_key(r, suffix), &h->norm_eps, r->d);
    if (e != ERR_NOT_FOUND)
        return e;
    return r->required ? missing(r) : ERR_OK;
}

// What llama.cpp's files may say of YaRN and we do not compute.
static enum err refuse_yarn(struct reader *r, const char *suffix, float usual)
{
    float v = usual;
    ERR_TRY(optional_f32(r, suffix, &v));
    if (v == usual)
        return ERR_OK;
    return diag_set(r->d, ERR_UNSUPPORTED,
                    "metadata key \"%s\" is %g, which this build does not compute", r->key,
                    (double)v);
}

static enum err read_yarn(struct reader *r, struct hparams *h)
{
    struct yarn_params *y = &h->yarn;
    h->rope_scaling = ROPE_SCALING_YARN;
    yarn_init(y);
    ERR_TRY(optional_f32(r, "rope.scaling.factor", &h->rope_factor));
    ERR_TRY(optional_f32(r, "rope.scaling.attn_factor", &y->attention_times));
    ERR_TRY(optional_f32(r, "rope.scaling.yarn_beta_fast", &y->beta_fast));
    ERR_TRY(optional_f32(r, "rope.scaling.yarn_beta_slow", &y->beta_slow));
    ERR_TRY(refuse_yarn(r, "rope.scaling.yarn_ext_factor", 1.0f));
    ERR_TRY(refuse_yarn(r, "rope.scaling.yarn_attn_factor", 1.0f));
    ERR_TRY(refuse_yarn(r, "rope.scaling.yarn_log_multiplier", 0.0f));
    yarn_context(h, h->rope_original_ctx > 0);
    return ERR_OK;
}

// Which layers see the window and which are rotated.
static enum err read_layers(struct reader *r, struct arena *a, struct hparams *h)
{
    const uint8_t *windowed;
    enum err e = gguf_get_bools(r->g, arch_key(r, "attention.sliding_window_pattern"), h->n_layer,
                                &windowed, r->d);
    bool listed = e == ERR_OK, smollm3 = str_eq_z(r->arch, "smollm3");
    if (e != ERR_NOT_FOUND)
        ERR_TRY(e);
    if (!listed && !smollm3)
        return ERR_OK;
    uint8_t *kinds = layer_kinds_new(h, a, LAYER_WINDOWED);
    for (uint32_t i = 0; kinds && listed && i < h->n_layer; i++)
        kinds[i] = windowed[i] ? LAYER_WINDOWED : 0;
    if (kinds && smollm3) // the file does not say it: so it was trained
        layer_kinds_skip_rope(kinds, h->n_layer, 4);
    return ERR_OK;
}

static enum err read_rope(struct reader *r, struct hparams *h)
{
    str scaling = STR_NONE;
    float linear = 0.0f;
    h->rope_base = 10000.0f;
    h->rope_factor = 1.0f;
    ERR_TRY(optional_u32(r, "rope.dimension_count", &h->rope_dims));
    ERR_TRY(optional_f32(r, "rope.freq_base", &h->rope_base));
    ERR_TRY(optional_u32(r, "rope.scaling.original_context_length", &h->rope_original_ctx));
    ERR_TRY(optional_f32(r, "rope.scale_linear", &linear)); // its name before rope.scaling.*
    ERR_TRY(optional_str(r->g, arch_key(r, "rope.scaling.type"), &scaling, r->d));
    if (scaling.len == 0 && linear != 0.0f) {
        scaling = STR("linear");
        h->rope_factor = linear;
    }
    if (scaling.len == 0 || str_eq_z(scaling, "none"))
        return ERR_OK;
    if (str_eq_z(scaling, "yarn"))
        return read_yarn(r, h);
    if (!str_eq_z(scaling, "linear"))
        return diag_set(r->d, ERR_UNSUPPORTED,
                        "RoPE scaling of type \"" STR_FMT "\", which this build does not compute",
                        STR_ARG(scaling));
    h->rope_scaling = ROPE_SCALING_LINEAR;
    return optional_f32(r, "rope.scaling.factor", &h->rope_factor);
}

enum err gguf_hparams(const struct gguf *g, bool has_tensors, struct arena *a, struct hparams *ret,
                      struct diag *d)
{
    struct hparams h = {0};
    str arch;
    enum err e = gguf_get_str(g, "general.architecture", &arch, d);
    if (e == ERR_NOT_FOUND)
        return diag_set(d, ERR_INVALID, "metadata key \"general.architecture\" is missing");
    ERR_TRY(e);
    if (!arch_by_name(arch, &h) && has_tensors)
        return diag_set(d, ERR_UNSUPPORTED,
                        "architecture \"" STR_FMT "\" is not supported; gpt2, llama, qwen2, "
                        "qwen3 and smollm3 are",
                        STR_ARG(arch));
    ERR_TRY(optional_str(g, "general.name", &h.name, d));
    struct reader r = {.g = g, .arch = arch, .required = has_tensors, .d = d};
    if (h.arch != ARCH_OTHER) {
        ERR_TRY(read_sizes(&r, &h));
        ERR_TRY(read_eps(&r, &h));
        if (h.rope != ROPE_NONE)
            ERR_TRY(read_rope(&r, &h));
        ERR_TRY(read_layers(&r, a, &h));
    }
    *ret = h;
    return ERR_OK;
}

static enum err read_special(const struct gguf *g, const char *key, int32_t *ret, struct diag *d)
{
    uint32_t id;
    enum err e = gguf_get_u32(g, key, &id, d);
    if (e == ERR_NOT_FOUND)
        return ERR_OK;
    ERR_TRY(e);
    if (id > INT32_MAX)
        return diag_set(d, ERR_INVALID, "metadata key \"%s\" is %u: out of range", key, id);
    *ret = (int32_t)id;
    return ERR_OK;
}

static enum err read_specials(const struct gguf *g, struct vocab *v, struct diag *d)
{
    if (v->kind == VOCAB_SPM && v->n_tokens > 2) { // sentencepiece's customary places
        v->unk = 0;
        v->bos = 1;
        v->eos = 2;
    }
    ERR_TRY(read_special(g, "tokenizer.ggml.bos_token_id", &v->bos, d));
    ERR_TRY(read_special(g, "tokenizer.ggml.eos_token_id", &v->eos, d));
    ERR_TRY(read_special(g, "tokenizer.ggml.eot_token_id", &v->eot, d));
    ERR_TRY(read_special(g, "tokenizer.ggml.unknown_token_id", &v->unk, d));
    return read_special(g, "tokenizer.ggml.padding_token_id", &v->pad, d);
}

static enum err optional_bool(const struct gguf *g, const char *key, bool *ret, struct diag *d)
{
    enum err e = gguf_get_bool(g, key, ret, d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err read_flags(const struct gguf *g, struct vocab *v, struct diag *d)
{
    // Llama 3's and Mistral Nemo's tokenizers take a whole word that is a token before any merge,
    // and begin with bos; the files say neither.
    bool whole_words = str_eq_z(v->pre, "llama-bpe") || str_eq_z(v->pre, "llama3") ||
                       str_eq_z(v->pre, "llama-v3") || str_eq_z(v->pre, "tekken");
    v->ignore_merges = whole_words;
    v->add_bos = v->kind == VOCAB_SPM || whole_words;
    v->add_space_prefix = v->kind == VOCAB_SPM;
    ERR_TRY(optional_bool(g, "tokenizer.ggml.add_bos_token", &v->add_bos, d));
    ERR_TRY(optional_bool(g, "tokenizer.ggml.add_eos_token", &v->add_eos, d));
    return optional_bool(g, "tokenizer.ggml.add_space_prefix", &v->add_space_prefix, d);
}

static enum err same_length(const char *what, uint32_t n, uint32_t n_tokens, struct diag *d)
{
    if (n == n_tokens)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "the vocabulary has %u tokens but %u %s", n_tokens, n, what);
}

static enum err read_tables(const struct gguf *g, struct arena *a, struct vocab *v, struct diag *d)
{
    uint32_t n;
    enum err e = gguf_get_strs(g, "tokenizer.ggml.tokens", a, &v->tokens, &v->n_tokens, d);
    if (e == ERR_NOT_FOUND)
        return diag_set(d, ERR_INVALID, "metadata key \"tokenizer.ggml.tokens\" is missing");
    ERR_TRY(e);
    e = gguf_get_f32s(g, "tokenizer.ggml.scores", a, &v->scores, &n, d);
    if (e != ERR_NOT_FOUND) {
        ERR_TRY(e);
        ERR_TRY(same_length("scores", n, v->n_tokens, d));
    }
    e = gguf_get_i32s(g, "tokenizer.ggml.token_type", a, &v->types, &n, d);
    if (e != ERR_NOT_FOUND) {
        ERR_TRY(e);
        ERR_TRY(same_length("token types", n, v->n_tokens, d));
    }
    e = gguf_get_strs(g, "tokenizer.ggml.merges", a, &v->merges, &v->n_merges, d);
    if (e == ERR_NOT_FOUND && v->kind == VOCAB_BPE)
        return diag_set(d, ERR_INVALID, "metadata key \"tokenizer.ggml.merges\" is missing");
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err read_kind(str model, struct vocab *v, struct diag *d)
{
    if (model.len == 0 || str_eq_z(model, "none") || str_eq_z(model, "no_vocab"))
        v->kind = VOCAB_NONE;
    else if (str_eq_z(model, "gpt2"))
        v->kind = VOCAB_BPE;
    else if (str_eq_z(model, "llama"))
        v->kind = VOCAB_SPM;
    else if (str_eq_z(model, "bert"))
        v->kind = VOCAB_WPM;
    else
        return diag_set(d, ERR_UNSUPPORTED,
                        "tokenizer \"" STR_FMT "\" is not supported; gpt2 (byte-level BPE) and "
                        "llama (SentencePiece) are",
                        STR_ARG(model));
    return ERR_OK;
}

enum err gguf_vocab(const struct gguf *g, struct arena *a, struct vocab *ret, struct diag *d)
{
    struct vocab v;
    str model = STR_NONE;
    vocab_init(&v);
    ERR_TRY(optional_str(g, "tokenizer.ggml.model", &model, d));
    ERR_TRY(read_kind(model, &v, d));
    ERR_TRY(optional_str(g, "tokenizer.chat_template", &v.chat_template, d));
    if (v.kind != VOCAB_NONE) {
        ERR_TRY(optional_str(g, "tokenizer.ggml.pre", &v.pre, d));
        ERR_TRY(read_tables(g, a, &v, d));
        ERR_TRY(read_specials(g, &v, d));
        ERR_TRY(read_flags(g, &v, d));
    }
    *ret = v;
    return ERR_OK;
}
