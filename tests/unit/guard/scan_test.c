// Patterns over text in pieces: the same matches however it is cut, the same as the C library's
// own matcher finds in the whole text, and no byte held back that can be told on.
// REQ: GUARD-1
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "guard/scan.h"

// What a scan tells: text as it is, matches as "<id:bytes>".
static void on_text(void *ctx, str bytes)
{
    (void)buf_append_str(ctx, bytes);
}

static void on_match(void *ctx, uint32_t id, str bytes)
{
    (void)buf_printf(ctx, "<%u:%.*s>", id, (int)bytes.len, bytes.ptr);
}

static const struct scan_handler handler = {on_text, on_match};

struct bench {
    struct patterns *patterns;
    struct scan_scratch scratch;
    struct scan scan;
    struct buf out;
};

static void bench_open(struct bench *b, struct patterns *p)
{
    b->patterns = p;
    scan_scratch_init(&b->scratch, p);
    buf_init(&b->out, 1u << 20);
    scan_init(&b->scan, p, &handler, &b->out);
}

static void bench_close(struct bench *b)
{
    scan_done(&b->scan);
    scan_scratch_done(&b->scratch);
    patterns_free(b->patterns);
    buf_done(&b->out);
}

static struct patterns *compile(const char *const *texts, size_t len)
{
    struct patterns *p = patterns_new();
    struct diag d = {0};
    for (size_t i = 0; i < len; i++)
        if (patterns_add(p, str_of(texts[i]), (uint32_t)i, &d) != ERR_OK)
            fail_msg("%s: %s", texts[i], d.text);
    return p;
}

// Cut after every `piece` bytes; 0: whole.
static const char *run(struct bench *b, str text, size_t piece)
{
    buf_clear(&b->out);
    for (size_t at = 0; piece && at < text.len; at += piece)
        scan_feed(&b->scan, &b->scratch, str_sub(text, at, piece));
    if (!piece)
        scan_feed(&b->scan, &b->scratch, text);
    scan_end(&b->scan, &b->scratch);
    return buf_cstr(&b->out);
}

static void expect(const char *const *patterns, size_t len, const char *text, const char *told)
{
    struct bench b;
    bench_open(&b, compile(patterns, len));
    for (size_t piece = 0; piece < 6; piece++)
        assert_string_equal(run(&b, str_of(text), piece), told);
    bench_close(&b);
}

#define EXPECT(text, told, ...)                                                                    \
    do {                                                                                           \
        static const char *const patterns_[] = {__VA_ARGS__};                                      \
        expect(patterns_, ARRAY_LEN(patterns_), text, told);                                       \
    } while (0)

static void matches_are_leftmost_and_longest(void **state)
{
    (void)state;
    EXPECT("xabcx", "x<0:abc>x", "abc");
    EXPECT("xabcabcdx", "x<0:abc><1:abcd>x", "abc", "abcd");
    EXPECT("aaab aab", "<0:aaab> <0:aab>", "a+b");
    EXPECT("abcd", "<1:abc>d", "bcd", "abc");
    EXPECT("aXbaab", "aX<0:baab>", "b(a|b)*");
    EXPECT("foobar foo", "<0:foobar> <0:foo>", "foo(bar)?");
}

static void what_a_match_hid_is_looked_at_again(void **state)
{
    (void)state;
    EXPECT("aaaab", "<0:a><0:a><0:a><0:a>b", "a");
    EXPECT("ababac", "<0:ab><0:ab><1:ac>", "ab", "ac");
    EXPECT("aaaa", "<0:aa><0:aa>", "aa");
    EXPECT("xyxyz", "xy<1:xyz>", "xyxyzz", "xyz");
}

