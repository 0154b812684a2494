#include "engine/format/hf.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "engine/format/safetensors.h"

#include "base/banned.h"

enum err hf_path(const struct hf_folder *h, const char *name, char out[static HF_PATH_BYTES_MAX],
                 struct diag *d)
{
    int len = snprintf(out, HF_PATH_BYTES_MAX, "%s/%s", h->path, name);
    if (len < 0 || len >= HF_PATH_BYTES_MAX)
        return diag_set(d, ERR_LIMIT, "the folder's path is too long");
    return ERR_OK;
}

enum err hf_json_read(const struct hf_folder *h, const char *name, struct hf_json *ret,
                      struct diag *d)
{
    char path[HF_PATH_BYTES_MAX];
    const struct json_limits limits = {HF_JSON_BYTES_MAX, 64, 1u << 24};
    ERR_TRY(hf_path(h, name, path, d));
    if (!fs_exists(path))
        return ERR_NOT_FOUND;
    buf_init(&ret->text, HF_JSON_BYTES_MAX);
    ERR_TRY(fs_read(path, HF_JSON_BYTES_MAX, &ret->text, d));
    enum err e = json_parse(&ret->doc, buf_str(&ret->text), limits, d);
    if (e != ERR_OK)
        diag_where(d, "%s", path);
    return e;
}

void hf_json_done(struct hf_json *j)
{
    json_done(&j->doc);
    buf_done(&j->text);
}

static enum err read_optional(const struct hf_folder *h, const char *name, struct hf_json *ret,
                              struct diag *d)
{
    enum err e = hf_json_read(h, name, ret, d);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

// What config.json says, as text for people.
static enum err list_meta(struct hf_folder *h, struct diag *d)
{
    struct model_file *f = h->f;
    yyjson_val *root = h->config.doc.root, *key, *value;
    size_t i, n;
    if (!yyjson_is_obj(root))
        return ERR_OK;
    struct meta_pair *meta = parts_array(&f->arena, yyjson_obj_size(root), sizeof *meta, d);
    if (!meta)
        return ERR_LIMIT;
    yyjson_obj_foreach(root, i, n, key, value)
    {
        struct buf text;
        struct json_writer w;
        buf_init(&text, 4096);
        jw_init(&w, &text);
        jw_value(&w, value);
        meta[i].key = arena_str(&f->arena, json_str(key));
        meta[i].value = arena_str(&f->arena, text.failed ? STR("…") : buf_str(&text));
        buf_done(&text);
    }
    f->meta = meta;
    f->n_meta = n;
    return ERR_OK;
}

// The files that hold the tensors: model.safetensors, or those that the index names.
struct shards {
    str names[MODEL_SHARDS_MAX]; // in the arena
    size_t n;
    struct safetensors parsed[MODEL_SHARDS_MAX];
};

static enum err add_shard(struct shards *s, struct arena *a, str name, struct diag *d)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->names[i], name))
            return ERR_OK;
    if (name.len > 255 || str_find_char(name, '/') != SIZE_MAX ||
        str_find_char(name, '\0') != SIZE_MAX || !str_ends(name, STR(".safetensors")))
        return diag_set(d, ERR_INVALID,
                        "model.safetensors.index.json names a file that is not a .safetensors "
                        "file of this folder: \"" STR_FMT "\"",
                        STR_ARG(name));
    if (s->n == MODEL_SHARDS_MAX)
        return diag_set(d, ERR_LIMIT, "the model is in more than %d files", MODEL_SHARDS_MAX);
    s->names[s->n] = arena_str(a, name);
    return s->names[s->n++].ptr ? ERR_OK
                                : diag_set(d, ERR_LIMIT, "the index takes too much memory");
}

static enum err read_index(struct hf_folder *h, struct shards *s, struct diag *d)
{
    struct hf_json index = {0};
    yyjson_val *key, *value;
    size_t i, n;
    enum err e = hf_json_read(h, "model.safetensors.index.json", &index, d);
    yyjson_val *map = e == ERR_OK ? json_get(index.doc.root, "weight_map") : NULL;
    if (e == ERR_OK && !yyjson_is_obj(map))
        e = diag_set(d, ERR_INVALID, "model.safetensors.index.json has no \"weight_map\"");
    if (e == ERR_OK) {
        yyjson_obj_foreach(map, i, n, key, value)
        {
            if (e == ERR_OK)
                e = add_shard(s, &h->f->arena, json_str(value), d);
        }
    }
    hf_json_done(&index);
    return e;
}

