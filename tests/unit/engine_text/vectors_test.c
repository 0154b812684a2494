// The golden vectors that llama.cpp publishes beside its vocabularies (ids by the models' own
// tokenizers), and GPT-2's published ids.
// REQ: ENG-1 ENG-2
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "engine/text/tokenizer.h"
#include "support/shared_data.h"
#include "support/unit.h"

enum { FILE_BYTES_MAX = 1 << 20, TOKENS_MAX = 4096 };

struct loaded {
    struct model_file *file;
    struct tokenizer *tokenizer;
};

static struct loaded load(const char *relative)
{
    struct loaded l = {0};
    struct diag d;
    char text[600];
    const char *path = shared_data_path(relative);
    if (!path) {
        print_message("skipped: %s is not here\n", relative);
        skip();
    }
    if (model_file_open(path, &l.file, &d) != ERR_OK ||
        tokenizer_new(model_file_vocab(l.file), &l.tokenizer, &d) != ERR_OK)
        fail_msg("%s: %s", relative, diag_format(&d, text, sizeof text));
    return l;
}

static void unload(struct loaded *l)
{
    tokenizer_free(l->tokenizer);
    model_file_free(l->file);
}

static void read_file(const char *relative, struct buf *b)
{
    struct diag d;
    const char *path = shared_data_path(relative);
    assert_non_null(path);
    assert_int_equal(fs_read(path, FILE_BYTES_MAX, b, &d), ERR_OK);
}

// Cuts the text before the next separator off *rest.
static bool next_text(str *rest, str *ret)
{
    static const char separator[] = "\n__ggml_vocab_test__\n";
    if (rest->len == 0)
        return false;
    size_t at = str_find(*rest, STR("\n__ggml_vocab_test__\n"));
    *ret = str_sub(*rest, 0, at);
    *rest = at == SIZE_MAX ? str_slice(rest->ptr + rest->len, 0)
                           : str_sub(*rest, at + sizeof separator - 1, rest->len);
    return true;
}

static size_t read_ids(str line, int32_t *ids)
{
    size_t n = 0;
    str word;
    while (str_split(&line, ' ', &word)) {
        int64_t id;
        if (word.len == 0)
            continue;
        assert_int_equal(str_to_i64(word, &id), ERR_OK);
        assert_true(n < TOKENS_MAX);
        ids[n++] = (int32_t)id;
    }
    return n;
}

static void check_ids(const struct tokenizer *t, str text, uint32_t flags, const int32_t *want,
                      size_t n)
{
    struct token_ids got = {0};
    assert_int_equal(tokenizer_encode(t, text, flags, TOKENS_MAX, &got), ERR_OK);
    for (size_t i = 0; i < n || i < got.len; i++)
        if (i >= n || i >= got.len || got.ids[i] != want[i])
            fail_msg("\"" STR_FMT "\": id %zu of %zu is %d, want %d of %zu", STR_ARG(text), i,
                     got.len, i < got.len ? (int)got.ids[i] : -1, i < n ? (int)want[i] : -1, n);
    token_ids_done(&got);
}

// The bytes come back, but for the blank that SPM puts in front.
static void check_decodes(const struct tokenizer *t, str text, const int32_t *ids, size_t n)
{
    struct buf b;
    buf_init(&b, FILE_BYTES_MAX);
    assert_int_equal(tokenizer_decode(t, ids, n, true, &b), ERR_OK);
    str got = buf_str(&b);
    if (tokenizer_strip_leading_space(t) && got.len)
        got = str_sub(got, 1, got.len);
    assert_true(str_eq(got, text));
    buf_done(&b);
}