static void the_language_says_what_it_says(void **state)
{
    (void)state;
    EXPECT("a.b axb", "<0:a.b> axb", "a\\.b");
    EXPECT("a1 a12 a123", "a1 <0:a12> <0:a12>3", "a\\d{2}");
    EXPECT("x{2} xx", "<0:x{2}> xx", "x\\{2\\}");
    EXPECT("Hello hELLO", "<0:Hello> <0:hELLO>", "(?i)hello");
    EXPECT("cat concat cats", "<0:cat> concat cats", "\\bcat\\b");
    EXPECT("a\tb\nc", "a<0:\t>b<0:\n>c", "\\s");
    EXPECT("[x] y", "<0:[x]> y", "\\[[^\\]]\\]");
    EXPECT("na\xc3\xafve", "<0:na\xc3\xafve>", "na.ve");
    EXPECT("\xf0\x9f\x99\x82!", "<0:\xf0\x9f\x99\x82>!", "[^a-z!]");
    EXPECT("\xc3\xa9\xc3\xa9-", "<0:\xc3\xa9\xc3\xa9>-", "\xc3\xa9+");
    EXPECT("-5 b_", "<0:-><0:5> <0:b><0:_>", "[\\w-]");
    EXPECT("A1", "<0:A1>", "\\x41\\x31");
}

static void words_end_where_the_next_byte_says(void **state)
{
    (void)state;
    EXPECT("1234 12345 1234", "<0:1234> 12345 <0:1234>", "\\b\\d{4}\\b");
    EXPECT("1234", "<0:1234>", "\\b\\d{4}\\b");
}

static void wrong_patterns_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",     "(a",     "a)",      "[a",         "a{2",   "*a",
                                        "a**",  "a{3,2}", "\\q",     "(?=a)",      "[z-a]", "a*",
                                        "(a|)", "[]",     "a{2000}", "[\xc3\xa9]", "\\b",   "a\\"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct patterns *p = patterns_new();
        struct diag d = {0};
        if (patterns_add(p, str_of(wrong[i]), 0, &d) == ERR_OK)
            fail_msg("was taken: %s", wrong[i]);
        assert_true(d.text[0] != '\0');
        patterns_free(p);
    }
}

static void only_what_may_still_match_is_held_back(void **state)
{
    (void)state;
    static const struct {
        const char *fed;
        size_t held;
    } cases[] = {{"hello", 0}, {"say s", 1},     {"secre", 5}, {"secreX", 0},
                 {"sse", 2},   {"xx secret", 6}, {"a1", 1},    {"a12", 2}};
    static const char *const texts[] = {"secret(word)?", "1\\d{3}"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_open(&b, compile(texts, ARRAY_LEN(texts)));
        scan_feed(&b.scan, &b.scratch, str_of(cases[i].fed));
        assert_int_equal(scan_held_bytes(&b.scan), cases[i].held);
        bench_close(&b);
    }
}

static void a_match_has_an_end_even_where_its_pattern_has_none(void **state)
{
    (void)state;
    static const char *const texts[] = {"a+"};
    static char text[5000], piece[1];
    struct bench b;
    size_t held = 0;
    memset(text, 'a', sizeof text);
    bench_open(&b, compile(texts, 1));
    for (size_t i = 0; i < sizeof text; i++) {
        piece[0] = text[i];
        scan_feed(&b.scan, &b.scratch, str_slice(piece, 1));
        held = max_size(held, scan_held_bytes(&b.scan));
    }
    assert_in_range(held, 1000, PATTERN_MATCH_BYTES_MAX + 1);
    scan_end(&b.scan, &b.scratch);
    assert_int_equal(b.out.len, sizeof text + 5 * strlen("<0:>"));
    bench_close(&b);
}

static void time_is_linear_in_the_text_for_evil_patterns(void **state)
{
    (void)state;
    static const char *const texts[] = {"(a|a)*(a|a)*(a|a)*b", "(x+x+)+y"};
    static char text[20000];
    struct bench b;
    memset(text, 'a', sizeof text / 2);
    memset(text + sizeof text / 2, 'x', sizeof text / 2);
    bench_open(&b, compile(texts, 2));
    (void)run(&b, str_slice(text, sizeof text), 100);
    assert_int_equal(b.out.len, sizeof text);
    assert_true(b.scratch.step <= sizeof text + 2);
    bench_close(&b);
}