static enum err find_shards(struct hf_folder *h, struct shards *s, struct diag *d)
{
    char path[HF_PATH_BYTES_MAX];
    ERR_TRY(hf_path(h, "model.safetensors", path, d));
    if (fs_exists(path))
        return add_shard(s, &h->f->arena, STR("model.safetensors"), d);
    enum err e = read_index(h, s, d);
    if (e != ERR_NOT_FOUND)
        return e;
    ERR_TRY(hf_path(h, "pytorch_model.bin", path, d));
    if (fs_exists(path))
        return diag_set(d, ERR_UNSUPPORTED,
                        "the folder holds PyTorch pickles only, which are programs; convert them "
                        "to safetensors");
    return ERR_OK; // a vocabulary alone
}

static enum err open_shard(struct hf_folder *h, str name, struct safetensors *ret, struct diag *d)
{
    struct model_file *f = h->f;
    struct fs_map *map = &f->maps[f->n_maps];
    char path[HF_PATH_BYTES_MAX];
    ERR_TRY(hf_path(h, name.ptr, path, d));
    ERR_TRY(fs_map_open(path, map, d));
    f->n_maps++;
    f->bytes += map->size;
    str image = str_slice((const char *)map->data, map->size);
    enum err e = safetensors_parse(image, &f->arena, ret, d);
    if (e != ERR_OK)
        diag_where(d, "%s", path);
    return e;
}

static enum err tensor_type(const struct safetensors_entry *e, enum tensor_type *ret,
                            struct diag *d)
{
    static const enum tensor_type types[] = {[SAFETENSORS_F32] = TENSOR_F32,
                                             [SAFETENSORS_F16] = TENSOR_F16,
                                             [SAFETENSORS_BF16] = TENSOR_BF16};
    if (e->dtype == SAFETENSORS_OTHER)
        return diag_set(d, ERR_UNSUPPORTED,
                        "tensor \"" STR_FMT "\" has dtype " STR_FMT "; F32, F16 and BF16 are read",
                        STR_ARG(e->name), STR_ARG(e->dtype_name));
    *ret = types[e->dtype];
    return ERR_OK;
}

static enum err set_dims(const struct safetensors_entry *e, struct tensor *t, struct diag *d)
{
    if (e->rank < 1 || e->rank > 4)
        return diag_set(d, ERR_INVALID, "tensor \"" STR_FMT "\" has %u dimensions; 1 to 4 are read",
                        STR_ARG(e->name), e->rank);
    t->n_dims = e->rank;
    for (uint32_t i = 0; i < 4; i++)
        t->dims[i] = i < e->rank ? e->shape[e->rank - 1 - i] : 1;
    return ERR_OK;
}

// Where pairs are rotated that lie side by side in GGUF, folders keep a head's rows by halves.
// Shapes are checked against the hyper-parameters when the weights are packed.
static uint32_t halves_of(const struct hparams *h, const struct tensor *t)
{
    bool turned = str_find(t->name, STR(".attn_q.")) != SIZE_MAX ||
                  str_find(t->name, STR(".attn_k.")) != SIZE_MAX;
    uint32_t dim = h->head_dim ? h->head_dim : h->n_head ? h->n_embd / h->n_head : 0;
    uint64_t rows = t->n_dims == 1 ? t->dims[0] : t->dims[1];
    return turned && h->rope == ROPE_NORM && dim && dim % 2 == 0 && rows % dim == 0 ? dim : 0;
}

