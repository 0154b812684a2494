#include "engine/format/hf.h"

#include "base/banned.h"

// Members by their names in config.json; the first that is there and not null counts.
struct member {
    const char *names[3];
};

static yyjson_val *find(yyjson_val *object, const struct member *m)
{
    for (size_t i = 0; i < ARRAY_LEN(m->names) && m->names[i]; i++) {
        yyjson_val *v = json_get(object, m->names[i]);
        if (v && !yyjson_is_null(v))
            return v;
    }
    return NULL;
}

// Leaves *ret as it is when the member is absent or null.
static enum err get_u32(yyjson_val *object, struct member m, uint32_t *ret, struct diag *d)
{
    yyjson_val *v = find(object, &m);
    int64_t i;
    if (!v)
        return ERR_OK;
    if (!json_is_int(v, &i) || i < 0 || i > UINT32_MAX)
        return diag_set(d, ERR_INVALID, "config.json: \"%s\" must be a size", m.names[0]);
    *ret = (uint32_t)i;
    return ERR_OK;
}

static enum err get_f32(yyjson_val *object, struct member m, float *ret, struct diag *d)
{
    yyjson_val *v = find(object, &m);
    double f;
    if (!v)
        return ERR_OK;
    if (!json_is_num(v, &f) || !__builtin_isfinite((float)f))
        return diag_set(d, ERR_INVALID, "config.json: \"%s\" must be a number", m.names[0]);
    *ret = (float)f;
    return ERR_OK;
}

static bool is_true(yyjson_val *object, const char *name, bool otherwise)
{
    yyjson_val *v = json_get(object, name);
    return yyjson_is_bool(v) ? yyjson_is_true(v) : otherwise;
}

static enum err unsupported(const char *name, str value, struct diag *d)
{
    return diag_set(d, ERR_UNSUPPORTED,
                    "config.json: \"%s\" is \"" STR_FMT "\", which this build does not compute",
                    name, STR_ARG(value));
}

static enum err read_gpt2(struct hf_folder *h, struct hparams *p, struct diag *d)
{
    yyjson_val *c = h->config.doc.root;
    str act = json_str(json_get(c, "activation_function"));
    if (act.len && !str_eq_z(act, "gelu_new") && !str_eq_z(act, "gelu_pytorch_tanh"))
        return unsupported("activation_function", act, d);
    if (!is_true(c, "scale_attn_weights", true) ||
        is_true(c, "scale_attn_by_inverse_layer_idx", false))
        return unsupported("scale_attn_weights", STR("not the usual"), d);
    p->norm_eps = 1e-5f;
    ERR_TRY(get_u32(c, (struct member){{"n_layer", "num_hidden_layers"}}, &p->n_layer, d));
    ERR_TRY(get_u32(c, (struct member){{"n_embd", "hidden_size"}}, &p->n_embd, d));
    ERR_TRY(get_u32(c, (struct member){{"n_head", "num_attention_heads"}}, &p->n_head, d));
    ERR_TRY(get_u32(c, (struct member){{"n_positions", "n_ctx", "max_position_embeddings"}},
                    &p->n_ctx, d));
    ERR_TRY(get_f32(c, (struct member){{"layer_norm_epsilon"}}, &p->norm_eps, d));
    ERR_TRY(get_u32(c, (struct member){{"n_inner"}}, &p->n_ff, d));
    if (p->n_ff == 0 && p->n_embd <= UINT32_MAX / 4)
        p->n_ff = 4 * p->n_embd;
    h->tied_head = true;
    return ERR_OK;
}

static enum err read_llama3_scaling(yyjson_val *s, struct hparams *p, struct diag *d)
{
    p->rope_scaling = ROPE_SCALING_LLAMA3;
    ERR_TRY(get_f32(s, (struct member){{"low_freq_factor"}}, &p->rope_low_freq_factor, d));
    ERR_TRY(get_f32(s, (struct member){{"high_freq_factor"}}, &p->rope_high_freq_factor, d));
    return get_u32(s, (struct member){{"original_max_position_embeddings"}}, &p->rope_original_ctx,
                   d);
}

