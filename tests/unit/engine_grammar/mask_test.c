// A mask says of each token what feeding its bytes says: also where it is made of a slice of the
// vocabulary that fits as a whole and a walk through the rest, near the ends of counts, at the
// edges of characters, and where the vocabulary cannot say a byte alone.
//
// REQ: ENG-8
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"
#include "engine/grammar/grammar.h"
#include "support/unit.h"

enum { TOKENS = 1200, TEXT_MAX = 64 };

static char texts[TOKENS][TEXT_MAX];
static str words[TOKENS];
static struct token_trie trie;
static struct random r;

static const uint32_t pools[][8] = {{'a', 'b', 'c', 'x', 'y', 'z', 'e', 'r'},
                                    {'a', ' ', 'Z', '0', '9', ' ', 'b', 'q'},
                                    {'a', '-', '.', '@', '_', ',', '1', 'b'},
                                    {'a', '"', '}', ',', ' ', ':', '\n', '\\'},
                                    {'a', 0xE9, 0x20AC, 0x1F600, ' ', 'b', 0xA0, 0xD7FF},
                                    {0x7F, 0x2028, 0x85, 'a', 0xE000, '"', '\t', 0x10FFFF}};

static void append(struct buf *b, uint32_t character)
{
    char bytes[4];
    size_t len = utf8_encode(character, bytes);
    (void)buf_append(b, bytes, len);
}

// Mostly short; some as long as a slice's tokens may be, or one longer; some cut in a character.
static void make_word(uint32_t token)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    const uint32_t *pool = pools[random_below(&r, ARRAY_LEN(pools))];
    uint64_t n = random_below(&r, 8) == 0 ? 15 + random_below(&r, 3) : 1 + random_below(&r, 5);
    for (uint64_t i = 0; i < n && b.len < TEXT_MAX - 4; i++)
        append(&b, pool[random_below(&r, 8)]);
    size_t from = random_below(&r, 12) == 0 && b.len > 1, len = b.len - from;
    len -= random_below(&r, 12) == 0 && len > 1;
    for (size_t i = 0; i < len; i++)
        texts[token][i] = buf_str(&b).ptr[from + i];
    words[token] = str_slice(texts[token], len);
    buf_done(&b);
}

// `without`: bytes that no token is alone.
static void make_vocabulary(const char *without)
{
    for (uint32_t i = 0; i < 256; i++) {
        texts[i][0] = (char)i;
        words[i] = str_slice(texts[i], i && strchr(without, (int)i) ? 0 : 1);
    }
    for (uint32_t i = 256; i < TOKENS; i++)
        make_word(i);
    token_trie_init(&trie, words, TOKENS);
}

static uint64_t check_mask(struct automaton *a, uint32_t *state)
{
    static uint64_t mask[(TOKENS + 63) / 64];
    uint64_t allowed = 0;
    memcpy(mask, automaton_mask(a, state), sizeof mask);
    for (uint32_t t = 0; t < TOKENS; t++) {
        bool is_allowed = mask[t / 64] >> (t % 64) & 1;
        bool fits = words[t].len && automaton_feed(a, *state, words[t]) != AUTOMATON_DEAD;
        if (is_allowed != fits)
            fail_msg("token %u is %sallowed, but it %s", t, is_allowed ? "" : "not ",
                     fits ? "fits" : "does not fit");
        allowed += is_allowed;
    }
    return allowed;
}

static uint32_t draw(struct automaton *a, uint32_t *state, uint64_t n)
{
    const uint64_t *mask = automaton_mask(a, state);
    for (uint32_t t = 0; t < TOKENS; t++)
        if (mask[t / 64] >> (t % 64) & 1 && n-- == 0)
            return t;
    return TOKENS;
}

static void check_answer(struct automaton *a)
{
    uint32_t state = automaton_start(a);
    for (int i = 0; i < 40 && automaton_goes_on(a, state); i++) {
        uint64_t n = check_mask(a, &state);
        assert_true(n > 0);
        state = automaton_feed(a, state, words[draw(a, &state, random_below(&r, n))]);
        assert_true(state != AUTOMATON_DEAD);
    }
}