static enum err add_tensor(struct hf_folder *h, const struct safetensors_entry *e,
                           const uint8_t *data, struct diag *d)
{
    struct model_file *f = h->f;
    struct tensor *t = &f->tensors[f->n_tensors];
    char name[64];
    bool transposed = false;
    enum hf_name kind = hf_tensor_name(h, e->name, name, &transposed);
    if (kind == HF_NAME_SKIPPED)
        return ERR_OK;
    if (kind == HF_NAME_UNKNOWN)
        return diag_set(d, ERR_UNSUPPORTED,
                        "tensor \"" STR_FMT "\" has no place in a %s model that this build runs",
                        STR_ARG(e->name), f->hparams.arch == ARCH_GPT2 ? "gpt2" : "llama");
    ERR_TRY(tensor_type(e, &t->type, d));
    ERR_TRY(set_dims(e, t, d));
    t->name = arena_str(&f->arena, str_of(name));
    if (!t->name.ptr)
        return diag_set(d, ERR_LIMIT, "the tensors' names take too much memory");
    t->transposed = transposed;
    t->halves = halves_of(&f->hparams, t);
    t->data = data + e->begin;
    ERR_TRY(tensor_check_shape(t, d));
    f->n_tensors++;
    return ERR_OK;
}

static enum err add_tensors(struct hf_folder *h, const struct shards *s, struct diag *d)
{
    struct model_file *f = h->f;
    size_t most = 0;
    for (size_t i = 0; i < s->n; i++)
        most += s->parsed[i].n_entries;
    f->tensors = parts_array(&f->arena, most, sizeof *f->tensors, d);
    if (!f->tensors)
        return ERR_LIMIT;
    for (size_t i = 0; i < s->n; i++) {
        const uint8_t *data = f->maps[i].data + s->parsed[i].data_offset;
        for (size_t j = 0; j < s->parsed[i].n_entries; j++)
            ERR_TRY(add_tensor(h, &s->parsed[i].entries[j], data, d));
    }
    return tensors_index(f, d);
}

static enum err load_tensors(struct hf_folder *h, struct shards *s, struct diag *d)
{
    ERR_TRY(find_shards(h, s, d));
    if (s->n && !h->config.doc.root)
        return diag_set(d, ERR_NOT_FOUND, "the folder holds weights but no config.json");
    if (h->config.doc.root)
        ERR_TRY(hf_config(h, &h->f->hparams, d));
    else
        h->f->hparams.arch = ARCH_OTHER;
    h->f->maps = mem_array(max_size(s->n, 1), sizeof *h->f->maps);
    for (size_t i = 0; i < s->n; i++)
        ERR_TRY(open_shard(h, s->names[i], &s->parsed[i], d));
    return add_tensors(h, s, d);
}

static void fingerprint(struct hf_folder *h, const struct shards *s)
{
    str heads[MODEL_SHARDS_MAX + 2];
    size_t n = 0;
    heads[n++] = buf_str(&h->config.text);
    heads[n++] = buf_str(&h->tokenizer.text);
    for (size_t i = 0; i < s->n; i++)
        heads[n++] = s->parsed[i].header;
    model_file_set_fingerprint(h->f, heads, n);
}

static enum err load(struct hf_folder *h, struct shards *s, struct diag *d)
{
    ERR_TRY(read_optional(h, "config.json", &h->config, d));
    ERR_TRY(read_optional(h, "tokenizer.json", &h->tokenizer, d));
    ERR_TRY(read_optional(h, "tokenizer_config.json", &h->tokenizer_config, d));
    ERR_TRY(read_optional(h, "generation_config.json", &h->generation_config, d));
    ERR_TRY(list_meta(h, d));
    ERR_TRY(load_tensors(h, s, d));
    ERR_TRY(hf_vocab(h, &h->f->vocab, d));
    if (!h->config.doc.root && h->f->vocab.kind == VOCAB_NONE)
        return diag_set(d, ERR_NOT_FOUND,
                        "the folder holds no model: neither config.json nor a vocabulary");
    ERR_TRY(model_file_check(h->f, d));
    fingerprint(h, s);
    return ERR_OK;
}

enum err hf_open(const char *path, struct model_file *f, struct diag *d)
{
    struct hf_folder h = {.path = path, .f = f};
    struct shards *s = mem_new(struct shards);
    enum err e = load(&h, s, d);
    hf_json_done(&h.config);
    hf_json_done(&h.tokenizer);
    hf_json_done(&h.tokenizer_config);
    hf_json_done(&h.generation_config);
    mem_free(s);
    return e;
}
