#include "engine/format/model_file.h"

#include <sys/stat.h>

#include "base/encode.h"
#include "base/mem.h"
#include "engine/format/gguf.h"
#include "engine/format/hf.h"
#include "engine/format/parts.h"

#include "base/banned.h"

enum { SAMPLE_BYTES = 512 };

static void sample(struct sha256 *s, const struct tensor *t)
{
    uint64_t len = t->size_bytes < SAMPLE_BYTES ? t->size_bytes : SAMPLE_BYTES;
    uint64_t starts[] = {0, (t->size_bytes - len) / 2, t->size_bytes - len};
    for (size_t i = 0; i < ARRAY_LEN(starts); i++)
        sha256_update(s, t->data + starts[i], (size_t)len);
}

void model_file_set_fingerprint(struct model_file *f, const str *heads, size_t n_heads)
{
    uint8_t digest[32];
    struct sha256 *s = sha256_new();
    for (size_t i = 0; i < n_heads; i++)
        sha256_update(s, heads[i].ptr, heads[i].len);
    for (size_t i = 0; i < f->n_tensors; i++)
        sample(s, &f->tensors[i]);
    sha256_finish(s, digest);
    encode_hex(f->fingerprint, digest, sizeof digest);
}

// The embedding's rows are the vocabulary's size, whatever else the file says.
static enum err check_vocab_size(struct model_file *f, struct diag *d)
{
    const struct tensor *embd = model_file_tensor(f, "token_embd.weight");
    struct hparams *h = &f->hparams;
    if (!embd)
        return diag_set(d, ERR_INVALID, "tensor \"token_embd.weight\" is missing");
    if (embd->n_dims != 2 || embd->dims[0] != h->n_embd)
        return diag_set(d, ERR_INVALID,
                        "tensor \"token_embd.weight\" has rows of %llu values, but the embedding "
                        "length is %u",
                        (unsigned long long)embd->dims[0], h->n_embd);
    if (h->n_vocab && h->n_vocab != embd->dims[1])
        return diag_set(d, ERR_INVALID,
                        "the vocabulary size is given as %u, but token_embd.weight has %llu rows",
                        h->n_vocab, (unsigned long long)embd->dims[1]);
    if (f->vocab.kind != VOCAB_NONE && f->vocab.n_tokens != embd->dims[1])
        return diag_set(d, ERR_INVALID,
                        "the vocabulary has %u tokens, but token_embd.weight has %llu rows",
                        f->vocab.n_tokens, (unsigned long long)embd->dims[1]);
    h->n_vocab = embd->dims[1] > UINT32_MAX ? UINT32_MAX : (uint32_t)embd->dims[1];
    h->tied_head = model_file_tensor(f, "output.weight") == NULL;
    return ERR_OK;
}

enum err model_file_check(struct model_file *f, struct diag *d)
{
    ERR_TRY(vocab_check(&f->vocab, d));
    if (f->n_tensors == 0) {
        f->hparams.n_vocab = f->vocab.n_tokens;
        return ERR_OK;
    }
    ERR_TRY(check_vocab_size(f, d));
    return hparams_check(&f->hparams, d);
}

static enum err load_gguf(struct model_file *f, str image, struct diag *d)
{
    struct gguf *g = parts_array(&f->arena, 1, sizeof *g, d);
    if (!g)
        return ERR_LIMIT;
    ERR_TRY(gguf_parse(image, &f->arena, g, d));
    f->gguf = g;
    f->bytes = image.len;
    uint32_t parts = 1;
    enum err e = gguf_get_u32(g, "split.count", &parts, d);
    if (e != ERR_NOT_FOUND)
        ERR_TRY(e);
    if (parts > 1)
        return diag_set(d, ERR_UNSUPPORTED,
                        "this is one part of a model split in %u files; merge them first", parts);
    f->tensors = g->tensors;
    f->n_tensors = g->n_tensors;
    ERR_TRY(tensors_index(f, d));
    ERR_TRY(gguf_hparams(g, f->n_tensors > 0, &f->arena, &f->hparams, d));
    ERR_TRY(gguf_vocab(g, &f->arena, &f->vocab, d));
    ERR_TRY(model_file_check(f, d));
    str head = str_sub(image, 0, (size_t)g->data_offset);
    model_file_set_fingerprint(f, &head, 1);
    return ERR_OK;
}

static struct model_file *new_file(uint64_t bytes)
{
    struct model_file *f = mem_new(struct model_file);
    uint64_t most = MODEL_ARENA_BYTES_MAX;
    arena_init(&f->arena, (size_t)(bytes < most / 16 ? bytes * 16 + (1u << 16) : most));
    return f;
}

enum err model_file_from_memory(str image, struct model_file **ret, struct diag *d)
{
    struct model_file *f = new_file(image.len);
    enum err e = load_gguf(f, image, d);
    if (e != ERR_OK) {
        model_file_free(f);
        return e;
    }
    *ret = f;
    return ERR_OK;
}

static enum err open_gguf(const char *path, struct model_file **ret, struct diag *d)
{
    struct fs_map map;
    ERR_TRY(fs_map_open(path, &map, d));
    struct model_file *f = new_file(map.size);
    f->maps = mem_new(struct fs_map);
    f->maps[0] = map;
    f->n_maps = 1;
    enum err e = load_gguf(f, str_slice((const char *)map.data, map.size), d);
    if (e != ERR_OK) {
        model_file_free(f);
        return e;
    }
    *ret = f;
    return ERR_OK;
}

static enum err open_folder(const char *path, struct model_file **ret, struct diag *d)
{
    struct model_file *f = new_file(UINT64_MAX);
    enum err e = hf_open(path, f, d);
    if (e != ERR_OK) {
        model_file_free(f);
        return e;
    }
    *ret = f;
    return ERR_OK;
}

enum err model_file_open(const char *path, struct model_file **ret, struct diag *d)
{
    struct stat st;
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    enum err e = folder ? open_folder(path, ret, d) : open_gguf(path, ret, d);
    if (e != ERR_OK && d && !(folder && d->where[0]))
        diag_where(d, "%s", path);
    return e;
}

void model_file_free(struct model_file *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_maps; i++)
        fs_map_close(&f->maps[i]);
    mem_free(f->maps);
    arena_done(&f->arena);
    mem_free(f);
}

const struct hparams *model_file_hparams(const struct model_file *f)
{
    return &f->hparams;
}

const struct vocab *model_file_vocab(const struct model_file *f)
{
    return &f->vocab;
}

const struct tensor *model_file_tensor(const struct model_file *f, const char *name)
{
    str wanted = str_of(name);
    size_t low = 0, high = f->n_tensors;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = str_cmp(f->by_name[mid]->name, wanted);
        if (order == 0)
            return f->by_name[mid];
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

size_t model_file_tensor_count(const struct model_file *f)
{
    return f->n_tensors;
}

const struct tensor *model_file_tensor_at(const struct model_file *f, size_t i)
{
    ASSERT(i < f->n_tensors);
    return &f->tensors[i];
}

const char *model_file_fingerprint(const struct model_file *f)
{
    return f->fingerprint;
}

uint64_t model_file_bytes(const struct model_file *f)
{
    return f->bytes;
}

bool model_file_meta(const struct model_file *f, size_t i, str *ret_key, str *ret_value,
                     struct arena *a)
{
    if (f->gguf)
        return gguf_meta(f->gguf, i, ret_key, ret_value, a);
    if (i >= f->n_meta)
        return false;
    *ret_key = f->meta[i].key;
    *ret_value = f->meta[i].value;
    return true;
}
