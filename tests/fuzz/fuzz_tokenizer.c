// REQ: SEC-4 ENG-11
// The first byte chooses. Even: the rest is text for a good vocabulary, and its bytes must come
// back. Odd: the rest is a vocabulary (a token a line, merges after an empty line, text after
// another), which is refused with a sentence or works.
#include <stdlib.h>

#include "base/arena.h"
#include "engine/text/tokenizer.h"
#include "support/made_vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENS_MAX = 2048 };

static const char *const pres[] = {"gpt-2",        "llama-bpe",      "qwen2",  "smollm",
                                   "deepseek-llm", "deepseek-coder", "falcon", "mpt"};

static void encode(const struct tokenizer *t, str text, uint32_t flags, bool must_return)
{
    struct token_ids ids = {0}, few = {0};
    struct buf back;
    buf_init(&back, 64 << 20);
    if (tokenizer_encode(t, text, flags, SIZE_MAX, &ids) != ERR_OK ||
        tokenizer_decode(t, ids.ids, ids.len, true, &back) != ERR_OK)
        abort();
    str got = buf_str(&back);
    if (tokenizer_strip_leading_space(t) && got.len)
        got = str_sub(got, 1, got.len);
    if (must_return && !str_eq(got, text))
        abort();
    enum err e = tokenizer_encode(t, text, flags, ids.len / 2, &few);
    if (e != (ids.len ? ERR_LIMIT : ERR_OK) || few.len != ids.len / 2)
        abort();
    buf_done(&back);
    token_ids_done(&ids);
    token_ids_done(&few);
}

static void text_input(uint8_t choice, str text)
{
    static struct arena arena;
    static struct tokenizer *made[ARRAY_LEN(pres) + 1];
    size_t which = (choice >> 1) % ARRAY_LEN(made);
    bool spm = which == ARRAY_LEN(pres);
    if (!made[which]) {
        struct vocab v;
        if (!arena.ceiling_bytes)
            arena_init(&arena, 4 << 20);
        made_vocab(spm ? VOCAB_SPM : VOCAB_BPE, &arena, &v);
        if (!spm)
            v.pre = str_of(pres[which]);
        if (tokenizer_new(&v, &made[which], NULL) != ERR_OK)
            abort();
    }
    // NFC changes bytes, and SPM's own sign for a blank comes back as one
    bool changes = spm ? str_find(text, STR("\xe2\x96\x81")) != SIZE_MAX : which == 2 || which == 7;
    encode(made[which], text, choice & 0x80 ? TOKENIZE_SPECIAL : 0, !changes && !(choice & 0x80));
}

static void vocabulary_input(uint8_t choice, str rest)
{
    static str tokens[TOKENS_MAX], merges[TOKENS_MAX];
    static int32_t types[TOKENS_MAX];
    struct vocab v = {.kind = choice & 2 ? VOCAB_SPM : VOCAB_BPE,
                      .tokens = tokens,
                      .merges = merges,
                      .types = choice & 4 ? types : NULL,
                      .pre = STR("gpt-2"),
                      .bos = -1,
                      .eos = -1,
                      .eot = -1,
                      .unk = choice & 8 ? 0 : -1,
                      .pad = -1,
                      .add_space_prefix = choice & 16,
                      .ignore_merges = choice & 32};
    struct tokenizer *t = NULL;
    struct diag d = {0};
    str line;
    while (v.n_tokens < TOKENS_MAX && str_split(&rest, '\n', &line) && line.len) {
        types[v.n_tokens] = 1 + (uint8_t)line.ptr[0] % 6;
        tokens[v.n_tokens++] = line;
    }
    while (v.n_merges < TOKENS_MAX && str_split(&rest, '\n', &line) && line.len)
        merges[v.n_merges++] = line;
    if (v.n_tokens == 0)
        return;
    enum err e = tokenizer_new(&v, &t, &d);
    if (e == ERR_OK)
        encode(t, rest, TOKENIZE_SPECIAL, false);
    else if (d.code != e || d.text[0] == '\0')
        abort();
    tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str rest = str_slice((const char *)data + 1, size - 1);
    if (data[0] & 1)
        vocabulary_input(data[0], rest);
    else
        text_input(data[0], rest);
    return 0;
}
