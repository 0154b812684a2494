// A folder's vocabulary: which files it is in, and the special tokens that others name.
#include "engine/format/hf.h"

#include <stdio.h>

#include "base/banned.h"

enum { GAPS_MAX = 1 << 16, TEMPLATE_BYTES_MAX = 1 << 20 };

enum err hf_tokens_init(struct hf_tokens *t, struct arena *a, size_t entries, struct diag *d)
{
    if (entries > 1u << 22)
        return diag_set(d, ERR_LIMIT, "the vocabulary has %zu entries: too many", entries);
    *t = (struct hf_tokens){.arena = a, .entries_max = (uint32_t)entries + GAPS_MAX};
    t->tokens = parts_array(a, t->entries_max, sizeof *t->tokens, d);
    t->types = parts_array(a, t->entries_max, sizeof *t->types, d);
    return t->tokens && t->types ? ERR_OK : ERR_LIMIT;
}

enum err hf_tokens_add(struct hf_tokens *t, str text, uint64_t id, enum token_type type,
                       struct diag *d)
{
    if (id >= t->entries_max)
        return diag_set(d, ERR_INVALID,
                        "token \"" STR_FMT "\" has id %llu, far beyond the vocabulary's size",
                        STR_ARG(text), (unsigned long long)id);
    if (t->tokens[id].ptr && !str_eq(t->tokens[id], text))
        return diag_set(d, ERR_INVALID,
                        "tokens \"" STR_FMT "\" and \"" STR_FMT "\" have one id, %llu",
                        STR_ARG(t->tokens[id]), STR_ARG(text), (unsigned long long)id);
    if (!t->tokens[id].ptr)
        t->tokens[id] = arena_str(t->arena, text);
    if (!t->tokens[id].ptr)
        return diag_set(d, ERR_LIMIT, "the vocabulary takes too much memory");
    t->types[id] = (int32_t)type;
    if (id >= t->n)
        t->n = (uint32_t)id + 1;
    return ERR_OK;
}

int32_t hf_tokens_find(const struct hf_tokens *t, str text)
{
    for (uint32_t i = 0; text.ptr && i < t->n; i++)
        if (t->tokens[i].ptr && str_eq(t->tokens[i], text))
            return (int32_t)i;
    return -1;
}

enum err hf_tokens_add_map(struct hf_tokens *t, yyjson_val *map, struct diag *d)
{
    size_t i, n;
    yyjson_val *key, *value;
    if (!yyjson_is_obj(map))
        return diag_set(d, ERR_INVALID, "the vocabulary is not an object of texts and ids");
    yyjson_obj_foreach(map, i, n, key, value)
    {
        uint64_t id;
        if (str_to_u64(json_num_text(value), &id) != ERR_OK)
            return diag_set(d, ERR_INVALID, "token \"" STR_FMT "\" has no id",
                            STR_ARG(json_str(key)));
        ERR_TRY(hf_tokens_add(t, json_str(key), id, TOKEN_NORMAL, d));
    }
    return ERR_OK;
}

// Ids that no file names, and the embedding's rows beyond the last: tokens that are never made.
static enum err fill_gaps(struct hf_tokens *t, uint32_t n_vocab, struct diag *d)
{
    uint32_t n = n_vocab > t->n ? n_vocab : t->n;
    if (n > t->entries_max)
        return diag_set(d, ERR_INVALID, "vocab_size is %u, but the vocabulary has %u tokens",
                        n_vocab, t->n);
    for (uint32_t i = 0; i < n; i++) {
        if (t->tokens[i].ptr)
            continue;
        ERR_TRY(hf_tokens_add(t, arena_printf(t->arena, "[PAD%u]", i), i, TOKEN_UNUSED, d));
    }
    return ERR_OK;
}

// "bos_token": "<s>" or {"content": "<s>"}.
static str token_text(yyjson_val *v)
{
    return yyjson_is_obj(v) ? json_str(json_get(v, "content")) : json_str(v);
}

