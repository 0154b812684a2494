// Regular expressions and GBNF as automata: what they take and what they do not, and that no walk
// over their masks ends where nothing may follow.
//
// REQ: ENG-8
#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"
#include "engine/grammar/gbnf.h"
#include "engine/grammar/machine.h"
#include "support/grammar_words.h"
#include "support/unit.h"

static struct token_trie trie;

static int set_up(void **state UNUSED)
{
    grammar_words_trie(&trie);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    token_trie_done(&trie);
    return 0;
}

static struct automaton *of_regex(const char *text, bool anywhere, bool json,
                                  struct machine_bounds bounds)
{
    struct graph g;
    struct machine *m;
    struct automaton *a;
    graph_init(&g);
    struct diag d = {0};
    if (machine_new(str_of(text), anywhere, &m, &d) != ERR_OK)
        fail_msg("%s", d.text);
    uint32_t root = graph_rule(&g);
    const struct machine *machines[] = {m};
    machine_lay(machines, 1, bounds, json, &g, g.rules[root].start, g.rules[root].end);
    if (automaton_new(&g, root, &trie, &a, &d) != ERR_OK)
        fail_msg("%s: %s", text, d.text);
    machine_free(m);
    graph_done(&g);
    return a;
}

static struct automaton *of_gbnf(const char *text, struct diag *d)
{
    struct graph g;
    uint32_t root;
    struct automaton *a = NULL;
    graph_init(&g);
    if (gbnf_lay(str_of(text), &g, &root, d) == ERR_OK &&
        automaton_new(&g, root, &trie, &a, d) != ERR_OK)
        a = NULL;
    graph_done(&g);
    return a;
}

static const struct machine_bounds any_length = {0, UINT32_MAX};

// --- Regular expressions

static void test_expressions_take_what_they_mean(void **state UNUSED)
{
    static const struct {
        const char *expression, *text;
        bool anywhere, fits;
    } rows[] = {
        {"abc", "abc", false, true},
        {"abc", "ab", false, false},
        {"abc", "xabc", false, false},
        {"b", "abc", true, true},
        {"^b", "abc", true, false},
        {"^a", "abc", true, true},
        {"c$", "abc", true, true},
        {"b$", "abc", true, false},
        {"^(a|b)+$", "abba", true, true},
        {"^(a|b)+$", "abca", true, false},
        {"^a|b$", "ax", true, true},
        {"^a|b$", "xb", true, true},
        {"^a|b$", "xax", true, false},
        {"(^a$)|(^b$)", "b", true, true},
        {"a*", "", false, true},
        {"a+", "", false, false},
        {"a{2,3}", "aa", false, true},
        {"a{2,3}", "aaaa", false, false},
        {"a{2}", "aa", false, true},
        {"a{2,}", "aaaaa", false, true},
        {"a{2,}", "a", false, false},
        {"a{,2}", "aa", false, true},
        {"a{x}", "a{x}", false, true},
        {"(?:ab){2}", "abab", false, true},
        {"(?<year>\\d{4})-(?P<m>[0-9]{2})", "2024-11", false, true},
        {"[a-c]x?", "bx", false, true},
        {"[^a-c]", "b", false, false},
        {"[^a-c]", "é", false, true},
        {"[^a-c]", "\xC3", false, false},
        {"[\\]\\-a]+", "]-a", false, true},
        {"[\\w.]+@x", "a_1.b@x", false, true},
        {"\\S+", "äö", false, true},
        {"\\S+", "a b", false, false},
        {"\\x41\\u00e9", "Aé", false, true},
        {"\\x41+", "AAA", false, true},
        {".", "\n", false, false},
        {".", "\xF0\x9F\x98\x80", false, true},
        {".", "\xED\xA0\x80", false, false}, // half of a surrogate pair
        {"", "", false, true},
        {"", "x", true, true},
        {"a?b??", "ab", false, true},
        {"((((a))))", "a", false, true},
        {"(a*)*b", "aaab", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct automaton *a = of_regex(rows[i].expression, rows[i].anywhere, false, any_length);
        if (grammar_fits(a, str_of(rows[i].text)) != rows[i].fits)
            fail_msg("%s with '%s'", rows[i].expression, rows[i].text);
        automaton_free(a);
    }
}

static void put_every_other(struct buf *text, uint32_t n)
{
    char bytes[4];
    for (uint32_t c = 0; c < n; c++)
        (void)buf_append(text, bytes, utf8_encode(0x4E00 + 2 * c, bytes));
}

// 2000 characters, each a range of its own, and none is lost.
static void test_a_large_class_takes_each_of_its_characters(void **state UNUSED)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    (void)buf_append_char(&text, '[');
    put_every_other(&text, 2000);
    (void)buf_append_str(&text, STR("]"));
    (void)buf_append_char(&text, '\0');
    struct automaton *a = of_regex(buf_ptr(&text), false, false, any_length);
    for (uint32_t c = 0; c < 4000; c++) {
        char bytes[4];
        size_t n = utf8_encode(0x4E00 + c, bytes);
        assert_int_equal(grammar_fits(a, str_slice(bytes, n)), c % 2 == 0);
    }
    automaton_free(a);
    buf_done(&text);
}

