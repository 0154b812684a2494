#include "support/hf_write.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"

#include "base/banned.h"

enum { FILE_BYTES_MAX = 64 << 20, NAME_BYTES_MAX = 128 };

void hf_write_file(const char *dir, const char *name, str bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = fopen(path, "wb");
    bool good = out && fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, out) == bytes.len;
    if (out)
        good = fclose(out) == 0 && good;
    ASSERT(good);
}

static const char *const gpt2_names[][2] = {
    {"token_embd", "wte"}, {"position_embd", "wpe"},    {"output_norm", "ln_f"},
    {"attn_norm", "ln_1"}, {"attn_qkv", "attn.c_attn"}, {"attn_output", "attn.c_proj"},
    {"ffn_norm", "ln_2"},  {"ffn_up", "mlp.c_fc"},      {"ffn_down", "mlp.c_proj"},
};
static const char *const llama_names[][2] = {
    {"token_embd", "embed_tokens"},      {"output_norm", "norm"},
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

static const char *outer_name(bool gpt2, str part)
{
    size_t n = gpt2 ? ARRAY_LEN(gpt2_names) : ARRAY_LEN(llama_names);
    for (size_t i = 0; i < n; i++) {
        const char *const *pair = gpt2 ? gpt2_names[i] : llama_names[i];
        if (str_eq_z(part, pair[0]))
            return pair[1];
    }
    ASSERT(part.ptr == NULL); // a tensor without a name in the folder
    return NULL;
}

static bool is_gpt2(const struct hf_write *w)
{
    return strcmp(w->model_type, "gpt2") == 0;
}

// "blk.3.attn_qkv.weight" to "transformer.h.3.attn.c_attn.weight".
static void name_of(const struct hf_write *w, const struct tensor *t, char out[NAME_BYTES_MAX])
{
    str rest = t->name, head, layer = STR_NONE;
    const char *prefix = !w->prefixed ? "" : is_gpt2(w) ? "transformer." : "model.";
    ASSERT(str_split(&rest, '.', &head));
    if (str_eq_z(head, "output")) {
        snprintf(out, NAME_BYTES_MAX, "lm_head.weight");
        return;
    }
    if (str_eq_z(head, "blk")) {
        ASSERT(str_split(&rest, '.', &layer) && str_split(&rest, '.', &head));
        snprintf(out, NAME_BYTES_MAX, "%s%s." STR_FMT ".%s." STR_FMT, prefix,
                 is_gpt2(w) ? "h" : "layers", STR_ARG(layer), outer_name(is_gpt2(w), head),
                 STR_ARG(rest));
        return;
    }
    snprintf(out, NAME_BYTES_MAX, "%s%s." STR_FMT, prefix, outer_name(is_gpt2(w), head),
             STR_ARG(rest));
}

// GPT-2's Conv1D layers hold their matrices the other way round.
static bool is_conv1d(const struct hf_write *w, const struct tensor *t)
{
    return is_gpt2(w) && t->n_dims == 2 && str_starts(t->name, STR("blk."));
}

// Which row of the GGUF tensor stands at row r of the folder's.
static size_t row_from(const struct hf_write *w, const struct tensor *t, size_t head_dim, size_t r)
{
    bool rotates =
        str_ends(t->name, STR("attn_q.weight")) || str_ends(t->name, STR("attn_k.weight"));
    size_t i = r % head_dim, half = head_dim / 2;
    if (!w->half_turned || !rotates)
        return r;
    return r - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

static void put_data(const struct hf_write *w, const struct tensor *t, size_t head_dim, bool turned,
                     struct buf *data)
{
    size_t columns = (size_t)t->dims[0], rows = (size_t)t->dims[1];
    float *all = mem_array(columns * rows, sizeof *all);
    for (size_t r = 0; r < rows; r++)
        ASSERT(tensor_row_f32(t, row_from(w, t, head_dim, r), all + r * columns) == ERR_OK);
    for (size_t i = 0; i < columns * rows; i++) {
        size_t from = turned ? (i % rows) * columns + i / rows : i;
        ASSERT(buf_append(data, &all[from], sizeof *all) == ERR_OK); // little-endian machines
    }
    mem_free(all);
}

static void put_entry(const struct hf_write *w, const struct tensor *t, size_t head_dim,
                      struct json_writer *head, struct buf *data)
{
    char name[NAME_BYTES_MAX];
    bool turned = is_conv1d(w, t);
    name_of(w, t, name);
    jw_key(head, name);
    jw_object_begin(head);
    jw_kv_z(head, "dtype", "F32");
    jw_key(head, "shape");
    jw_array_begin(head);
    if (t->n_dims == 2)
        jw_uint(head, turned ? t->dims[0] : t->dims[1]);
    jw_uint(head, turned ? t->dims[1] : t->dims[0]);
    jw_array_end(head);
    jw_key(head, "data_offsets");
    jw_array_begin(head);
    jw_uint(head, data->len);
    put_data(w, t, head_dim, turned, data);
    jw_uint(head, data->len);
    jw_array_end(head);
    jw_object_end(head);
}

static void put_shard(const struct hf_write *w, const struct model_file *f, size_t shard,
                      size_t shards, const char *file, struct json_writer *map)
{
    struct buf head, data, out;
    struct json_writer jw;
    buf_init(&head, FILE_BYTES_MAX);
    buf_init(&data, FILE_BYTES_MAX);
    buf_init(&out, FILE_BYTES_MAX);
    jw_init(&jw, &head);
    jw_object_begin(&jw);
    jw_key(&jw, "__metadata__");
    jw_object_begin(&jw);
    jw_kv_z(&jw, "format", "pt");
    jw_object_end(&jw);
    for (size_t i = shard; i < model_file_tensor_count(f); i += shards) {
        char name[NAME_BYTES_MAX];
        const struct tensor *t = model_file_tensor_at(f, i);
        put_entry(w, t, model_file_hparams(f)->head_dim, &jw, &data);
        name_of(w, t, name);
        jw_kv_z(map, name, file);
    }
    jw_object_end(&jw);
    while (head.len % 8)
        buf_append_char(&head, ' ');
    for (int i = 0; i < 8; i++)
        buf_append_char(&out, (char)(head.len >> (8 * i)));
    buf_append_str(&out, buf_str(&head));
    buf_append_str(&out, buf_str(&data));
    ASSERT(!head.failed && !out.failed);
    hf_write_file(w->dir, file, buf_str(&out));
    buf_done(&head);
    buf_done(&data);
    buf_done(&out);
}

static void put_tensors(const struct hf_write *w, const struct model_file *f)
{
    size_t shards = max_size(w->shards, 1);
    struct buf index;
    struct json_writer jw;
    buf_init(&index, FILE_BYTES_MAX);
    jw_init(&jw, &index);
    jw_object_begin(&jw);
    jw_key(&jw, "weight_map");
    jw_object_begin(&jw);
    for (size_t i = 0; i < shards; i++) {
        char file[64] = "model.safetensors";
        if (shards > 1)
            snprintf(file, sizeof file, "model-%05zu-of-%05zu.safetensors", i + 1, shards);
        put_shard(w, f, i, shards, file, &jw);
    }
    jw_object_end(&jw);
    jw_object_end(&jw);
    if (shards > 1)
        hf_write_file(w->dir, "model.safetensors.index.json", buf_str(&index));
    buf_done(&index);
}

static void put_config(const struct hf_write *w, const struct model_file *f)
{
    const struct hparams *h = model_file_hparams(f);
    struct buf out;
    struct json_writer jw;
    bool gpt2 = is_gpt2(w);
    buf_init(&out, FILE_BYTES_MAX);
    jw_init(&jw, &out);
    jw_object_begin(&jw);
    jw_kv_z(&jw, "model_type", w->model_type);
    jw_kv_int(&jw, "vocab_size", h->n_vocab);
    jw_kv_int(&jw, gpt2 ? "n_layer" : "num_hidden_layers", h->n_layer);
    jw_kv_int(&jw, gpt2 ? "n_embd" : "hidden_size", h->n_embd);
    jw_kv_int(&jw, gpt2 ? "n_head" : "num_attention_heads", h->n_head);
    jw_kv_int(&jw, gpt2 ? "n_positions" : "max_position_embeddings", h->n_ctx);
    jw_kv_int(&jw, gpt2 ? "n_inner" : "intermediate_size", h->n_ff);
    jw_kv_f64(&jw, gpt2 ? "layer_norm_epsilon" : "rms_norm_eps", (double)h->norm_eps);
    if (gpt2) {
        jw_kv_z(&jw, "activation_function", "gelu_new");
    } else {
        jw_kv_int(&jw, "num_key_value_heads", h->n_head_kv);
        jw_kv_int(&jw, "head_dim", h->head_dim);
        jw_kv_f64(&jw, "rope_theta", (double)h->rope_base);
        jw_kv_null(&jw, "rope_scaling");
        jw_kv_bool(&jw, "tie_word_embeddings", h->tied_head);
        jw_kv_z(&jw, "hidden_act", "silu");
    }
    if (model_file_vocab(f)->eos >= 0)
        jw_kv_int(&jw, "eos_token_id", model_file_vocab(f)->eos);
    if (model_file_vocab(f)->bos >= 0)
        jw_kv_int(&jw, "bos_token_id", model_file_vocab(f)->bos);
    jw_object_end(&jw);
    hf_write_file(w->dir, "config.json", buf_str(&out));
    buf_done(&out);
}

static void put_vocab_map(struct json_writer *jw, const struct vocab *v)
{
    jw_object_begin(jw);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        jw_key_str(jw, v->tokens[i]);
        jw_int(jw, i);
    }
    jw_object_end(jw);
}

static void put_bpe_files(const struct hf_write *w, const struct vocab *v)
{
    struct buf out;
    struct json_writer jw;
    buf_init(&out, FILE_BYTES_MAX);
    jw_init(&jw, &out);
    put_vocab_map(&jw, v);
    hf_write_file(w->dir, "vocab.json", buf_str(&out));
    buf_clear(&out);
    buf_append_str(&out, STR("#version: 0.2\n"));
    for (uint32_t i = 0; i < v->n_merges; i++) {
        buf_append_str(&out, v->merges[i]);
        buf_append_char(&out, '\n');
    }
    hf_write_file(w->dir, "merges.txt", buf_str(&out));
    buf_done(&out);
}

static void put_added(struct json_writer *jw, const struct vocab *v)
{
    jw_key(jw, "added_tokens");
    jw_array_begin(jw);
    for (uint32_t i = 0; i < v->n_tokens; i++) {
        if (v->types[i] != TOKEN_CONTROL && v->types[i] != TOKEN_UNKNOWN)
            continue;
        jw_object_begin(jw);
        jw_kv_int(jw, "id", i);
        jw_kv_str(jw, "content", v->tokens[i]);
        jw_kv_bool(jw, "special", true);
        jw_object_end(jw);
    }
    jw_array_end(jw);
}

// Every split of every token into two others, best score first: what Hugging Face's converter
// makes of SentencePiece's scores.
static void put_merges_by_score(struct json_writer *jw, const struct vocab *v)
{
    for (uint32_t rank = 0; rank <= v->n_tokens; rank++)
        for (uint32_t i = 0; i < v->n_tokens; i++) {
            str t = v->tokens[i];
            if (v->types[i] != TOKEN_NORMAL || v->scores[i] != -(float)rank)
                continue;
            for (size_t cut = 1; cut < t.len; cut++) {
                bool left = false, right = false;
                for (uint32_t j = 0; j < v->n_tokens; j++) {
                    left = left || str_eq(v->tokens[j], str_sub(t, 0, cut));
                    right = right || str_eq(v->tokens[j], str_sub(t, cut, t.len));
                }
                if (!left || !right)
                    continue;
                jw_array_begin(jw);
                jw_str(jw, str_sub(t, 0, cut));
                jw_str(jw, str_sub(t, cut, t.len));
                jw_array_end(jw);
            }
        }
}

static void put_tokenizer_json(const struct hf_write *w, const struct vocab *v)
{
    bool spm = v->kind == VOCAB_SPM;
    struct buf out;
    struct json_writer jw;
    buf_init(&out, FILE_BYTES_MAX);
    jw_init(&jw, &out);
    jw_object_begin(&jw);
    put_added(&jw, v);
    jw_key(&jw, "normalizer");
    jw_raw(&jw, spm ? STR("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","
                          "\"prepend\":\"\\u2581\"},{\"type\":\"Replace\",\"pattern\":{"
                          "\"String\":\" \"},\"content\":\"\\u2581\"}]}")
                    : STR("null"));
    jw_key(&jw, "pre_tokenizer");
    jw_raw(&jw, spm ? STR("null")
                    : STR("{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                          "\"trim_offsets\":true,\"use_regex\":true}"));
    jw_key(&jw, "post_processor");
    jw_raw(&jw, spm ? STR("{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":"
                          "\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}]}")
                    : STR("null"));
    jw_key(&jw, "model");
    jw_object_begin(&jw);
    jw_kv_z(&jw, "type", "BPE");
    jw_kv_bool(&jw, "byte_fallback", spm);
    if (v->unk >= 0)
        jw_kv_str(&jw, "unk_token", v->tokens[v->unk]);
    jw_key(&jw, "vocab");
    put_vocab_map(&jw, v);
    jw_key(&jw, "merges");
    jw_array_begin(&jw);
    if (spm)
        put_merges_by_score(&jw, v);
    for (uint32_t i = 0; i < v->n_merges; i++)
        jw_str(&jw, v->merges[i]);
    jw_array_end(&jw);
    jw_object_end(&jw);
    jw_object_end(&jw);
    ASSERT(!out.failed);
    hf_write_file(w->dir, "tokenizer.json", buf_str(&out));
    buf_done(&out);
}

void hf_write_folder(const struct hf_write *w, const struct model_file *f)
{
    const struct vocab *v = model_file_vocab(f);
    put_config(w, f);
    put_tensors(w, f);
    if (v->kind == VOCAB_NONE)
        return;
    if (w->tokenizer_json)
        put_tokenizer_json(w, v);
    else
        put_bpe_files(w, v);
}
