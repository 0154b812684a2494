#include "support/made_vocab.h"

#include "base/utf8.h"
#include "support/gguf_write.h"

#include "base/banned.h"

enum { TOKENS_MAX = 1024 };

static const char *const words[] = {"the",  " the", " a",    " and", " to",   " was", " of",
                                    " in",  "ing",  " she",  " he",  " they", " it",  "ed",
                                    " day", "er",   " said", " you", " is",   " with"};

struct tables {
    struct arena *arena;
    str *tokens, *merges;
    float *scores;
    int32_t *types;
    uint32_t n_tokens, n_merges;
};

static void add(struct tables *t, str text, enum token_type type, float score)
{
    ASSERT(t->n_tokens < TOKENS_MAX);
    t->tokens[t->n_tokens] = arena_str(t->arena, text);
    t->types[t->n_tokens] = (int32_t)type;
    t->scores[t->n_tokens++] = score;
}

static bool has(const struct tables *t, str text)
{
    for (uint32_t i = 0; i < t->n_tokens; i++)
        if (str_eq(t->tokens[i], text))
            return true;
    return false;
}

// GPT-2's printable stand-in for a byte (openai/gpt-2 src/encoder.py, bytes_to_unicode).
static str byte_char(struct arena *a, unsigned byte)
{
    unsigned cp = 256;
    for (unsigned b = 0; b <= byte; b++) {
        bool kept = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (b == byte && kept)
            cp = byte;
        else if (b < byte && !kept)
            cp++;
    }
    char utf8[4];
    size_t len = utf8_encode(cp, utf8);
    return arena_str(a, str_slice(utf8, len));
}

static str join(struct arena *a, str x, const char *between, str y)
{
    return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(x), between, STR_ARG(y));
}

// One merge after another from the left: "t h", "th e".
static void add_merges(struct tables *t, const char *word)
{
    str left = byte_char(t->arena, (uint8_t)word[0]);
    for (const char *p = word + 1; *p; p++) {
        str right = byte_char(t->arena, (uint8_t)*p);
        str whole = join(t->arena, left, "", right);
        if (!has(t, whole)) {
            t->merges[t->n_merges++] = join(t->arena, left, " ", right);
            add(t, whole, TOKEN_NORMAL, 0.0f);
        }
        left = whole;
    }
}

static void fill_bpe(struct tables *t, struct vocab *v)
{
    for (unsigned b = 0; b < 256; b++)
        add(t, byte_char(t->arena, b), TOKEN_NORMAL, 0.0f);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        add_merges(t, words[i]);
    v->bos = v->eos = (int32_t)t->n_tokens;
    add(t, STR("<|endoftext|>"), TOKEN_CONTROL, 0.0f);
    add(t, STR("<|im_start|>"), TOKEN_CONTROL, 0.0f);
    v->eot = (int32_t)t->n_tokens;
    add(t, STR("<|im_end|>"), TOKEN_CONTROL, 0.0f);
    v->pre = STR("gpt-2");
    v->merges = t->merges;
    v->n_merges = t->n_merges;
}

static void fill_spm(struct tables *t, struct vocab *v)
{
    add(t, STR("<unk>"), TOKEN_UNKNOWN, 0.0f);
    add(t, STR("<s>"), TOKEN_CONTROL, 0.0f);
    add(t, STR("</s>"), TOKEN_CONTROL, 0.0f);
    for (unsigned b = 0; b < 256; b++)
        add(t, arena_printf(t->arena, "<0x%02X>", b), TOKEN_BYTE, 0.0f);
    float score = 0.0f;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *word = words[i];
        str left = *word == ' ' ? STR("\xe2\x96\x81") : str_slice(word, 1);
        for (const char *p = word + 1; *p; p++) {
            left = join(t->arena, left, "", str_slice(p, 1));
            if (!has(t, left))
                add(t, left, TOKEN_NORMAL, score -= 1.0f);
        }
    }
    add(t, STR("\xe2\x96\x81"), TOKEN_NORMAL, score -= 1.0f);
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; letters[i]; i++)
        add(t, str_slice(&letters[i], 1), TOKEN_NORMAL, score -= 1.0f);
    v->unk = 0;
    v->bos = 1;
    v->eos = 2;
    v->add_bos = v->add_space_prefix = true;
    v->scores = t->scores;
}

void made_vocab(enum vocab_kind kind, struct arena *a, struct vocab *ret)
{
    struct tables t = {.arena = a};
    struct vocab v = {.kind = kind, .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1};
    t.tokens = arena_zalloc(a, TOKENS_MAX, sizeof *t.tokens);
    t.merges = arena_zalloc(a, TOKENS_MAX, sizeof *t.merges);
    t.scores = arena_zalloc(a, TOKENS_MAX, sizeof *t.scores);
    t.types = arena_zalloc(a, TOKENS_MAX, sizeof *t.types);
    ASSERT(t.tokens && t.merges && t.scores && t.types);
    if (kind == VOCAB_BPE)
        fill_bpe(&t, &v);
    else
        fill_spm(&t, &v);
    v.tokens = t.tokens;
    v.types = t.types;
    v.n_tokens = t.n_tokens;
    *ret = v;
}

static void write_id(struct gguf_write *w, const char *key, int32_t id)
{
    if (id >= 0)
        gguf_write_u32(w, key, (uint32_t)id);
}

void made_vocab_write(const struct vocab *v, struct gguf_write *w)
{
    gguf_write_str(w, "tokenizer.ggml.model",
                   v->kind == VOCAB_BPE   ? STR("gpt2")
                   : v->kind == VOCAB_SPM ? STR("llama")
                                          : STR("no_vocab"));
    if (v->kind == VOCAB_NONE)
        return;
    if (v->pre.len)
        gguf_write_str(w, "tokenizer.ggml.pre", v->pre);
    gguf_write_strs(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    if (v->scores)
        gguf_write_f32s(w, "tokenizer.ggml.scores", v->scores, v->n_tokens);
    if (v->types)
        gguf_write_i32s(w, "tokenizer.ggml.token_type", v->types, v->n_tokens);
    if (v->n_merges)
        gguf_write_strs(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    write_id(w, "tokenizer.ggml.bos_token_id", v->bos);
    write_id(w, "tokenizer.ggml.eos_token_id", v->eos);
    write_id(w, "tokenizer.ggml.eot_token_id", v->eot);
    write_id(w, "tokenizer.ggml.unknown_token_id", v->unk);
    write_id(w, "tokenizer.ggml.padding_token_id", v->pad);
    gguf_write_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos);
    gguf_write_bool(w, "tokenizer.ggml.add_eos_token", v->add_eos);
    gguf_write_bool(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix);
    if (v->chat_template.len)
        gguf_write_str(w, "tokenizer.chat_template", v->chat_template);
}
