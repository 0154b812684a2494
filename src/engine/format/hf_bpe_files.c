// vocab.json + merges.txt, or OpenAI's own encoder.json + vocab.bpe.
#include "engine/format/hf.h"

#include "base/banned.h"

enum { MERGES_BYTES_MAX = 64 << 20 };

// "a b" a line, in rank order; a first line "#version: …" is none.
static enum err read_merges(struct arena *a, str text, struct vocab *v, struct diag *d)
{
    size_t lines = 1;
    for (size_t i = 0; text.ptr && i < text.len; i++)
        lines += text.ptr[i] == '\n';
    str *merges = parts_array(a, lines, sizeof *merges, d), line;
    if (!merges)
        return ERR_LIMIT;
    str rest = arena_str(a, text);
    if (!rest.ptr)
        return diag_set(d, ERR_LIMIT, "the merges take too much memory");
    for (size_t n = 0; str_split(&rest, '\n', &line); n++) {
        if (str_ends(line, STR("\r")))
            line.len--;
        if (line.len && !(n == 0 && str_starts(line, STR("#version"))))
            merges[v->n_merges++] = line;
    }
    v->merges = merges;
    return ERR_OK;
}

// The first of two names that is there.
static enum err choose(const struct hf_folder *h, const char *const names[2],
                       char out[static HF_PATH_BYTES_MAX], const char **ret, struct diag *d)
{
    for (size_t i = 0; i < 2; i++) {
        ERR_TRY(hf_path(h, names[i], out, d));
        *ret = names[i];
        if (fs_exists(out))
            return ERR_OK;
    }
    return ERR_NOT_FOUND;
}

static enum err load_merges(struct hf_folder *h, struct vocab *v, struct diag *d)
{
    char path[HF_PATH_BYTES_MAX];
    const char *name;
    struct buf text;
    enum err e = choose(h, (const char *const[]){"merges.txt", "vocab.bpe"}, path, &name, d);
    if (e == ERR_NOT_FOUND)
        return diag_set(d, ERR_INVALID, "the folder has a vocabulary but no merges.txt");
    ERR_TRY(e);
    buf_init(&text, MERGES_BYTES_MAX);
    e = fs_read(path, MERGES_BYTES_MAX, &text, d);
    if (e == ERR_OK)
        e = read_merges(&h->f->arena, buf_str(&text), v, d);
    buf_done(&text);
    return e;
}

static enum err load_tokens(struct hf_folder *h, const char *name, struct hf_tokens *t,
                            struct diag *d)
{
    struct hf_json json = {0};
    enum err e = hf_json_read(h, name, &json, d);
    if (e == ERR_OK)
        e = hf_tokens_init(t, &h->f->arena, yyjson_obj_size(json.doc.root), d);
    if (e == ERR_OK)
        e = hf_tokens_add_map(t, json.doc.root, d);
    hf_json_done(&json);
    return e;
}

enum err hf_bpe_files(struct hf_folder *h, struct hf_tokens *t, struct vocab *v, struct diag *d)
{
    char path[HF_PATH_BYTES_MAX];
    const char *name;
    ERR_TRY(choose(h, (const char *const[]){"vocab.json", "encoder.json"}, path, &name, d));
    ERR_TRY(load_tokens(h, name, t, d));
    ERR_TRY(load_merges(h, v, d));
    v->kind = VOCAB_BPE;
    v->pre = str_starts(h->f->hparams.arch_name, STR("qwen")) ? STR("qwen2") : STR("gpt-2");
    int32_t end = hf_tokens_find(t, STR("<|endoftext|>"));
    if (end >= 0) {
        t->types[end] = TOKEN_CONTROL;
        v->bos = v->eos = end;
    }
    return ERR_OK;
}
