#include <stdio.h>

#include "engine/format/hf.h"

#include "base/banned.h"

struct renaming {
    const char *from, *to; // to NULL: not needed
    bool transposed;       // Conv1D
};

static const struct renaming gpt2_global[] = {{"wte.", "token_embd.", false},
                                              {"wpe.", "position_embd.", false},
                                              {"ln_f.", "output_norm.", false},
                                              {"lm_head.", NULL, false}}; // always the embedding
static const struct renaming gpt2_layer[] = {
    {"attn.bias", NULL, false}, // the causal mask
    {"attn.masked_bias", NULL, false},   {"ln_1.", "attn_norm.", false},
    {"attn.c_attn.", "attn_qkv.", true}, {"attn.c_proj.", "attn_output.", true},
    {"ln_2.", "ffn_norm.", false},       {"mlp.c_fc.", "ffn_up.", true},
    {"mlp.c_proj.", "ffn_down.", true},
};
static const struct renaming llama_global[] = {{"embed_tokens.", "token_embd.", false},
                                               {"norm.", "output_norm.", false},
                                               {"lm_head.", "output.", false}};
static const struct renaming llama_layer[] = {
    {"self_attn.rotary_emb.inv_freq", NULL, false},
    {"input_layernorm.", "attn_norm.", false},
    {"self_attn.q_proj.", "attn_q.", false},
    {"self_attn.k_proj.", "attn_k.", false},
    {"self_attn.v_proj.", "attn_v.", false},
    {"self_attn.o_proj.", "attn_output.", false},
    {"self_attn.q_norm.", "attn_q_norm.", false},
    {"self_attn.k_norm.", "attn_k_norm.", false},
    {"post_attention_layernorm.", "ffn_norm.", false},
    {"mlp.gate_proj.", "ffn_gate.", false},
    {"mlp.up_proj.", "ffn_up.", false},
    {"mlp.down_proj.", "ffn_down.", false},
};

// `name` begins with r->from; what follows must be "weight" or "bias". "blk.N." goes in front.
static enum hf_name rename_one(const struct renaming *r, str name, const char *prefix,
                               char out[static 64], bool *ret_transposed)
{
    str suffix = str_sub(name, strlen(r->from), name.len);
    if (!r->to)
        return HF_NAME_SKIPPED;
    if (!str_eq_z(suffix, "weight") && !str_eq_z(suffix, "bias"))
        return HF_NAME_UNKNOWN;
    snprintf(out, 64, "%s%s" STR_FMT, prefix, r->to, STR_ARG(suffix));
    *ret_transposed = r->transposed && str_eq_z(suffix, "weight");
    return HF_NAME_MAPPED;
}

static enum hf_name look_up(const struct renaming *table, size_t n, str name, const char *prefix,
                            char out[static 64], bool *ret_transposed)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts(name, str_of(table[i].from)))
            return rename_one(&table[i], name, prefix, out, ret_transposed);
    return HF_NAME_UNKNOWN;
}

// Takes "h.12." or "layers.12." off the front of *name.
static bool take_layer(str *name, const char *word, uint64_t *ret)
{
    str rest = *name, number;
    if (!str_starts(rest, str_of(word)))
        return false;
    rest = str_sub(rest, strlen(word), rest.len);
    if (!str_split(&rest, '.', &number) || str_to_u64(number, ret) != ERR_OK ||
        *ret >= MODEL_LAYERS_MAX)
        return false;
    *name = rest;
    return true;
}

enum hf_name hf_tensor_name(const struct hf_folder *h, str name, char out[static 64],
                            bool *ret_transposed)
{
    bool gpt2 = h->f->hparams.arch == ARCH_GPT2;
    str prefix = gpt2 ? STR("transformer.") : STR("model.");
    char block[32] = "";
    uint64_t layer;
    if (str_starts(name, prefix))
        name = str_sub(name, prefix.len, name.len);
    if (take_layer(&name, gpt2 ? "h." : "layers.", &layer)) {
        snprintf(block, sizeof block, "blk.%u.", (unsigned)layer);
        return gpt2
                   ? look_up(gpt2_layer, ARRAY_LEN(gpt2_layer), name, block, out, ret_transposed)
                   : look_up(llama_layer, ARRAY_LEN(llama_layer), name, block, out, ret_transposed);
    }
    if (h->tied_head && str_starts(name, STR("lm_head.")))
        return HF_NAME_SKIPPED;
    return gpt2 ? look_up(gpt2_global, ARRAY_LEN(gpt2_global), name, block, out, ret_transposed)
                : look_up(llama_global, ARRAY_LEN(llama_global), name, block, out, ret_transposed);
}