static enum err read_yarn(yyjson_val *s, struct hparams *p, struct diag *d)
{
    struct yarn_params *y = &p->yarn;
    p->rope_scaling = ROPE_SCALING_YARN;
    yarn_init(y);
    ERR_TRY(get_f32(s, (struct member){{"beta_fast"}}, &y->beta_fast, d));
    ERR_TRY(get_f32(s, (struct member){{"beta_slow"}}, &y->beta_slow, d));
    ERR_TRY(get_f32(s, (struct member){{"attention_factor"}}, &y->attention_factor, d));
    ERR_TRY(get_f32(s, (struct member){{"mscale"}}, &y->mscale, d));
    ERR_TRY(get_f32(s, (struct member){{"mscale_all_dim"}}, &y->mscale_all_dim, d));
    ERR_TRY(get_u32(s, (struct member){{"original_max_position_embeddings"}}, &p->rope_original_ctx,
                    d));
    y->whole_dims = is_true(s, "truncate", true);
    yarn_context(p, p->rope_original_ctx > 0);
    return ERR_OK;
}

// rope_theta and rope_scaling; newer files put both into rope_parameters.
static enum err read_rope(yyjson_val *c, struct hparams *p, struct diag *d)
{
    yyjson_val *both = json_get(c, "rope_parameters");
    yyjson_val *s = both ? both : json_get(c, "rope_scaling");
    yyjson_val *type = find(s, &(struct member){{"rope_type", "type"}});
    float share = 1.0f;
    p->rope_base = 10000.0f;
    p->rope_factor = 1.0f;
    ERR_TRY(get_f32(both ? both : c, (struct member){{"rope_theta"}}, &p->rope_base, d));
    ERR_TRY(get_f32(c, (struct member){{"partial_rotary_factor"}}, &share, d));
    ERR_TRY(get_f32(both, (struct member){{"partial_rotary_factor"}}, &share, d));
    if (share != 1.0f)
        return unsupported("partial_rotary_factor", STR("not 1"), d);
    str name = json_str(type);
    // Dynamic NTK changes the base only beyond max_position_embeddings, which are all we serve.
    if (!type || str_eq_z(name, "default") || str_eq_z(name, "dynamic"))
        return ERR_OK;
    ERR_TRY(get_f32(s, (struct member){{"factor"}}, &p->rope_factor, d));
    if (str_eq_z(name, "llama3"))
        return read_llama3_scaling(s, p, d);
    if (str_eq_z(name, "yarn"))
        return read_yarn(s, p, d);
    if (!str_eq_z(name, "linear"))
        return unsupported("rope_scaling", name, d);
    p->rope_scaling = ROPE_SCALING_LINEAR;
    return ERR_OK;
}

// Which layers see a window: "layer_types" says it of each; before there was that, qwen's layers
// from "max_window_layers" on.
static enum err read_layer_types(yyjson_val *c, struct hparams *p, uint8_t *kinds, struct diag *d)
{
    yyjson_val *types = json_get(c, "layer_types"), *type;
    uint32_t first = 28; // what transformers takes when the file is silent
    size_t i, n;
    if (!types || yyjson_is_null(types)) {
        ERR_TRY(get_u32(c, (struct member){{"max_window_layers"}}, &first, d));
        for (uint32_t j = 0; j < p->n_layer && j < first; j++)
            kinds[j] &= (uint8_t)~LAYER_WINDOWED;
        return ERR_OK;
    }
    if (!yyjson_is_arr(types) || yyjson_arr_size(types) != p->n_layer)
        return diag_set(d, ERR_INVALID, "config.json: \"layer_types\" must name %u layers",
                        p->n_layer);
    yyjson_arr_foreach(types, i, n, type)
    {
        if (str_eq_z(json_str(type), "full_attention"))
            kinds[i] &= (uint8_t)~LAYER_WINDOWED;
        else if (!str_eq_z(json_str(type), "sliding_attention"))
            return unsupported("layer_types", json_str(type), d);
    }
    return ERR_OK;
}

static enum err read_window(struct hf_folder *h, struct hparams *p, struct diag *d)
{
    yyjson_val *c = h->config.doc.root;
    bool mistral = str_eq_z(p->arch_name, "mistral");
    if (str_eq_z(p->arch_name, "llama") || !is_true(c, "use_sliding_window", mistral))
        return ERR_OK;
    ERR_TRY(get_u32(c, (struct member){{"sliding_window"}}, &p->sliding_window, d));
    if (mistral || p->sliding_window == 0)
        return ERR_OK;
    uint8_t *kinds = layer_kinds_new(p, &h->f->arena, LAYER_WINDOWED);
    return kinds ? read_layer_types(c, p, kinds, d) : ERR_OK;
}

