// The pre-tokenizers cut where the models' regular expressions cut. Expected pieces were made with
// those expressions themselves (Hugging Face tokenizers 0.23).
// REQ: ENG-1 ENG-2
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "base/utf8.h"
#include "engine/text/split.h"
#include "support/unit.h"

static const char *const names[] = {
    "gpt-2",   "llama-bpe",    "qwen2",          "smollm", "starcoder",
    "refact",  "deepseek-llm", "deepseek-coder", "falcon", "mpt",
    "default", "command-r",    "roberta-bpe",    "olmo",   ""};

// The pieces with '|' between them.
static void join_pieces(const char *rules, str text, struct buf *out)
{
    struct split s;
    buf_init(out, 1 << 20);
    assert_int_equal(split_run(split_rules_find(str_of(rules)), text, &s), ERR_OK);
    for (uint32_t i = 0; i < s.n_pieces; i++) {
        if (i)
            buf_append_char(out, '|');
        buf_append_str(out, split_piece(&s, text, i));
    }
    split_done(&s);
}

static void each_rule_cuts_as_its_expression(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *text, *want;
    } cases[] = {
        {"gpt-2", "Hello  world's 123!\n\n x", "Hello| | world|'s| 123|!|\n\n| x"},
        {"gpt-2", "WE'RE we're", "WE|'|RE| we|'re"},
        {"gpt-2", "a\t\tb \t", "a|\t|\t|b| \t"},
        {"gpt-2", "½kg 4²", "½|kg| 4²"},
        {"llama-bpe", "WE'RE 12345 \tx\n\n\n  y...\n", "WE|'RE| |123|45| |\tx|\n\n\n| | y|...\n"},
        {"llama-bpe", "it'ſ", "it|'ſ"},
        {"llama-bpe", "  \n  \n  z", "  \n  \n| | z"},
        {"qwen2", "a1234 b", "a|1|2|3|4| b"},
        {"smollm", "a1234 56", "a|1|2|3|4| |5|6"},
        {"falcon", "f(x)=1234,5 ok", "f|(|x|)=|123|4|,|5| ok"},
        {"falcon", "$5", "$|5"},
        {"default", " 1234", " |123|4"},
        {"deepseek-coder", "x = 10\n  y", "x| = |1|0|\n| | y"},
        {"deepseek-llm", "ab 中文 12\n", "ab| |中文| |12|\n"},
        {"deepseek-llm", "ab!? ", "ab|!?| "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf got;
        join_pieces(cases[i].rules, str_of(cases[i].text), &got);
        assert_string_equal(buf_cstr(&got), cases[i].want);
        buf_done(&got);
    }
}

static void random_text(struct random *r, struct buf *out)
{
    static const char *const bits[] = {
        " ", "  ", "\t", "\n", "\r\n", "'s", "'RE", "a",    "Zz",       "é",  "中",
        "7", "٣",  "½",  "!",  "$",    "_",  "　",  "\xff", "\xe2\x82", "🚀", "\xcc\x81"};
    size_t n = (size_t)random_below(r, 40);
    buf_clear(out);
    for (size_t i = 0; i < n; i++)
        buf_append_str(out, str_of(bits[random_below(r, ARRAY_LEN(bits))]));
}

// Whatever the text, the pieces are the text: none is empty, none is lost.
static void pieces_are_the_text(void **state)
{
    (void)state;
    struct random r;
    struct buf text;
    buf_init(&text, 1 << 16);
    random_seed(&r, 1);
    for (size_t turn = 0; turn < 2000; turn++) {
        random_text(&r, &text);
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct split s;
            size_t at = 0;
            assert_int_equal(split_run(split_rules_find(str_of(names[i])), buf_str(&text), &s),
                             ERR_OK);
            for (uint32_t p = 0; p < s.n_pieces; p++) {
                str piece = split_piece(&s, buf_str(&text), p);
                assert_true(piece.len > 0 && piece.ptr == buf_ptr(&text) + at);
                at += piece.len;
            }
            assert_int_equal(at, text.len);
            split_done(&s);
        }
    }
    buf_done(&text);
}

static void unknown_names_have_no_rules(void **state)
{
    (void)state;
    assert_null(split_rules_find(STR("gpt-3")));
    assert_null(split_rules_find(STR("LLAMA-BPE")));
    assert_ptr_equal(split_rules_find(STR("gpt-2"))->stages[0],
                     split_rules_find(STR(""))->stages[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_cuts_as_its_expression),
        cmocka_unit_test(pieces_are_the_text),
        cmocka_unit_test(unknown_names_have_no_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