// By tokenizer_config.json's text, else by the id in config.json or generation_config.json (the
// first one of a list).
static enum err find_special(const struct hf_folder *h, const struct hf_tokens *t, const char *name,
                             int32_t *ret, struct diag *d)
{
    char id_name[32];
    yyjson_val *text = json_get(h->tokenizer_config.doc.root, name);
    int32_t found = hf_tokens_find(t, token_text(text));
    if (found >= 0) {
        *ret = found;
        return ERR_OK;
    }
    snprintf(id_name, sizeof id_name, "%s_id", name);
    yyjson_val *id = json_get(h->config.doc.root, id_name);
    id = id && !yyjson_is_null(id) ? id : json_get(h->generation_config.doc.root, id_name);
    if (yyjson_is_arr(id))
        id = yyjson_arr_get_first(id);
    uint64_t n;
    if (!id || yyjson_is_null(id))
        return ERR_OK;
    if (str_to_u64(json_num_text(id), &n) != ERR_OK || n >= t->n)
        return diag_set(d, ERR_INVALID, "config.json: \"%s\" is no token of the vocabulary",
                        id_name);
    *ret = (int32_t)n;
    return ERR_OK;
}

static enum err find_specials(const struct hf_folder *h, const struct hf_tokens *t, struct vocab *v,
                              struct diag *d)
{
    ERR_TRY(find_special(h, t, "bos_token", &v->bos, d));
    ERR_TRY(find_special(h, t, "eos_token", &v->eos, d));
    ERR_TRY(find_special(h, t, "unk_token", &v->unk, d));
    ERR_TRY(find_special(h, t, "pad_token", &v->pad, d));
    yyjson_val *add_bos = json_get(h->tokenizer_config.doc.root, "add_bos_token");
    if (yyjson_is_bool(add_bos))
        v->add_bos = yyjson_is_true(add_bos);
    return ERR_OK;
}

// {"50256": {"content": "<|endoftext|>", "special": true}, …}
static enum err add_decoder(const struct hf_folder *h, struct hf_tokens *t, struct diag *d)
{
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_val *decoder = json_get(h->tokenizer_config.doc.root, "added_tokens_decoder");
    if (!decoder)
        return ERR_OK;
    yyjson_obj_foreach(decoder, i, n, key, value)
    {
        uint64_t id;
        bool special = yyjson_is_true(json_get(value, "special"));
        if (str_to_u64(json_str(key), &id) != ERR_OK)
            return diag_set(d, ERR_INVALID,
                            "tokenizer_config.json: added_tokens_decoder has a key that is no id");
        ERR_TRY(hf_tokens_add(t, token_text(value), id, special ? TOKEN_CONTROL : TOKEN_USER, d));
    }
    return ERR_OK;
}

// A string, or a list of {"name", "template"} of which "default" is taken.
static str template_text(yyjson_val *t)
{
    size_t i, n;
    yyjson_val *item;
    if (!yyjson_is_arr(t))
        return json_str(t);
    yyjson_arr_foreach(t, i, n, item)
    {
        if (str_eq_z(json_str(json_get(item, "name")), "default"))
            return json_str(json_get(item, "template"));
    }
    return STR_NONE;
}

// In tokenizer_config.json; newer folders have it in a file of its own.
static enum err read_template(const struct hf_folder *h, struct vocab *v, struct diag *d)
{
    char path[HF_PATH_BYTES_MAX];
    str text = template_text(json_get(h->tokenizer_config.doc.root, "chat_template"));
    enum err e = ERR_OK;
    struct buf file;
    ERR_TRY(hf_path(h, "chat_template.jinja", path, d));
    buf_init(&file, TEMPLATE_BYTES_MAX);
    if (!text.ptr && fs_exists(path)) {
        e = fs_read(path, TEMPLATE_BYTES_MAX, &file, d);
        text = buf_str(&file);
    }
    if (e == ERR_OK && text.ptr)
        v->chat_template = arena_str(&h->f->arena, text);
    buf_done(&file);
    return e;
}

enum err hf_vocab(struct hf_folder *h, struct vocab *ret, struct diag *d)
{
    struct hf_tokens t = {0};
    struct vocab v;
    vocab_init(&v);
    enum err e =
        h->tokenizer.doc.root ? hf_tokenizer_json(h, &t, &v, d) : hf_bpe_files(h, &t, &v, d);
    if (e == ERR_NOT_FOUND) {
        *ret = v; // weights without a vocabulary
        return ERR_OK;
    }
    ERR_TRY(e);
    ERR_TRY(add_decoder(h, &t, d));
    ERR_TRY(fill_gaps(&t, h->f->hparams.n_vocab, d));
    v.tokens = t.tokens;
    v.types = t.types;
    v.n_tokens = t.n;
    ERR_TRY(find_specials(h, &t, &v, d));
    ERR_TRY(read_template(h, &v, d));
    *ret = v;
    return ERR_OK;
}
