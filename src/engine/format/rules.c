// What must hold of any model, whichever format it came in.
#include "engine/format/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

enum { VOCAB_TOKENS_MAX = 1 << 22, TOKEN_BYTES_MAX = 4096 };

void *parts_array(struct arena *a, size_t count, size_t size, struct diag *d)
{
    void *p = arena_zalloc(a, max_size(count, 1), size);
    if (!p)
        diag_set(d, ERR_LIMIT, "the model's tables need more than %u MiB of memory",
                 MODEL_ARENA_BYTES_MAX >> 20);
    return p;
}

bool arch_by_name(str name, struct hparams *h)
{
    static const struct {
        const char *name;
        enum model_arch arch;
        enum rope_kind rope;
        bool qk_norm;
    } known[] = {
        {"gpt2", ARCH_GPT2, ROPE_NONE, false},     {"llama", ARCH_LLAMA, ROPE_NORM, false},
        {"qwen2", ARCH_LLAMA, ROPE_NEOX, false},   {"qwen3", ARCH_LLAMA, ROPE_NEOX, true},
        {"smollm3", ARCH_LLAMA, ROPE_NORM, false},
    };
    h->arch = ARCH_OTHER;
    h->arch_name = name;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (!str_eq_z(name, known[i].name))
            continue;
        h->arch = known[i].arch;
        h->rope = known[i].rope;
        h->qk_norm = known[i].qk_norm;
        return true;
    }
    return false;
}

void yarn_init(struct yarn_params *y)
{
    *y = (struct yarn_params){
        .beta_fast = 32.0f, .beta_slow = 1.0f, .whole_dims = true, .attention_times = 1.0f};
}

void yarn_context(struct hparams *h, bool given)
{
    if (h->rope_original_ctx == 0)
        h->rope_original_ctx = h->n_ctx;
    float most = h->rope_factor * (float)h->rope_original_ctx;
    if (given && most > (float)h->n_ctx && most <= (float)MODEL_CONTEXT_MAX)
        h->n_ctx = (uint32_t)most;
}

uint8_t *layer_kinds_new(struct hparams *h, struct arena *a, enum layer_kind kind)
{
    uint8_t *kinds = NULL;
    if (h->n_layer >= 1 && h->n_layer <= MODEL_LAYERS_MAX)
        kinds = arena_zalloc(a, h->n_layer, 1);
    if (kinds)
        memset(kinds, (int)kind, h->n_layer);
    h->layer_kinds = kinds;
    return kinds;
}

void layer_kinds_skip_rope(uint8_t *kinds, uint32_t n, uint32_t every)
{
    for (uint32_t i = every; every && i <= n; i += every)
        kinds[i - 1] |= LAYER_UNTURNED;
}

static enum err check_range(const char *what, uint64_t v, uint64_t min, uint64_t max,
                            struct diag *d)
{
    if (v >= min && v <= max)
        return ERR_OK;
    return diag_set(d, ERR_INVALID, "%s is %llu; %llu to %llu is accepted", what,
                    (unsigned long long)v, (unsigned long long)min, (unsigned long long)max);
}

static enum err check_heads(struct hparams *h, struct diag *d)
{
    if (h->n_head_kv == 0)
        h->n_head_kv = h->n_head;
    if (h->n_head % h->n_head_kv)
        return diag_set(d, ERR_INVALID,
                        "the number of key/value heads (%u) does not divide that of heads (%u)",
                        h->n_head_kv, h->n_head);
    if (h->head_dim == 0 && h->n_embd % h->n_head)
        return diag_set(d, ERR_INVALID,
                        "the embedding length (%u) is not a multiple of the number of heads (%u)",
                        h->n_embd, h->n_head);
    if (h->head_dim == 0)
        h->head_dim = h->n_embd / h->n_head;
    return check_range("the head dimension", h->head_dim, 1, 1024, d);
}

static bool positive(float v)
{
    return v > 0.0f && v <= 1e6f;
}

static bool not_negative(float v)
{
    return v == 0.0f || positive(v);
}

static enum err check_yarn(const struct hparams *h, struct diag *d)
{
    const struct yarn_params *y = &h->yarn;
    if (h->rope_original_ctx == 0 || h->rope_base <= 1.0f || !positive(y->beta_slow) ||
        !positive(y->beta_fast) || y->beta_fast < y->beta_slow)
        return diag_set(d, ERR_INVALID,
                        "the YaRN scaling needs an original context above 0, a RoPE base above 1 "
                        "and 0 < beta_slow <= beta_fast");
    if (!not_negative(y->attention_factor) || !not_negative(y->mscale) ||
        !not_negative(y->mscale_all_dim) || !positive(y->attention_times))
        return diag_set(d, ERR_INVALID,
                        "YaRN's attention factor, mscale and mscale_all_dim must not be negative");
    return ERR_OK;
}

