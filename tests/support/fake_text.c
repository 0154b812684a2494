// The double's file and vocabulary (fake_model.h).
#include <stdio.h>

#include "base/mem.h"
#include "engine/format/model_file.h"
#include "engine/text/chat_template.h"
#include "engine/text/tokenizer.h"
#include "support/fake_model.h"

#include "base/banned.h"

// --- engine/format

struct model_file {
    struct hparams hparams;
    struct vocab vocab;
    str *tokens;
    char *letters;
};

static void name_tokens(struct model_file *f, uint32_t n)
{
    f->tokens = mem_array(n, sizeof *f->tokens);
    f->letters = mem_array(n, 3);
    for (uint32_t i = 0; i < n; i++) {
        char *at = f->letters + (size_t)i * 3;
        if (i < 256)
            at[0] = (char)i;
        else if (i > FAKE_EOS)
            snprintf(at, 3, "%c%c", (char)('a' + i % 26), (char)('a' + i / 26 % 26));
        f->tokens[i] = str_slice(at, i < 256 ? 1 : i > FAKE_EOS ? 2 : 0);
    }
}

enum err model_file_open(const char *path, struct model_file **ret, struct diag *d)
{
    if (strncmp(path, "fake", 4) != 0)
        return diag_set(d, ERR_NOT_FOUND, "no such file: %s", path);
    struct fake_model *fake = fake_model_config();
    struct model_file *f = mem_new(struct model_file);
    f->hparams = (struct hparams){
        .arch_name = strcmp(path, "fake-draft") == 0  ? STR("fake-draft")
                     : strcmp(path, "fake-twin") == 0 ? STR("fake-twin")
                                                      : STR("fake"),
        .n_layer = 1,
        .n_embd = fake->n_embd,
        .n_head = 1,
        .n_head_kv = 1,
        .n_vocab = fake->n_vocab,
        .n_ctx = fake->n_ctx,
    };
    name_tokens(f, fake->n_vocab);
    if (strcmp(path, "fake-other") == 0)
        f->tokens[65] = STR("other");
    f->vocab = (struct vocab){
        .kind = VOCAB_BPE, .n_tokens = fake->n_vocab, .tokens = f->tokens, .bos = FAKE_BOS};
    *ret = f;
    return ERR_OK;
}

enum err model_file_from_memory(str image, struct model_file **ret, struct diag *d)
{
    (void)image;
    return model_file_open("fake", ret, d);
}

void model_file_free(struct model_file *f)
{
    if (!f)
        return;
    mem_free(f->tokens);
    mem_free(f->letters);
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

size_t model_file_tensor_count(const struct model_file *f)
{
    (void)f;
    return 0;
}

const struct tensor *model_file_tensor_at(const struct model_file *f, size_t i)
{
    (void)f, (void)i;
    return NULL;
}

const char *tensor_type_name(enum tensor_type t)
{
    (void)t;
    return "F32";
}

const char *model_file_fingerprint(const struct model_file *f)
{
    (void)f;
    return "0123456789abcdef";
}

uint64_t model_file_bytes(const struct model_file *f)
{
    (void)f;
    return 1;
}

// --- engine/text

struct tokenizer {
    const struct vocab *vocab;
};

enum err tokenizer_new(const struct vocab *v, struct tokenizer **ret, struct diag *d)
{
    (void)d;
    *ret = mem_new(struct tokenizer);
    (*ret)->vocab = v;
    return ERR_OK;
}

void tokenizer_free(struct tokenizer *t)
{
    mem_free(t);
}

void token_ids_done(struct token_ids *ids)
{
    mem_free(ids->ids);
    *ids = (struct token_ids){0};
}

static enum err append(struct token_ids *ids, size_t max, int32_t id)
{
    if (ids->len == max)
        return ERR_LIMIT;
    if (ids->len == ids->cap) {
        ids->cap = ids->cap * 2 + 16;
        ids->ids = mem_resize(ids->ids, ids->cap, sizeof *ids->ids);
    }
    ids->ids[ids->len++] = id;
    return ERR_OK;
}

enum err tokenizer_encode(const struct tokenizer *t, str text, uint32_t flags, size_t max_tokens,
                          struct token_ids *ids)
{
    (void)t;
    if (flags & TOKENIZE_BOS)
        ERR_TRY(append(ids, max_tokens, FAKE_BOS));
    for (size_t i = 0; i < text.len; i++)
        ERR_TRY(append(ids, max_tokens, (uint8_t)text.ptr[i]));
    return ERR_OK;
}

enum err tokenizer_piece(const struct tokenizer *t, int32_t id, bool special, struct buf *out)
{
    if (tokenizer_is_control(t, id))
        return special ? buf_append_str(out, id == FAKE_BOS ? STR("<bos>") : STR("<eos>")) : ERR_OK;
    return buf_append_str(out, t->vocab->tokens[id]);
}

bool tokenizer_strip_leading_space(const struct tokenizer *t)
{
    (void)t;
    return true;
}

enum err tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool special,
                          struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        ERR_TRY(tokenizer_piece(t, ids[i], special, out));
    return ERR_OK;
}

uint32_t tokenizer_size(const struct tokenizer *t)
{
    return t->vocab->n_tokens;
}

bool tokenizer_is_control(const struct tokenizer *t, int32_t id)
{
    (void)t;
    return id == FAKE_BOS || id == FAKE_EOS;
}

bool tokenizer_is_eog(const struct tokenizer *t, int32_t id)
{
    (void)t;
    return id == FAKE_EOS;
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->vocab->bos;
}

enum err chat_template_detect(str source, const char *family_override, struct chat_template *ret,
                              struct diag *d)
{
    (void)source, (void)family_override;
    (void)ret;
    return diag_set(d, ERR_UNSUPPORTED, "the double has no chat template");
}

const char *chat_family_name(enum chat_family f)
{
    return f == CHAT_NONE ? "none" : "other";
}

enum err chat_template_render(const struct chat_template *t, const struct chat_message *messages,
                              size_t n, str tools_json, bool add_generation, struct buf *out,
                              struct diag *d)
{
    (void)t, (void)messages, (void)n, (void)tools_json, (void)add_generation, (void)out;
    return diag_set(d, ERR_UNSUPPORTED, "the double has no chat template");
}

const char *const *chat_template_stops(const struct chat_template *t)
{
    static const char *const none[] = {NULL};
    (void)t;
    return none;
}