// smollm3: layers without rotation, listed as 0 among 1, or every so many.
static enum err read_no_rope(struct hf_folder *h, struct hparams *p, struct diag *d)
{
    yyjson_val *c = h->config.doc.root, *list = json_get(c, "no_rope_layers"), *item;
    uint32_t every = 4;
    size_t i, n;
    ERR_TRY(get_u32(c, (struct member){{"no_rope_layer_interval"}}, &every, d));
    uint8_t *kinds = (uint8_t *)(uintptr_t)p->layer_kinds;
    if (!kinds)
        kinds = layer_kinds_new(p, &h->f->arena, LAYER_WINDOWED);
    if (!kinds)
        return ERR_OK;
    if (yyjson_is_arr(list) && yyjson_arr_size(list) != p->n_layer)
        return diag_set(d, ERR_INVALID, "config.json: \"no_rope_layers\" must name %u layers",
                        p->n_layer);
    if (yyjson_is_arr(list)) {
        int64_t turned;
        yyjson_arr_foreach(list, i, n, item)
        {
            if (!json_is_int(item, &turned))
                return diag_set(d, ERR_INVALID, "config.json: \"no_rope_layers\" must be 0 and 1");
            kinds[i] |= turned ? 0 : LAYER_UNTURNED;
        }
        return ERR_OK;
    }
    layer_kinds_skip_rope(kinds, p->n_layer, every);
    return ERR_OK;
}

static enum err read_llama(struct hf_folder *h, struct hparams *p, struct diag *d)
{
    yyjson_val *c = h->config.doc.root;
    str act = json_str(json_get(c, "hidden_act"));
    if (act.len && !str_eq_z(act, "silu"))
        return unsupported("hidden_act", act, d);
    p->norm_eps = 1e-6f;
    ERR_TRY(get_u32(c, (struct member){{"num_hidden_layers"}}, &p->n_layer, d));
    ERR_TRY(get_u32(c, (struct member){{"hidden_size"}}, &p->n_embd, d));
    ERR_TRY(get_u32(c, (struct member){{"num_attention_heads"}}, &p->n_head, d));
    ERR_TRY(get_u32(c, (struct member){{"num_key_value_heads"}}, &p->n_head_kv, d));
    ERR_TRY(get_u32(c, (struct member){{"head_dim"}}, &p->head_dim, d));
    ERR_TRY(get_u32(c, (struct member){{"intermediate_size"}}, &p->n_ff, d));
    ERR_TRY(get_u32(c, (struct member){{"max_position_embeddings"}}, &p->n_ctx, d));
    ERR_TRY(get_f32(c, (struct member){{"rms_norm_eps"}}, &p->norm_eps, d));
    ERR_TRY(read_window(h, p, d));
    if (str_eq_z(p->arch_name, "smollm3"))
        ERR_TRY(read_no_rope(h, p, d));
    h->tied_head = is_true(c, "tie_word_embeddings", false);
    return read_rope(c, p, d);
}

// What sentence-transformers keeps beside a model for embeddings.
static enum err read_pooling(struct hf_folder *h, struct hparams *p, struct diag *d)
{
    struct hf_json j = {0};
    enum err e = hf_json_read(h, "1_Pooling/config.json", &j, d);
    if (e == ERR_OK) {
        bool last = is_true(j.doc.root, "pooling_mode_lasttoken", false);
        bool mean = is_true(j.doc.root, "pooling_mode_mean_tokens", false);
        p->pooling = last ? POOLING_LAST : mean ? POOLING_MEAN : POOLING_UNSAID;
    }
    hf_json_done(&j);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err hf_config(struct hf_folder *h, struct hparams *ret, struct diag *d)
{
    yyjson_val *c = h->config.doc.root;
    struct hparams p = {0};
    str type = arena_str(&h->f->arena, json_str(json_get(c, "model_type")));
    if (!yyjson_is_obj(c) || type.len == 0)
        return diag_set(d, ERR_INVALID, "config.json names no \"model_type\"");
    bool mistral = str_eq_z(type, "mistral");
    if (!arch_by_name(mistral ? STR("llama") : type, &p))
        return diag_set(d, ERR_UNSUPPORTED,
                        "model type \"" STR_FMT "\" is not supported; gpt2, llama, mistral, qwen2, "
                        "qwen3 and smollm3 are",
                        STR_ARG(type));
    p.arch_name = type;
    p.name = arena_str(&h->f->arena, json_str(json_get(c, "_name_or_path")));
    ERR_TRY(get_u32(c, (struct member){{"vocab_size"}}, &p.n_vocab, d));
    ERR_TRY(p.arch == ARCH_GPT2 ? read_gpt2(h, &p, d) : read_llama(h, &p, d));
    ERR_TRY(read_pooling(h, &p, d));
    *ret = p;
    return ERR_OK;
}