// A short text can ask for much work: reading a class again for each of its copies.
static void test_work_has_a_bound(void **state UNUSED)
{
    struct diag d = {0};
    struct machine *m;
    struct buf text;
    buf_init(&text, 1 << 16);
    (void)buf_append_char(&text, '[');
    put_every_other(&text, 4000);
    (void)buf_append_str(&text, STR("]{60000}"));
    assert_int_equal(machine_new(buf_str(&text), false, &m, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "2 MiB"));
    buf_done(&text);
}

// An empty alternative is one, however often it is written.
static void test_empty_alternatives_cost_nothing(void **state UNUSED)
{
    struct diag d = {0};
    struct graph g;
    uint32_t root;
    graph_init(&g);
    assert_int_equal(gbnf_lay(STR("root ::= \"a\" ||||||||||||||||"), &g, &root, &d), ERR_OK);
    assert_true(g.n_edges < 10);
    graph_done(&g);
}

static void test_in_json_strings_escapes_are_characters(void **state UNUSED)
{
    struct automaton *a = of_regex("^.\\n\"\\\\\\x01$", true, true, any_length);
    assert_true(grammar_fits(a, STR("x\\n\\\"\\\\\\u0001")));
    assert_false(grammar_begins(a, STR("\"")));
    assert_false(grammar_begins(a, STR("x\n")));
    automaton_free(a);
}

static void test_lengths_count_characters(void **state UNUSED)
{
    struct automaton *a = of_regex("^[aé]*$", true, true, (struct machine_bounds){2, 3});
    assert_false(grammar_fits(a, STR("é")));
    assert_true(grammar_fits(a, STR("éa")));
    assert_true(grammar_fits(a, STR("ééa")));
    assert_false(grammar_begins(a, STR("éaéa")));
    automaton_free(a);
    a = of_regex("a+", false, false, (struct machine_bounds){3, UINT32_MAX});
    assert_false(grammar_fits(a, STR("aa")));
    assert_true(grammar_fits(a, STR("aaaaaa")));
    automaton_free(a);
}