static void check_vectors(const char *name, bool decodes)
{
    char relative[128];
    struct buf texts, lines;
    snprintf(relative, sizeof relative, "models/ggml-vocab/ggml-vocab-%s.gguf", name);
    struct loaded l = load(relative);
    buf_init(&texts, FILE_BYTES_MAX + 1);
    buf_init(&lines, FILE_BYTES_MAX + 1);
    snprintf(relative, sizeof relative, "models/ggml-vocab/ggml-vocab-%s.gguf.inp", name);
    read_file(relative, &texts);
    snprintf(relative, sizeof relative, "models/ggml-vocab/ggml-vocab-%s.gguf.out", name);
    read_file(relative, &lines);
    str rest = buf_str(&texts), ids_left = buf_str(&lines), text, line;
    size_t n_texts = 0;
    while (next_text(&rest, &text)) {
        int32_t ids[TOKENS_MAX];
        if (!str_split(&ids_left, '\n', &line))
            line = STR_NONE;
        size_t n = read_ids(line, ids);
        check_ids(l.tokenizer, text, 0, ids, n);
        if (decodes)
            check_decodes(l.tokenizer, text, ids, n);
        n_texts++;
    }
    assert_int_equal(n_texts, 46);
    buf_done(&texts);
    buf_done(&lines);
    unload(&l);
}

static void gpt2_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("gpt-2", true);
}

static void falcon_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("falcon", true);
}

static void starcoder_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("starcoder", true);
}

static void refact_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("refact", true);
}

static void mpt_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("mpt", false); // normalises to NFC: the bytes may differ
}

static void deepseek_llm_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("deepseek-llm", true);
}

static void deepseek_coder_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("deepseek-coder", true);
}

static void llama_spm_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("llama-spm", true);
}

static void phi3_gives_the_published_ids(void **state)
{
    (void)state;
    check_vectors("phi-3", true);
}