static enum err check_rope(struct hparams *h, struct diag *d)
{
    if (h->rope == ROPE_NONE)
        return ERR_OK;
    if (h->rope_dims == 0)
        h->rope_dims = h->head_dim;
    if (h->rope_dims % 2 || h->rope_dims > h->head_dim)
        return diag_set(d, ERR_INVALID,
                        "the number of rotated dimensions (%u) must be even and at most the head "
                        "dimension (%u)",
                        h->rope_dims, h->head_dim);
    if (!(h->rope_base >= 1.0f && h->rope_base <= 1e12f))
        return diag_set(d, ERR_INVALID, "the RoPE base is %g; 1 to 1e12 is accepted",
                        (double)h->rope_base);
    if (h->rope_scaling == ROPE_SCALING_NONE)
        return ERR_OK;
    if (!(h->rope_factor > 0.0f && h->rope_factor <= 1e6f))
        return diag_set(d, ERR_INVALID, "the RoPE scaling factor is %g; it must lie in (0, 1e6]",
                        (double)h->rope_factor);
    if (h->rope_scaling == ROPE_SCALING_YARN)
        return check_yarn(h, d);
    if (h->rope_scaling != ROPE_SCALING_LLAMA3)
        return ERR_OK;
    if (!(h->rope_low_freq_factor > 0.0f && h->rope_high_freq_factor > h->rope_low_freq_factor &&
          h->rope_high_freq_factor <= 1e6f) ||
        h->rope_original_ctx == 0)
        return diag_set(d, ERR_INVALID,
                        "the llama3 RoPE scaling needs 0 < low_freq_factor < high_freq_factor and "
                        "an original context above 0");
    return ERR_OK;
}

enum err hparams_check(struct hparams *h, struct diag *d)
{
    ERR_TRY(check_range("the number of layers", h->n_layer, 1, MODEL_LAYERS_MAX, d));
    ERR_TRY(check_range("the embedding length", h->n_embd, 1, 1u << 17, d));
    ERR_TRY(check_range("the feed-forward length", h->n_ff, 1, 1u << 20, d));
    ERR_TRY(check_range("the context length", h->n_ctx, 1, MODEL_CONTEXT_MAX, d));
    ERR_TRY(check_range("the number of heads", h->n_head, 1, 4096, d));
    ERR_TRY(check_range("the vocabulary size", h->n_vocab, 1, VOCAB_TOKENS_MAX, d));
    ERR_TRY(check_heads(h, d));
    if (!(h->norm_eps > 0.0f && h->norm_eps < 1.0f))
        return diag_set(d, ERR_INVALID, "the normalisation's epsilon is %g; it must lie in (0, 1)",
                        (double)h->norm_eps);
    return check_rope(h, d);
}

enum err tensor_check_shape(struct tensor *t, struct diag *d)
{
    uint32_t block = tensor_type_block(t->type);
    if (block == 0)
        return diag_set(d, ERR_UNSUPPORTED,
                        "tensor \"" STR_FMT "\" has type %d, which this build does not read (it "
                        "reads F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q4_K Q5_K Q6_K)",
                        STR_ARG(t->name), (int)t->type);
    uint64_t values = 1, bytes;
    for (size_t i = 0; i < 4; i++) {
        if (t->dims[i] == 0)
            return diag_set(d, ERR_INVALID, "tensor \"" STR_FMT "\": dimension %zu is 0",
                            STR_ARG(t->name), i);
        if (__builtin_mul_overflow(values, t->dims[i], &values) || values > INT64_MAX)
            return diag_set(d, ERR_LIMIT, "tensor \"" STR_FMT "\": its dimensions overflow",
                            STR_ARG(t->name));
    }
    if (t->dims[0] % block)
        return diag_set(d, ERR_INVALID,
                        "tensor \"" STR_FMT "\": rows of %llu values do not fill whole %s blocks "
                        "of %u",
                        STR_ARG(t->name), (unsigned long long)t->dims[0], tensor_type_name(t->type),
                        block);
    if (__builtin_mul_overflow(values / block, (uint64_t)tensor_type_block_bytes(t->type),
                               &bytes) ||
        bytes > INT64_MAX)
        return diag_set(d, ERR_LIMIT, "tensor \"" STR_FMT "\": its size overflows",
                        STR_ARG(t->name));
    t->size_bytes = bytes;
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    const struct tensor *const *x = a, *const *y = b;
    return str_cmp((*x)->name, (*y)->name);
}

