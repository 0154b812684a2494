// The tokenizers on vocabularies made in the test: merging against the definition, bytes there and
// back, special tokens, limits, refusals.
// REQ: ENG-1 ENG-2 ENG-11
#include <string.h>

#include "base/arena.h"
#include "base/random.h"
#include "engine/text/tokenizer.h"
#include "support/made_vocab.h"
#include "support/unit.h"

struct made {
    struct arena arena;
    struct vocab vocab;
    struct tokenizer *tokenizer;
};

static void make(struct made *m, enum vocab_kind kind)
{
    struct diag d;
    arena_init(&m->arena, 1 << 20);
    made_vocab(kind, &m->arena, &m->vocab);
    if (tokenizer_new(&m->vocab, &m->tokenizer, &d) != ERR_OK)
        fail_msg("%s", d.text);
}

static void unmake(struct made *m)
{
    tokenizer_free(m->tokenizer);
    arena_done(&m->arena);
}

static int32_t find_token(const struct vocab *v, str text)
{
    for (uint32_t i = 0; i < v->n_tokens; i++)
        if (str_eq(v->tokens[i], text))
            return (int32_t)i;
    return -1;
}

// BPE by its definition (Sennrich et al. 2016): while there is a merge of any two neighbours, do
// the one that comes first in the list, leftmost first. On the pieces' texts, in quadratic time.
static size_t bpe_by_definition(const struct vocab *v, str *pieces, size_t n, char *joined)
{
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < n; i++)
            for (size_t m = 0; m < v->n_merges && m < best; m++) {
                size_t cut = str_find_char(v->merges[m], ' ');
                if (str_eq(str_sub(v->merges[m], 0, cut), pieces[i]) &&
                    str_eq(str_sub(v->merges[m], cut + 1, SIZE_MAX), pieces[i + 1])) {
                    best = m;
                    at = i;
                }
            }
        if (best == SIZE_MAX)
            return n;
        memcpy(joined, pieces[at].ptr, pieces[at].len);
        memcpy(joined + pieces[at].len, pieces[at + 1].ptr, pieces[at + 1].len);
        pieces[at] = str_slice(joined, pieces[at].len + pieces[at + 1].len);
        joined += pieces[at].len;
        memmove(&pieces[at + 1], &pieces[at + 2], (n - at - 2) * sizeof *pieces);
        n--;
    }
}

// One word at a time (letters of the merges), so that the pre-tokenizer has no part in it.
static void merging_is_by_the_definition(void **state)
{
    (void)state;
    struct made m;
    struct random r;
    make(&m, VOCAB_BPE);
    random_seed(&r, 5);
    for (size_t turn = 0; turn < 3000; turn++) {
        static const char letters[] = "theandwsioufyrg";
        char text[40], joined[4096];
        str pieces[40];
        size_t n = 1 + (size_t)random_below(&r, 39);
        struct token_ids got = {0};
        for (size_t i = 0; i < n; i++) {
            text[i] = letters[random_below(&r, sizeof letters - 1)];
            pieces[i] = str_slice(&text[i], 1);
        }
        size_t want = bpe_by_definition(&m.vocab, pieces, n, joined);
        assert_int_equal(tokenizer_encode(m.tokenizer, str_slice(text, n), 0, 100, &got), ERR_OK);
        assert_int_equal(got.len, want);
        for (size_t i = 0; i < want; i++)
            assert_int_equal(got.ids[i], find_token(&m.vocab, pieces[i]));
        token_ids_done(&got);
    }
    unmake(&m);
}

// A vocabulary of random merges over four letters, in which ranks contradict lengths and a token is
// made in more ways than one.
static void random_merges(struct random *r, struct arena *a, struct vocab *v)
{
    enum { MERGES = 40, TOKENS = 4 + MERGES };
    str *tokens = arena_zalloc(a, TOKENS, sizeof *tokens);
    str *merges = arena_zalloc(a, MERGES, sizeof *merges);
    *v = (struct vocab){.kind = VOCAB_BPE,
                        .pre = STR("gpt-2"),
                        .tokens = tokens,
                        .merges = merges,
                        .bos = -1,
                        .eos = -1,
                        .eot = -1,
                        .unk = -1,
                        .pad = -1};
    for (size_t i = 0; i < 4; i++)
        tokens[v->n_tokens++] = str_slice(&"abcd"[i], 1);
    while (v->n_merges < MERGES) {
        str x = tokens[random_below(r, v->n_tokens)], y = tokens[random_below(r, v->n_tokens)];
        str whole = arena_printf(a, STR_FMT STR_FMT, STR_ARG(x), STR_ARG(y));
        str merge = arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(x), STR_ARG(y));
        if (find_token(v, whole) < 0)
            tokens[v->n_tokens++] = whole;
        merges[v->n_merges++] = merge;
    }
    for (size_t i = MERGES - 1; i > 0; i--) { // the order in which they were made is not their rank
        size_t j = (size_t)random_below(r, i + 1);
        str swap = merges[i];
        merges[i] = merges[j];
        merges[j] = swap;
    }
}

