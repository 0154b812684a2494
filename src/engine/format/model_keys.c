// The metadata of a GGUF file that is written: another GGUF file's, or a folder's in GGUF's words.
#include <stdio.h>

#include "engine/format/model_plan.h"
#include "engine/format/parts.h"

#include "base/banned.h"

// llama.cpp's numbers for "mostly of this type" (general.file_type).
static uint32_t file_type(enum tensor_type t)
{
    static const struct {
        enum tensor_type type;
        uint32_t number;
    } known[] = {{TENSOR_F32, 0},   {TENSOR_F16, 1},   {TENSOR_Q4_0, 2},
                 {TENSOR_Q4_1, 3},  {TENSOR_Q8_0, 7},  {TENSOR_Q4_K, 14},
                 {TENSOR_Q5_K, 16}, {TENSOR_Q6_K, 18}, {TENSOR_BF16, 32}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (known[i].type == t)
            return known[i].number;
    return 0;
}

static void type_keys(enum tensor_type type, struct gguf_writer *w)
{
    enum { QUANTISATION_VERSION = 2 };
    gguf_writer_u32(w, "general.file_type", file_type(type));
    gguf_writer_u32(w, "general.quantization_version", QUANTISATION_VERSION);
}

static void carry_over(const struct gguf *g, struct gguf_writer *w)
{
    for (size_t i = 0; i < g->n_kv; i++) {
        str key = g->kv[i].key;
        if (!str_eq_z(key, "general.file_type") && !str_eq_z(key, "general.quantization_version"))
            gguf_writer_copy(w, &g->kv[i]);
    }
}

// Keys below "<architecture>.".
struct shape {
    struct gguf_writer *w;
    const struct hparams *h;
    str arch;
    char key[192];
};

static const char *key_of(struct shape *s, const char *suffix)
{
    snprintf(s->key, sizeof s->key, STR_FMT ".%s", STR_ARG(s->arch), suffix);
    return s->key;
}

static void size(struct shape *s, const char *suffix, uint32_t v)
{
    gguf_writer_u32(s->w, key_of(s, suffix), v);
}

static void number(struct shape *s, const char *suffix, float v)
{
    gguf_writer_f32(s->w, key_of(s, suffix), v);
}

static enum err yarn_keys(struct shape *s, struct diag *d)
{
    const struct yarn_params *y = &s->h->yarn;
    if (y->attention_factor != 0.0f || y->mscale != 0.0f || y->mscale_all_dim != 0.0f ||
        !y->whole_dims)
        return diag_set(d, ERR_UNSUPPORTED,
                        "config.json: YaRN with an attention factor, mscale or bounds of its own "
                        "cannot be said in a GGUF file");
    gguf_writer_str(s->w, key_of(s, "rope.scaling.type"), STR("yarn"));
    number(s, "rope.scaling.factor", s->h->rope_factor);
    size(s, "rope.scaling.original_context_length", s->h->rope_original_ctx);
    number(s, "rope.scaling.yarn_beta_fast", y->beta_fast);
    number(s, "rope.scaling.yarn_beta_slow", y->beta_slow);
    return ERR_OK;
}

static enum err rope_keys(struct shape *s, struct diag *d)
{
    const struct hparams *h = s->h;
    size(s, "rope.dimension_count", h->rope_dims);
    number(s, "rope.freq_base", h->rope_base);
    switch (h->rope_scaling) {
    case ROPE_SCALING_NONE:
    case ROPE_SCALING_LLAMA3: // a tensor
        return ERR_OK;
    case ROPE_SCALING_LINEAR:
        gguf_writer_str(s->w, key_of(s, "rope.scaling.type"), STR("linear"));
        number(s, "rope.scaling.factor", h->rope_factor);
        return ERR_OK;
    case ROPE_SCALING_YARN:
        return yarn_keys(s, d);
    }
    return ERR_OK;
}

// A file says which layers have a window. Which are not rotated follows from the architecture.
static enum err layer_keys(struct shape *s, struct diag *d)
{
    const struct hparams *h = s->h;
    bool windowed[MODEL_LAYERS_MAX], all = true, usual = true;
    bool smollm3 = str_eq_z(h->arch_name, "smollm3");
    for (uint32_t i = 0; i < h->n_layer; i++) {
        uint8_t kind = h->layer_kinds ? h->layer_kinds[i] : LAYER_WINDOWED;
        windowed[i] = kind & LAYER_WINDOWED;
        all = all && windowed[i];
        usual = usual && !!(kind & LAYER_UNTURNED) == (smollm3 && (i + 1) % 4 == 0);
    }
    if (!usual)
        return diag_set(d, ERR_UNSUPPORTED,
                        "config.json: these \"no_rope_layers\" cannot be said in a GGUF file");
    if (h->sliding_window)
        size(s, "attention.sliding_window", h->sliding_window);
    if (h->sliding_window && !all)
        gguf_writer_bools(s->w, key_of(s, "attention.sliding_window_pattern"), windowed,
                          h->n_layer);
    return ERR_OK;
}

static enum err shape_keys(struct shape *s, struct diag *d)
{
    const struct hparams *h = s->h;
    bool rms = h->arch == ARCH_LLAMA;
    size(s, "block_count", h->n_layer);
    size(s, "context_length", h->n_ctx);
    size(s, "embedding_length", h->n_embd);
    size(s, "feed_forward_length", h->n_ff);
    size(s, "attention.head_count", h->n_head);
    size(s, "attention.head_count_kv", h->n_head_kv);
    gguf_writer_f32(
        s->w, key_of(s, rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon"),
        h->norm_eps);
    size(s, "vocab_size", h->n_vocab);
    if (!rms)
        return ERR_OK;
    size(s, "attention.key_length", h->head_dim);
    size(s, "attention.value_length", h->head_dim);
    ERR_TRY(layer_keys(s, d));
    return rope_keys(s, d);
}

static void special(struct gguf_writer *w, const char *key, int32_t id)
{
    if (id >= 0)
        gguf_writer_u32(w, key, (uint32_t)id);
}

static void vocab_keys(const struct vocab *v, struct gguf_writer *w)
{
    bool spm = v->kind == VOCAB_SPM;
    gguf_writer_str(w, "tokenizer.ggml.model", spm ? STR("llama") : STR("gpt2"));
    gguf_writer_str(w, "tokenizer.ggml.pre", v->pre.len ? v->pre : STR("default"));
    gguf_writer_strs(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    if (v->scores)
        gguf_writer_f32s(w, "tokenizer.ggml.scores", v->scores, v->n_tokens);
    if (v->types)
        gguf_writer_i32s(w, "tokenizer.ggml.token_type", v->types, v->n_tokens);
    if (!spm)
        gguf_writer_strs(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    special(w, "tokenizer.ggml.bos_token_id", v->bos);
    special(w, "tokenizer.ggml.eos_token_id", v->eos);
    special(w, "tokenizer.ggml.eot_token_id", v->eot);
    special(w, "tokenizer.ggml.unknown_token_id", v->unk);
    special(w, "tokenizer.ggml.padding_token_id", v->pad);
    gguf_writer_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos);
    gguf_writer_bool(w, "tokenizer.ggml.add_eos_token", v->add_eos);
    if (spm)
        gguf_writer_bool(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix);
    if (v->chat_template.len)
        gguf_writer_str(w, "tokenizer.chat_template", v->chat_template);
}

// A reader of the file takes whole words before merges when the pre-tokenizer's name says so, and
// only then: a folder that differs would read other tokens out of its own file.
static enum err check_vocab(const struct vocab *v, struct diag *d)
{
    bool by_name = str_eq_z(v->pre, "llama-bpe") || str_eq_z(v->pre, "tekken");
    if (v->kind == VOCAB_BPE && v->ignore_merges != by_name)
        return diag_set(d, ERR_UNSUPPORTED,
                        "tokenizer.json: \"ignore_merges\" with the pre-tokenizer \"" STR_FMT
                        "\" cannot be said in a GGUF file",
                        STR_ARG(v->pre));
    return ERR_OK;
}

enum err plan_keys(const struct model_file *f, enum tensor_type type, struct gguf_writer *w,
                   struct diag *d)
{
    const struct hparams *h = &f->hparams;
    if (f->gguf) {
        carry_over(f->gguf, w);
        type_keys(type, w);
        return ERR_OK;
    }
    ERR_TRY(check_vocab(&f->vocab, d));
    bool mistral = str_eq_z(h->arch_name, "mistral"); // which GGUF calls llama
    struct shape s = {.w = w, .h = h, .arch = mistral ? STR("llama") : h->arch_name};
    gguf_writer_str(w, "general.architecture", s.arch);
    if (h->name.len)
        gguf_writer_str(w, "general.name", h->name);
    type_keys(type, w);
    ERR_TRY(shape_keys(&s, d));
    if (f->vocab.kind == VOCAB_BPE || f->vocab.kind == VOCAB_SPM)
        vocab_keys(&f->vocab, w);
    else
        gguf_writer_str(w, "tokenizer.ggml.model", STR("none"));
    return ERR_OK;
}