// openai/tiktoken tests/test_encoding.py, for GPT-2.
static void gpt2_knows_tiktokens_cases(void **state)
{
    (void)state;
    struct loaded l = load("models/ggml-vocab/ggml-vocab-gpt-2.gguf");
    static const struct {
        const char *text;
        int32_t ids[4];
        size_t n;
    } cases[] = {
        {"hello world", {31373, 995}, 2},
        {"hello <|endoftext|>", {31373, 220, 50256}, 3},
        {"0", {15}, 1},
        {"00", {405}, 1},
        {"000", {830}, 1},
        {"0000", {2388}, 1},
        {"00000", {20483}, 1},
        {"000000", {10535}, 1},
        {"0000000", {24598}, 1},
        {"00000000", {8269}, 1},
        {"000000000", {10535, 830}, 2},
        {"0000000000", {8269, 405}, 2},
        {"00000000000", {8269, 830}, 2},
        {"The dog", {464, 3290}, 2},
        {"", {0}, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_ids(l.tokenizer, str_of(cases[i].text), TOKENIZE_SPECIAL, cases[i].ids, cases[i].n);
    unload(&l);
}

// OpenAI's encoder.json and vocab.bpe are the same tokenizer as the GGUF vocabulary.
static void gpt2_from_its_own_files_gives_the_same_ids(void **state)
{
    (void)state;
    struct loaded gguf = load("models/ggml-vocab/ggml-vocab-gpt-2.gguf");
    struct loaded folder = load("models/gpt2-vocab");
    struct buf text;
    struct token_ids a = {0}, b = {0};
    assert_int_equal(tokenizer_size(folder.tokenizer), 50257);
    buf_init(&text, FILE_BYTES_MAX + 1);
    read_file("models/ggml-vocab/ggml-vocab-gpt-2.gguf.inp", &text);
    buf_append_str(&text, STR("<|endoftext|>"));
    assert_int_equal(
        tokenizer_encode(gguf.tokenizer, buf_str(&text), TOKENIZE_SPECIAL, TOKENS_MAX, &a), ERR_OK);
    assert_int_equal(
        tokenizer_encode(folder.tokenizer, buf_str(&text), TOKENIZE_SPECIAL, TOKENS_MAX, &b),
        ERR_OK);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ids, b.ids, a.len * sizeof *a.ids);
    assert_int_equal(a.ids[a.len - 1], 50256);
    assert_true(tokenizer_is_eog(folder.tokenizer, 50256));
    token_ids_done(&a);
    token_ids_done(&b);
    buf_done(&text);
    unload(&gguf);
    unload(&folder);
}

// Without TOKENIZE_SPECIAL the same characters are text.
static void control_tokens_in_text_need_the_flag(void **state)
{
    (void)state;
    struct loaded l = load("models/ggml-vocab/ggml-vocab-gpt-2.gguf");
    struct token_ids ids = {0};
    assert_int_equal(tokenizer_encode(l.tokenizer, STR("<|endoftext|>"), 0, 100, &ids), ERR_OK);
    assert_true(ids.len > 1);
    for (size_t i = 0; i < ids.len; i++)
        assert_int_not_equal(ids.ids[i], 50256);
    token_ids_done(&ids);
    unload(&l);
    l = load("models/ggml-vocab/ggml-vocab-llama-spm.gguf");
    assert_int_equal(tokenizer_encode(l.tokenizer, STR("<s></s><0x0A>"), 0, 100, &ids), ERR_OK);
    for (size_t i = 0; i < ids.len; i++)
        assert_true(ids.ids[i] > 2 && ids.ids[i] != 13);
    token_ids_done(&ids);
    unload(&l);
}

static void llama_begins_with_bos_and_a_blank(void **state)
{
    (void)state;
    struct loaded l = load("models/ggml-vocab/ggml-vocab-llama-spm.gguf");
    // karpathy/llama2.c test.c
    static const int32_t want[] = {1, 306, 4658, 278, 6593, 310, 2834, 338};
    check_ids(l.tokenizer, STR("I believe the meaning of life is"), TOKENIZE_BOS, want,
              ARRAY_LEN(want));
    check_ids(l.tokenizer, STR(""), TOKENIZE_BOS, want, 1);
    check_ids(l.tokenizer, STR(""), 0, NULL, 0);
    static const int32_t turn[] = {1, 306, 2, 1, 306};
    check_ids(l.tokenizer, STR("I</s><s>I"), TOKENIZE_BOS | TOKENIZE_SPECIAL, turn,
              ARRAY_LEN(turn));
    unload(&l);
}

static void every_vocabulary_but_wordpiece_loads(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-neox", "baichuan"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char relative[128];
        snprintf(relative, sizeof relative, "models/ggml-vocab/ggml-vocab-%s.gguf", names[i]);
        struct loaded l = load(relative);
        struct token_ids ids = {0};
        str text = STR("Hello world! \xc3\xbf 123\n");
        assert_int_equal(tokenizer_encode(l.tokenizer, text, 0, 100, &ids), ERR_OK);
        check_decodes(l.tokenizer, text, ids.ids, ids.len);
        token_ids_done(&ids);
        unload(&l);
    }
    struct model_file *f = NULL;
    struct tokenizer *t = NULL;
    struct diag d;
    const char *path = shared_data_path("models/ggml-vocab/ggml-vocab-bert-bge.gguf");
    assert_non_null(path);
    assert_int_equal(model_file_open(path, &f, &d), ERR_OK);
    assert_int_equal(tokenizer_new(model_file_vocab(f), &t, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "WordPiece"));
    model_file_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpt2_gives_the_published_ids),
        cmocka_unit_test(falcon_gives_the_published_ids),
        cmocka_unit_test(starcoder_gives_the_published_ids),
        cmocka_unit_test(refact_gives_the_published_ids),
        cmocka_unit_test(mpt_gives_the_published_ids),
        cmocka_unit_test(deepseek_llm_gives_the_published_ids),
        cmocka_unit_test(deepseek_coder_gives_the_published_ids),
        cmocka_unit_test(llama_spm_gives_the_published_ids),
        cmocka_unit_test(phi3_gives_the_published_ids),
        cmocka_unit_test(gpt2_knows_tiktokens_cases),
        cmocka_unit_test(gpt2_from_its_own_files_gives_the_same_ids),
        cmocka_unit_test(control_tokens_in_text_need_the_flag),
        cmocka_unit_test(llama_begins_with_bos_and_a_blank),
        cmocka_unit_test(every_vocabulary_but_wordpiece_loads),
    };
    if (!shared_data_path("models/ggml-vocab")) {
        print_message("skipped: the shared vocabularies are not here\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