static void merging_is_by_the_definition_whatever_the_ranks(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 8);
    for (size_t turn = 0; turn < 60; turn++) {
        struct arena a;
        struct vocab v;
        struct tokenizer *t = NULL;
        struct diag d;
        arena_init(&a, 1 << 20);
        random_merges(&r, &a, &v);
        assert_int_equal(tokenizer_new(&v, &t, &d), ERR_OK);
        for (size_t k = 0; k < 50; k++) {
            char text[40], joined[4096];
            str pieces[40];
            struct token_ids got = {0};
            for (size_t i = 0; i < sizeof text; i++) {
                text[i] = "abcd"[random_below(&r, 4)];
                pieces[i] = str_slice(&text[i], 1);
            }
            size_t want = bpe_by_definition(&v, pieces, sizeof text, joined);
            assert_int_equal(tokenizer_encode(t, str_slice(text, sizeof text), 0, 100, &got),
                             ERR_OK);
            assert_int_equal(got.len, want);
            for (size_t i = 0; i < want; i++)
                assert_int_equal(got.ids[i], find_token(&v, pieces[i]));
            token_ids_done(&got);
        }
        tokenizer_free(t);
        arena_done(&a);
    }
}

// A byte's token is made from a byte, never from the six characters of its name.
static void byte_tokens_are_not_written_out(void **state)
{
    (void)state;
    static str tokens[8 + 256] = {
        [0] = STR("<unk>"), [1] = STR("<0"), [2] = STR("x41"), [3] = STR("<0x41"),
        [4] = STR("<"),     [5] = STR("0"),  [6] = STR("x4"),  [7] = STR("1>")};
    static char names[256][7];
    struct vocab v = {.kind = VOCAB_SPM,
                      .tokens = tokens,
                      .n_tokens = ARRAY_LEN(tokens),
                      .bos = -1,
                      .eos = -1,
                      .eot = -1,
                      .unk = 0,
                      .pad = -1};
    struct tokenizer *t = NULL;
    struct token_ids ids = {0};
    for (size_t b = 0; b < 256; b++) {
        for (size_t i = 0; i < 6; i++)
            names[b][i] = "<0x00>"[i];
        names[b][3] = "0123456789ABCDEF"[b / 16];
        names[b][4] = "0123456789ABCDEF"[b % 16];
        tokens[8 + b] = str_slice(names[b], 6);
    }
    assert_int_equal(tokenizer_new(&v, &t, NULL), ERR_OK);
    assert_int_equal(tokenizer_encode(t, STR("<0x41>A"), 0, 100, &ids), ERR_OK);
    for (size_t i = 0; i + 1 < ids.len; i++)
        assert_int_not_equal(ids.ids[i], 8 + 0x41);
    assert_int_equal(ids.ids[ids.len - 1], 8 + 0x41);
    token_ids_done(&ids);
    tokenizer_free(t);
}

static void any_bytes_come_back(void **state)
{
    (void)state;
    static const enum vocab_kind kinds[] = {VOCAB_BPE, VOCAB_SPM};
    struct random r;
    random_seed(&r, 6);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct made m;
        make(&m, kinds[k]);
        for (size_t turn = 0; turn < 2000; turn++) {
            char text[64];
            size_t n = (size_t)random_below(&r, sizeof text);
            struct token_ids ids = {0};
            struct buf back;
            buf_init(&back, 1 << 16);
            for (size_t i = 0; i < n; i++)
                text[i] = (char)(turn % 2 ? random_below(&r, 256) : 32 + random_below(&r, 95));
            assert_int_equal(tokenizer_encode(m.tokenizer, str_slice(text, n), 0, 1000, &ids),
                             ERR_OK);
            assert_int_equal(tokenizer_decode(m.tokenizer, ids.ids, ids.len, true, &back), ERR_OK);
            str got = buf_str(&back);
            if (tokenizer_strip_leading_space(m.tokenizer) && got.len)
                got = str_sub(got, 1, got.len);
            assert_true(str_eq(got, str_slice(text, n)));
            buf_done(&back);
            token_ids_done(&ids);
        }
        unmake(&m);
    }
}

