// Texts made to be slow: the time grows as the text, not as its square. (8 times the text may take
// 24 times as long here; a square would take 64 times.)
// REQ: ENG-1 ENG-2 ENG-11
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/random.h"
#include "engine/text/tokenizer.h"
#include "support/made_vocab.h"
#include "support/unit.h"

#ifdef __SANITIZE_THREAD__
enum { SMALL = 4 << 10, LARGE = 32 << 10 }; // all is slower, but no steeper
#else
enum { SMALL = 16 << 10, LARGE = 128 << 10 };
#endif

static const struct {
    const char *name, *unit; // repeated; NULL: random bytes
} texts[] = {
    {"one letter", "t"},
    {"merging letters", "the"},
    {"blanks", " "},
    {"newlines", "\n"},
    {"blank and newline", " \n"},
    {"digits", "3"},
    {"a quote", "'"},
    {"angle brackets", "<"},
    {"near specials", "<|im_start|"},
    {"specials", "<|im_end|>"},
    {"marks", "\xcc\x81\xcc\xa3"},
    {"jamo", "\xe1\x84\x80\xe1\x85\xa1"},
    {"Han", "中"},
    {"cut UTF-8", "\xe2\x82"},
    {"random bytes", NULL},
};

static void fill(char *out, size_t size, const char *unit)
{
    struct random r;
    random_seed(&r, 3);
    for (size_t i = 0; i < size; i++)
        out[i] = unit ? unit[i % strlen(unit)] : (char)random_next(&r);
}

static double seconds_for(const struct tokenizer *t, const char *unit, size_t size)
{
    char *text = mem_alloc(size);
    struct token_ids ids = {0};
    fill(text, size, unit);
    clock_t begin = clock();
    assert_int_equal(tokenizer_encode(t, str_slice(text, size), TOKENIZE_SPECIAL, SIZE_MAX, &ids),
                     ERR_OK);
    double seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    struct buf back;
    buf_init(&back, size * 2 + 100);
    assert_int_equal(tokenizer_decode(t, ids.ids, ids.len, true, &back), ERR_OK);
    assert_true(back.len > 0);
    buf_done(&back);
    token_ids_done(&ids);
    mem_free(text);
    return seconds;
}

static void check(enum vocab_kind kind, const char *pre)
{
    struct arena a;
    struct vocab v;
    struct tokenizer *t = NULL;
    struct diag d;
    arena_init(&a, 1 << 20);
    made_vocab(kind, &a, &v);
    if (kind == VOCAB_BPE)
        v.pre = str_of(pre);
    assert_int_equal(tokenizer_new(&v, &t, &d), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        double small = seconds_for(t, texts[i].unit, SMALL);
        double large = seconds_for(t, texts[i].unit, LARGE);
        if (large > 24 * small + 0.25)
            fail_msg("%s, %s: %.3f s for %d bytes, %.3f s for %d", pre, texts[i].name, small, SMALL,
                     large, LARGE);
    }
    tokenizer_free(t);
    arena_done(&a);
}

static void time_grows_with_the_text(void **state)
{
    (void)state;
    static const char *const pres[] = {"gpt-2",        "llama-bpe",      "qwen2",  "smollm",
                                       "deepseek-llm", "deepseek-coder", "falcon", "mpt"};
    for (size_t i = 0; i < ARRAY_LEN(pres); i++)
        check(VOCAB_BPE, pres[i]);
    check(VOCAB_SPM, "spm");
}

// A text far past the limit costs no more than the limit.
static void a_huge_text_is_cut_before_the_work(void **state)
{
    (void)state;
    struct arena a;
    struct vocab v;
    struct tokenizer *t = NULL;
    struct diag d;
    struct token_ids ids = {0};
    size_t size = 64 << 20;
    char *text = mem_alloc(size);
    memset(text, 'q', size);
    arena_init(&a, 1 << 20);
    made_vocab(VOCAB_SPM, &a, &v);
    assert_int_equal(tokenizer_new(&v, &t, &d), ERR_OK);
    clock_t begin = clock();
    assert_int_equal(tokenizer_encode(t, str_slice(text, size), 0, 1000, &ids), ERR_LIMIT);
    assert_int_equal(ids.len, 1000);
    assert_true((double)(clock() - begin) / CLOCKS_PER_SEC < 2.0);
    token_ids_done(&ids);
    tokenizer_free(t);
    arena_done(&a);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_grows_with_the_text),
        cmocka_unit_test(a_huge_text_is_cut_before_the_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