static int by_data(const void *a, const void *b)
{
    const struct tensor *const *x = a, *const *y = b;
    return ((*x)->data > (*y)->data) - ((*x)->data < (*y)->data);
}

static enum err check_overlap(const struct tensor **sorted, size_t n, struct diag *d)
{
    qsort(sorted, n, sizeof(*sorted), by_data);
    for (size_t i = 1; i < n; i++)
        if (sorted[i]->data < sorted[i - 1]->data + sorted[i - 1]->size_bytes)
            return diag_set(d, ERR_PARSE,
                            "tensors \"" STR_FMT "\" and \"" STR_FMT "\" overlap in the file",
                            STR_ARG(sorted[i - 1]->name), STR_ARG(sorted[i]->name));
    return ERR_OK;
}

enum err tensors_index(struct model_file *f, struct diag *d)
{
    const struct tensor **sorted = parts_array(&f->arena, f->n_tensors, sizeof(*sorted), d);
    if (!sorted)
        return ERR_LIMIT;
    for (size_t i = 0; i < f->n_tensors; i++)
        sorted[i] = &f->tensors[i];
    ERR_TRY(check_overlap(sorted, f->n_tensors, d));
    qsort(sorted, f->n_tensors, sizeof(*sorted), by_name);
    for (size_t i = 1; i < f->n_tensors; i++)
        if (str_eq(sorted[i - 1]->name, sorted[i]->name))
            return diag_set(d, ERR_PARSE, "tensor \"" STR_FMT "\" stands twice",
                            STR_ARG(sorted[i]->name));
    f->by_name = sorted;
    return ERR_OK;
}

void vocab_init(struct vocab *v)
{
    *v = (struct vocab){.kind = VOCAB_NONE, .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1};
}

static enum err check_special(const struct vocab *v, const char *what, int32_t id, struct diag *d)
{
    if (id < -1 || (id >= 0 && (uint32_t)id >= v->n_tokens))
        return diag_set(d, ERR_INVALID, "the %s token is %lld, but the vocabulary has %u tokens",
                        what, (long long)(uint32_t)id, v->n_tokens);
    return ERR_OK;
}

static enum err check_token(const struct vocab *v, uint32_t i, struct diag *d)
{
    if (v->tokens[i].len > TOKEN_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "token %u is %zu bytes long; %d are allowed", i,
                        v->tokens[i].len, TOKEN_BYTES_MAX);
    if (v->types && (v->types[i] < TOKEN_NORMAL || v->types[i] > TOKEN_BYTE))
        return diag_set(d, ERR_INVALID, "token %u has the unknown type %d", i, (int)v->types[i]);
    if (v->scores && !__builtin_isfinite(v->scores[i]))
        return diag_set(d, ERR_INVALID, "the score of token %u is not a finite number", i);
    return ERR_OK;
}

static enum err check_merge(str m, uint32_t i, struct diag *d)
{
    size_t cut = str_find_char(m, ' ');
    if (cut == SIZE_MAX || cut == 0 || cut + 1 == m.len ||
        str_find_char(str_sub(m, cut + 1, m.len), ' ') != SIZE_MAX)
        return diag_set(d, ERR_PARSE, "merge %u is not two tokens with one space between them", i);
    return ERR_OK;
}

enum err vocab_check(const struct vocab *v, struct diag *d)
{
    if (v->kind == VOCAB_NONE)
        return ERR_OK;
    ERR_TRY(check_range("the number of tokens", v->n_tokens, 1, VOCAB_TOKENS_MAX, d));
    for (uint32_t i = 0; i < v->n_tokens; i++)
        ERR_TRY(check_token(v, i, d));
    for (uint32_t i = 0; i < v->n_merges; i++)
        ERR_TRY(check_merge(v->merges[i], i, d));
    ERR_TRY(check_special(v, "bos", v->bos, d));
    ERR_TRY(check_special(v, "eos", v->eos, d));
    ERR_TRY(check_special(v, "eot", v->eot, d));
    ERR_TRY(check_special(v, "unknown", v->unk, d));
    return check_special(v, "padding", v->pad, d);
}