static void special_tokens_are_found_only_when_asked(void **state)
{
    (void)state;
    struct made m;
    struct token_ids ids = {0};
    struct buf b;
    make(&m, VOCAB_BPE);
    int32_t start = tokenizer_find(m.tokenizer, STR("<|im_start|>"));
    int32_t end = tokenizer_find(m.tokenizer, STR("<|im_end|>"));
    assert_true(start > 0 && end > 0);
    str text = STR("<|im_start|>a<|im_end|><|im_end");
    assert_int_equal(tokenizer_encode(m.tokenizer, text, TOKENIZE_SPECIAL, 100, &ids), ERR_OK);
    assert_int_equal(ids.ids[0], start);
    assert_int_equal(ids.ids[1], 'a');
    assert_int_equal(ids.ids[2], end);
    assert_true(ids.len > 4); // the last one is cut short: text
    buf_init(&b, 1000);
    assert_int_equal(tokenizer_decode(m.tokenizer, ids.ids, 3, true, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), "<|im_start|>a<|im_end|>");
    buf_clear(&b);
    assert_int_equal(tokenizer_decode(m.tokenizer, ids.ids, 3, false, &b), ERR_OK);
    assert_string_equal(buf_cstr(&b), "a");
    ids.len = 0;
    assert_int_equal(tokenizer_encode(m.tokenizer, text, 0, 100, &ids), ERR_OK);
    for (size_t i = 0; i < ids.len; i++)
        assert_true(ids.ids[i] != start && ids.ids[i] != end);
    assert_true(tokenizer_is_control(m.tokenizer, end));
    assert_false(tokenizer_is_control(m.tokenizer, 'a'));
    assert_false(tokenizer_is_control(m.tokenizer, -1));
    assert_true(tokenizer_is_eog(m.tokenizer, end));
    assert_true(tokenizer_is_eog(m.tokenizer, m.vocab.eos));
    assert_false(tokenizer_is_eog(m.tokenizer, start));
    buf_done(&b);
    token_ids_done(&ids);
    unmake(&m);
}

// Leftmost, then longest; a user's token is found without the flag too.
static void the_longest_special_token_wins(void **state)
{
    (void)state;
    struct made m;
    struct diag d;
    struct token_ids ids = {0};
    arena_init(&m.arena, 1 << 20);
    made_vocab(VOCAB_BPE, &m.arena, &m.vocab);
    int32_t *types = (int32_t *)(uintptr_t)m.vocab.types;
    str *tokens = (str *)(uintptr_t)m.vocab.tokens;
    static const char *const added[] = {"<a", "<a>", "<a>b", "a>b<"};
    for (size_t i = 0; i < ARRAY_LEN(added); i++) {
        tokens[m.vocab.n_tokens] = str_of(added[i]);
        types[m.vocab.n_tokens++] = TOKEN_USER;
    }
    int32_t first = (int32_t)m.vocab.n_tokens - 4;
    assert_int_equal(tokenizer_new(&m.vocab, &m.tokenizer, &d), ERR_OK);
    assert_int_equal(tokenizer_encode(m.tokenizer, STR("<a>b<a>c<aa>b<"), 0, 100, &ids), ERR_OK);
    const int32_t want[] = {first + 2, first + 1, 'c', first, first + 3};
    assert_int_equal(ids.len, ARRAY_LEN(want));
    assert_memory_equal(ids.ids, want, sizeof want);
    token_ids_done(&ids);
    unmake(&m);
}

static void the_limit_holds_and_gives_the_first_tokens(void **state)
{
    (void)state;
    static const enum vocab_kind kinds[] = {VOCAB_BPE, VOCAB_SPM};
    static char text[1 << 16];
    memset(text, 'q', sizeof text);
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        struct made m;
        struct token_ids ids = {0}, all = {0};
        make(&m, kinds[k]);
        str t = str_slice(text, sizeof text);
        assert_int_equal(tokenizer_encode(m.tokenizer, t, TOKENIZE_BOS, 10, &ids), ERR_LIMIT);
        assert_int_equal(ids.len, 10);
        assert_int_equal(tokenizer_encode(m.tokenizer, t, TOKENIZE_BOS, SIZE_MAX, &all), ERR_OK);
        assert_memory_equal(ids.ids, all.ids, 10 * sizeof *ids.ids);
        // what is there already counts
        assert_int_equal(tokenizer_encode(m.tokenizer, STR("q"), 0, 10, &ids), ERR_LIMIT);
        assert_int_equal(tokenizer_encode(m.tokenizer, STR(""), 0, 10, &ids), ERR_OK);
        ids.len = 0;
        // a text of just that many tokens passes
        assert_int_equal(tokenizer_encode(m.tokenizer, t, TOKENIZE_BOS, all.len, &ids), ERR_OK);
        ids.len = 0;
        assert_int_equal(tokenizer_encode(m.tokenizer, t, TOKENIZE_BOS, all.len - 1, &ids),
                         ERR_LIMIT);
        token_ids_done(&ids);
        token_ids_done(&all);
        unmake(&m);
    }
}