static const struct grammar_part forms[] = {
    {GRAMMAR_JSON, {0}, {0}, {0}},
    {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"minLength\":9,\"maxLength\":60}"), {0}, {0}},
    {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"maxLength\":17}"), {0}, {0}},
    {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"minLength\":700}"), {0}, {0}},
    {GRAMMAR_SCHEMA,
     STR("{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":30},\"maxItems\":3}"),
     {0},
     {0}},
    {GRAMMAR_SCHEMA,
     STR("{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"t\":{"
         "\"type\":\"string\",\"maxLength\":40},\"l\":{\"anyOf\":[{\"$ref\":\"#/$defs/n\"},{"
         "\"type\":\"null\"}]}},\"required\":[\"t\",\"l\"]}}}"),
     {0},
     {0}},
    {GRAMMAR_SCHEMA,
     STR("{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9 ]{3,40}$\",\"maxLength\":35}"),
     {0},
     {0}},
    {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"pattern\":\"b.{20}$\"}"), {0}, {0}},
    {GRAMMAR_REGEX, STR("[^\"]{0,50}"), {0}, {0}},
    {GRAMMAR_REGEX, STR("(.{18}|[a-z ]{2,40})x"), {0}, {0}},
    {GRAMMAR_REGEX, STR("([A-Za-z0-9 ]{1,17}, ){1,3}[^a]*"), {0}, {0}},
    {GRAMMAR_GBNF,
     STR("root ::= \"<\" [^<>]{2,40} \">\" text\ntext ::= [a-zA-Z0-9 ]* \".\"\n"),
     {0},
     {0}},
    {GRAMMAR_GBNF,
     STR("root ::= \"(\" text root? \")\"\ntext ::= c{0,33}\nc ::= d\nd ::= [^()] | \"\\\\(\"\n"),
     {0},
     {0}},
};

static void check_forms(const char *without)
{
    for (int round = 0; round < 3; round++) {
        random_seed(&r, 77 + (uint64_t)round);
        make_vocabulary(without);
        for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
            struct automaton *a;
            struct diag d;
            assert_int_equal(grammar_compile(&forms[i], 1, &trie, &a, &d), ERR_OK);
            check_answer(a);
            check_answer(a);
            automaton_free(a);
        }
        token_trie_done(&trie);
    }
}

static void test_masks_agree_with_steps(void **state UNUSED)
{
    check_forms("");
}

static void test_bytes_that_no_token_is_alone(void **state UNUSED)
{
    char without[3 + 64] = "bZ"; // and nothing but whole tokens has more than ASCII
    for (size_t i = 0; i < 64; i++)
        without[2 + i] = (char)(0x80 + i);
    check_forms(without);
}

// One rule deep in others as far as is allowed: a character that stands there goes, one that a rule
// more would say does not.
static void test_masks_agree_at_the_greatest_depth(void **state UNUSED)
{
    const struct grammar_part form = {
        GRAMMAR_GBNF,
        STR("root ::= \"(\" text root? \")\"\ntext ::= [^()] c{0,33}\nc ::= [^()]\n"),
        {0},
        {0}};
    struct automaton *a;
    struct diag d;
    random_seed(&r, 5);
    make_vocabulary("");
    assert_int_equal(grammar_compile(&form, 1, &trie, &a, &d), ERR_OK);
    uint32_t at = automaton_start(a), deepest = 0;
    while ((at = automaton_feed(a, at, STR("("))) != AUTOMATON_DEAD) {
        if (++deepest > AUTOMATON_DEPTH_MAX - 6)
            check_mask(a, &at);
        at = automaton_feed(a, at, STR("a"));
    }
    assert_in_range(deepest, AUTOMATON_DEPTH_MAX - 3, AUTOMATON_DEPTH_MAX);
    automaton_free(a);
    token_trie_done(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_masks_agree_with_steps),
        cmocka_unit_test(test_bytes_that_no_token_is_alone),
        cmocka_unit_test(test_masks_agree_at_the_greatest_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