// --- Beside the C library's matcher, which is leftmost and longest, too

static void random_pattern(struct random *r, struct buf *out, int depth)
{
    static const char *const atoms[] = {"a", "b", "c", "[ab]", "[^a]", "\\w", "bc"};
    static const char *const repeats[] = {"", "", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}"};
    size_t terms = 1 + random_below(r, 3);
    for (size_t i = 0; i < terms; i++) {
        if (depth && random_below(r, 3) == 0) {
            (void)buf_append_char(out, '(');
            random_pattern(r, out, depth - 1);
            (void)buf_append_char(out, ')');
        } else {
            const char *atom = atoms[random_below(r, ARRAY_LEN(atoms))];
            (void)buf_append_str(out, str_of(atom));
        }
        (void)buf_append_str(out, str_of(repeats[random_below(r, ARRAY_LEN(repeats))]));
    }
    if (depth && random_below(r, 3) == 0) {
        (void)buf_append_char(out, '|');
        random_pattern(r, out, depth - 1);
    }
}

static void told_by_the_library(const regex_t *re, const char *text, struct buf *out)
{
    regmatch_t m;
    buf_clear(out);
    while (regexec(re, text, 1, &m, 0) == 0) {
        (void)buf_append(out, text, (size_t)m.rm_so);
        (void)buf_printf(out, "<0:%.*s>", (int)(m.rm_eo - m.rm_so), text + m.rm_so);
        text += m.rm_eo;
    }
    (void)buf_append_str(out, str_of(text));
}

static void compare(struct random *r, const char *pattern, const regex_t *re, struct patterns *p)
{
    struct bench b;
    struct buf expected;
    char text[40];
    bench_open(&b, p);
    buf_init(&expected, 65536);
    for (int i = 0; i < 20; i++) {
        size_t len = random_below(r, sizeof text - 1);
        for (size_t k = 0; k < len; k++)
            text[k] = "abcd"[random_below(r, 4)];
        text[len] = '\0';
        told_by_the_library(re, text, &expected);
        for (size_t piece = 0; piece < 4; piece++)
            if (strcmp(run(&b, str_slice(text, len), piece), buf_cstr(&expected)) != 0)
                fail_msg("%s on %s by %zu: %s, expected %s", pattern, text, piece, buf_cstr(&b.out),
                         buf_cstr(&expected));
    }
    buf_done(&expected);
    bench_close(&b);
}

static void random_patterns_match_what_the_c_library_matches(void **state)
{
    (void)state;
    struct random r;
    unsigned compared = 0;
    random_seed(&r, 20261122);
    for (int i = 0; i < 3000; i++) {
        struct buf text;
        regex_t re;
        struct patterns *p = patterns_new();
        buf_init(&text, 4096);
        random_pattern(&r, &text, 2);
        if (patterns_add(p, buf_str(&text), 0, NULL) != ERR_OK) { // it matches nothing at all
            patterns_free(p);
        } else {
            assert_int_equal(regcomp(&re, buf_cstr(&text), REG_EXTENDED), 0);
            compare(&r, buf_cstr(&text), &re, p);
            regfree(&re);
            compared++;
        }
        buf_done(&text);
    }
    assert_true(compared > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_are_leftmost_and_longest),
        cmocka_unit_test(what_a_match_hid_is_looked_at_again),
        cmocka_unit_test(the_language_says_what_it_says),
        cmocka_unit_test(words_end_where_the_next_byte_says),
        cmocka_unit_test(wrong_patterns_are_refused),
        cmocka_unit_test(only_what_may_still_match_is_held_back),
        cmocka_unit_test(a_match_has_an_end_even_where_its_pattern_has_none),
        cmocka_unit_test(time_is_linear_in_the_text_for_evil_patterns),
        cmocka_unit_test(random_patterns_match_what_the_c_library_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