static void ids_out_of_range_are_refused(void **state)
{
    (void)state;
    struct made m;
    struct buf b;
    make(&m, VOCAB_SPM);
    buf_init(&b, 100);
    assert_int_equal(tokenizer_piece(m.tokenizer, -1, true, &b), ERR_INVALID);
    assert_int_equal(tokenizer_piece(m.tokenizer, (int32_t)m.vocab.n_tokens, true, &b),
                     ERR_INVALID);
    assert_int_equal(tokenizer_piece(m.tokenizer, INT32_MIN, true, &b), ERR_INVALID);
    assert_int_equal(b.len, 0);
    unmake(&m);
}

static void expect_refusal(const struct vocab *v, enum err want, const char *names)
{
    struct tokenizer *t = NULL;
    struct diag d = {0};
    assert_int_equal(tokenizer_new(v, &t, &d), want);
    if (!strstr(d.text, names))
        fail_msg("\"%s\" does not name %s", d.text, names);
    assert_null(t);
}

static void vocabularies_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    struct arena a;
    struct vocab good, bad;
    arena_init(&a, 1 << 20);
    made_vocab(VOCAB_BPE, &a, &good);
    bad = good;
    bad.pre = STR("klingon");
    expect_refusal(&bad, ERR_UNSUPPORTED, "klingon");
    bad.kind = VOCAB_NONE;
    expect_refusal(&bad, ERR_UNSUPPORTED, "no vocabulary");
    bad.kind = VOCAB_WPM;
    expect_refusal(&bad, ERR_UNSUPPORTED, "WordPiece");
    bad = good;
    str merges[] = {STR("t h"), STR("th qqq")};
    bad.merges = merges;
    bad.n_merges = 2;
    expect_refusal(&bad, ERR_INVALID, "merge 1");
    merges[1] = STR("z z");
    expect_refusal(&bad, ERR_INVALID, "\"zz\"");
    bad = good;
    ((str *)(uintptr_t)bad.tokens)[200] = bad.tokens[17];
    expect_refusal(&bad, ERR_INVALID, "200");
    arena_done(&a);

    arena_init(&a, 1 << 20);
    made_vocab(VOCAB_SPM, &a, &good);
    bad = good;
    ((str *)(uintptr_t)bad.tokens)[13] = STR("<0x-1>"); // a byte's token
    expect_refusal(&bad, ERR_INVALID, "token 13");
    ((int32_t *)(uintptr_t)bad.types)[13] = TOKEN_NORMAL;
    bad.unk = -1;
    expect_refusal(&bad, ERR_INVALID, "0x0A");
    arena_done(&a);
}

static void spm_merges_by_score_and_falls_back_to_bytes(void **state)
{
    (void)state;
    struct made m;
    struct token_ids ids = {0};
    make(&m, VOCAB_SPM);
    assert_int_equal(tokenizer_encode(m.tokenizer, STR("the day\n"), TOKENIZE_BOS, 100, &ids),
                     ERR_OK);
    const int32_t want[] = {m.vocab.bos, tokenizer_find(m.tokenizer, STR("▁the")),
                            tokenizer_find(m.tokenizer, STR("▁day")),
                            tokenizer_find(m.tokenizer, STR("<0x0A>"))};
    assert_int_equal(ids.len, ARRAY_LEN(want));
    assert_memory_equal(ids.ids, want, sizeof want);
    token_ids_done(&ids);
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_is_by_the_definition),
        cmocka_unit_test(merging_is_by_the_definition_whatever_the_ranks),
        cmocka_unit_test(byte_tokens_are_not_written_out),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(special_tokens_are_found_only_when_asked),
        cmocka_unit_test(the_longest_special_token_wins),
        cmocka_unit_test(the_limit_holds_and_gives_the_first_tokens),
        cmocka_unit_test(ids_out_of_range_are_refused),
        cmocka_unit_test(vocabularies_that_contradict_themselves_are_refused),
        cmocka_unit_test(spm_merges_by_score_and_falls_back_to_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