static void test_what_is_not_understood_is_named(void **state UNUSED)
{
    static const struct {
        const char *expression, *word;
    } rows[] = {
        {"a(?=b)", "look-around"}, {"(a)\\1", "back reference"},
        {"\\bx", "\\b"},           {"\\p{L}", "\\p"},
        {"(?i)a", "flag"},         {"(a", "closing bracket"},
        {"a)", "too many"},        {"*a", "nothing before"},
        {"[a", "closing bracket"}, {"[z-a]", "range"},
        {"a{3,2}", "below"},       {"[]", "empty class"},
        {"\\", "backslash"},       {"(a{1000}){1000}", "too large"},
        {"[[:alpha:]]", "POSIX"},  {"\\xZZ", "hexadecimal"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct machine *m;
        struct diag d = {0};
        assert_int_not_equal(machine_new(str_of(rows[i].expression), false, &m, &d), ERR_OK);
        if (str_find(str_of(d.text), str_of(rows[i].word)) == SIZE_MAX)
            fail_msg("%s: %s", rows[i].expression, d.text);
    }
}

// --- GBNF

static const char json_grammar[] =
    "root   ::= object\n"
    "value  ::= object | array | string | number | (\"true\" | \"false\" | \"null\") ws\n"
    "# a comment\n"
    "object ::=\n"
    "  \"{\" ws (\n"
    "            string \":\" ws value\n"
    "    (\",\" ws string \":\" ws value)*\n"
    "  )? \"}\" ws\n"
    "array  ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
    "string ::= \"\\\"\" ( [^\"\\\\\\x7F\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | \"u\" "
    "[0-9a-fA-F]{4}) )* \"\\\"\" ws\n"
    "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? ([eE] [-+]? [0-9] "
    "[1-9]{0,15})? ws\n"
    "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";

static void test_grammars_take_what_they_say(void **state UNUSED)
{
    static const struct {
        const char *grammar, *text;
        bool fits;
    } rows[] = {
        {json_grammar, "{\"a\": [1, 2.5e-3, {\"b\":null}], \"c\":\"\\u00e9\"}", true},
        {json_grammar, "{\"a\": [1, 2,]}", false},
        {json_grammar, "[1]", false},
        {"root ::= \"a\" root \"b\" | \"c\"", "aacbb", true},
        {"root ::= \"a\" root \"b\" | \"c\"", "aacb", false},
        {"root ::= \"a\" root | \"b\"", "aaaaaab", true},
        {"root ::= x{2,3}\nx ::= [ab] | \"cc\"", "acc", true},
        {"root ::= x{2,3}\nx ::= [ab] | \"cc\"", "a", false},
        {"root ::= x{2}\nx ::= [ab]", "ab", true},
        {"root ::= (\"a\" | \"b\"\n | \"c\")+\n", "cab", true},
        {"root ::= \"a\" |\n \"b\"\n", "b", true},
        {"root ::= \"a\"\n | \"b\"\n", "b", true},
        {"root ::= . \"\\x41\" [^x]", "éAé", true},
        {"root ::= \"\\u20AC\" \"\\U0001F600\"", "€\xF0\x9F\x98\x80", true},
        {"root ::= [a-z]{0,3} [0-9]*", "", true},
        {"root ::= (\"x\"?)* \"y\"", "xxy", true},
        {"root ::= \"a\"{0} \"b\"", "b", true},
        {"root ::= a b\na ::= \"\"\nb ::= \"x\" b?", "xxx", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag d = {0};
        struct automaton *a = of_gbnf(rows[i].grammar, &d);
        if (!a)
            fail_msg("%s: %s", rows[i].grammar, d.text);
        if (grammar_fits(a, str_of(rows[i].text)) != rows[i].fits)
            fail_msg("%s with '%s'", rows[i].grammar, rows[i].text);
        automaton_free(a);
    }
}

static void test_wrong_grammars_are_refused(void **state UNUSED)
{
    static const struct {
        const char *grammar, *word;
    } rows[] = {
        {"root ::= root \"a\" | \"b\"", "left recursion"},
        {"root ::= e root \"a\" | \"b\"\ne ::= \"x\"?", "left recursion"},
        {"root ::= a\na ::= b\nb ::= a | \"x\"", "left recursion"},
        {"root ::= \"a\" root", "nothing can be said"},
        {"root ::= nothere", "nothere"},
        {"x ::= \"a\"", "root"},
        {"root ::= \"a\"\nroot ::= \"b\"", "second time"},
        {"root ::= \"a", "ends too early"},
        {"root ::= (\"a\"", "closing bracket"},
        {"root ::= [z-a]", "range"},
        {"root = \"a\"", "::="},
        {"root ::= \"a\"{3,2}", "count"},
        {"root ::= \"\\q\"", "escape"},
        {"root ::= \"a\"{300000}", "too large"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct diag d = {0};
        struct automaton *a = of_gbnf(rows[i].grammar, &d);
        if (a || str_find(str_of(d.text), str_of(rows[i].word)) == SIZE_MAX)
            fail_msg("%s: %s", rows[i].grammar, d.text);
    }
}

// --- Tokens

static bool allows(struct automaton *a, const char *said, const char *word)
{
    uint32_t at = automaton_feed(a, automaton_start(a), str_of(said));
    const uint64_t *mask = automaton_mask(a, &at);
    for (uint32_t i = 0; i < GRAMMAR_TOKENS; i++)
        if (str_eq_z(grammar_word(i), word))
            return mask[i / 64] >> (i % 64) & 1;
    return false;
}

static void test_a_token_may_span_several_symbols(void **state UNUSED)
{
    struct diag d;
    struct automaton *a = of_gbnf(json_grammar, &d);
    assert_true(allows(a, "", "{\""));
    assert_false(allows(a, "", "[{\""));
    assert_true(allows(a, "{\"a", "\": {"));
    assert_true(allows(a, "{\"a\":{\"b\":\"x", "\"}}"));
    assert_false(allows(a, "{\"b\":\"x", "\"}}"));
    assert_true(allows(a, "{\"b\":\"x", "\xE2\x82")); // part of a character
    assert_true(allows(a, "{\"b\":\"x\xE2", "\x82\xAC"));
    assert_false(allows(a, "{\"b\":\"x\xE2", "\""));
    automaton_free(a);
}

// A mask says of each token what feeding its bytes says.
static void test_masks_agree_with_steps(void **state UNUSED)
{
    static const char *const said[] = {"",          "{",      "{\"a\": [1", "{\"a\":\"\\",
                                       "{\"a\":tr", "{\"\xF0"};
    struct diag d;
    struct automaton *a = of_gbnf(json_grammar, &d);
    for (size_t i = 0; i < ARRAY_LEN(said); i++) {
        uint32_t at = automaton_feed(a, automaton_start(a), str_of(said[i]));
        const uint64_t *mask = automaton_mask(a, &at);
        for (uint32_t t = 0; t < GRAMMAR_TOKENS; t++)
            assert_int_equal(mask[t / 64] >> (t % 64) & 1,
                             automaton_feed(a, at, grammar_word(t)) != AUTOMATON_DEAD);
    }
    automaton_free(a);
}

static void test_rambling_never_gets_stuck(void **state UNUSED)
{
    static const char *const grammars[] = {
        json_grammar,
        "root ::= \"(\" root \")\" | \"x\"",
        "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"", // doubles its places with each a
        "root ::= x x x\nx ::= [a-c]{1,4} | \"(\" root \")\"",
        "root ::= ([^\\x00-\\x7F] | \"ab\")* \"!\"",
    };
    struct random r;
    random_seed(&r, 7);
    for (size_t i = 0; i < ARRAY_LEN(grammars); i++) {
        struct diag d;
        struct automaton *a = of_gbnf(grammars[i], &d);
        size_t ended = 0;
        for (int round = 0; round < 40; round++) {
            struct buf out;
            buf_init(&out, 1 << 20);
            bool over = grammar_ramble(a, &r, 300, &out);
            ended += over;
            assert_true(!over || grammar_fits(a, buf_str(&out)));
            buf_done(&out);
        }
        assert_true(ended > 0);
        automaton_free(a);
    }
}

// Each letter may be the one that counts: every text is a state of its own, of hundreds of places.
static void test_a_mask_that_is_too_much_work_allows_nothing(void **state UNUSED)
{
    struct token_trie wide;
    static char letters[26 * 26 * 26][3];
    static str texts[26 * 26 * 26 + 26];
    size_t n = 0;
    for (uint32_t i = 0; i < 26 * 26 * 26; i++) {
        letters[i][0] = (char)('a' + i % 26);
        letters[i][1] = (char)('a' + i / 26 % 26);
        letters[i][2] = (char)('a' + i / 676);
        texts[n++] = str_slice(letters[i], 3);
    }
    for (uint32_t i = 0; i < 26; i++)
        texts[n++] = str_slice(letters[i], 1);
    token_trie_init(&wide, texts, (uint32_t)n);
    struct graph g;
    struct automaton *a;
    struct diag d;
    uint32_t root;
    graph_init(&g);
    const str grammar = STR("root ::= ([a-y]* [aeiou] [a-y]{120}) | ([a-y]* [a-m] [a-y]{121}) |"
                            "([a-y]* [acegikmoqsuwy] [a-y]{122}) |"
                            "([a-y]* [abefijmnqruvyz] [a-y]{123})");
    assert_int_equal(gbnf_lay(grammar, &g, &root, &d), ERR_OK);
    assert_int_equal(automaton_new(&g, root, &wide, &a, &d), ERR_OK);
    uint32_t at = automaton_start(a);
    for (int i = 0; i < 300; i++)
        at = automaton_step(a, at, (uint8_t)('a' + i * 7 % 25));
    // What other answers have made known does not count: who comes second is refused the same.
    for (uint32_t i = 0; i < 26 * 26 * 26; i++)
        (void)automaton_feed(a, at, texts[i]);
    assert_int_equal(automaton_epoch(a), 0);
    const uint64_t *mask = automaton_mask(a, &at);
    for (size_t i = 0; i < token_mask_words((uint32_t)n); i++)
        assert_int_equal(mask[i], 0);
    automaton_free(a);
    graph_done(&g);
    token_trie_done(&wide);
}

static void test_depth_is_bounded_without_a_dead_end(void **state UNUSED)
{
    struct diag d;
    struct automaton *a = of_gbnf("root ::= \"(\" root \")\" | \"x\"", &d);
    uint32_t at = automaton_start(a);
    size_t depth = 0;
    for (uint32_t next; (next = automaton_step(a, at, '(')) != AUTOMATON_DEAD; depth++)
        at = next;
    assert_int_equal(depth, AUTOMATON_DEPTH_MAX);
    at = automaton_step(a, at, 'x');
    while (depth-- > 0)
        at = automaton_step(a, at, ')');
    assert_true(at != AUTOMATON_DEAD && automaton_accepts(a, at) && !automaton_goes_on(a, at));
    automaton_free(a);
}

static void test_what_the_vocabulary_cannot_say_is_left_out(void **state UNUSED)
{
    struct token_trie few;
    const str texts[] = {STR("a"), STR("b"), STR("bc"), STR("")};
    token_trie_init(&few, texts, 4);
    struct graph g;
    graph_init(&g);
    uint32_t root;
    struct automaton *a;
    struct diag d;
    assert_int_equal(gbnf_lay(STR("root ::= \"b\" \"c\"* \"a\""), &g, &root, &d), ERR_OK);
    assert_int_equal(automaton_new(&g, root, &few, &a, &d), ERR_OK);
    uint32_t at = automaton_start(a);
    assert_int_equal(automaton_mask(a, &at)[0], 2); // "bc" needs a c, which none says alone
    automaton_free(a);
    graph_done(&g);
    graph_init(&g);
    assert_int_equal(gbnf_lay(STR("root ::= \"x\""), &g, &root, &d), ERR_OK);
    assert_int_equal(automaton_new(&g, root, &few, &a, &d), ERR_INVALID);
    graph_done(&g);
    token_trie_done(&few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expressions_take_what_they_mean),
        cmocka_unit_test(test_a_large_class_takes_each_of_its_characters),
        cmocka_unit_test(test_work_has_a_bound),
        cmocka_unit_test(test_empty_alternatives_cost_nothing),
        cmocka_unit_test(test_in_json_strings_escapes_are_characters),
        cmocka_unit_test(test_lengths_count_characters),
        cmocka_unit_test(test_what_is_not_understood_is_named),
        cmocka_unit_test(test_grammars_take_what_they_say),
        cmocka_unit_test(test_wrong_grammars_are_refused),
        cmocka_unit_test(test_a_token_may_span_several_symbols),
        cmocka_unit_test(test_masks_agree_with_steps),
        cmocka_unit_test(test_rambling_never_gets_stuck),
        cmocka_unit_test(test_a_mask_that_is_too_much_work_allows_nothing),
        cmocka_unit_test(test_depth_is_bounded_without_a_dead_end),
        cmocka_unit_test(test_what_the_vocabulary_cannot_say_is_left_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
