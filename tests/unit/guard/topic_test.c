// What a text is about: words without case, marks and width, phrases, weights; the same score
// however the text is cut.
// REQ: GUARD-1
#include <string.h>

#include "base/random.h"
#include "guard/topic.h"
#include "support/unit.h"

static const str terms[] = {{"gun", 3},
                            {"Credit  Card=2", 14},
                            {"caf\xc3\xa9", 5},
                            {"\xe6\xaf\x92\xe5\x93\x81", 6},
                            {"credit card fraud=4", 19}};
static const struct topic_rule rule = {terms, ARRAY_LEN(terms), 2, false};

static double score(const char *text, struct random *r)
{
    struct topic *t;
    struct topic_stream s;
    assert_int_equal(topic_new(&rule, &t, NULL), ERR_OK);
    topic_stream_init(&s, t);
    str rest = str_of(text);
    while (rest.len) {
        size_t n = r ? min_size(1 + random_below(r, 4), rest.len) : rest.len;
        topic_stream_feed(&s, str_sub(rest, 0, n));
        rest = str_sub(rest, n, SIZE_MAX);
    }
    topic_stream_end(&s);
    double got = s.score;
    assert_int_equal(topic_fires(&s, true), got >= 2);
    topic_free(t);
    return got;
}

static void is_about(const char *text, double wanted)
{
    struct random r;
    random_seed(&r, 7);
    for (int i = 0; i < 30; i++)
        assert_true(score(text, i ? &r : NULL) == wanted);
}

static void words_are_compared_as_they_are_read(void **state)
{
    (void)state;
    is_about("a gun.", 1);
    is_about("GUN! Gun? gun", 1); // once
    is_about("guns, begun, gun2", 0);
    is_about("\xef\xbc\xa7\xef\xbc\xb5\xef\xbc\xae", 1); // full width
    is_about("g\xe2\x80\x8bu\xc2\xadn", 1);              // what nobody sees inside of it
    is_about("Cafe\xcc\x81 and cafe, CAF\xc3\x89", 1);   // composed or not, or without
    is_about("gu\xff"
             "n, \xff gun",
             1);                                                     // broken bytes divide
    is_about("\xe8\xb4\xa9\xe5\x8d\x96\xe6\xaf\x92\xe5\x93\x81", 1); // a script without blanks
    is_about("", 0);
}

static void phrases_are_runs_of_words(void **state)
{
    (void)state;
    is_about("my credit-card, please", 2);
    is_about("credit the card", 0);
    is_about("CREDIT CARD FRAUD with a gun", 7); // both phrases and the word
    char text[400] = "credit ";
    memset(text + 7, 'x', 300); // no term's: it stands between
    strncat(text, " card", 8);
    is_about(text, 0);
    is_about("one two three four five six seven eight nine credit card", 2);
}

static void a_topic_may_be_what_is_wanted(void **state)
{
    (void)state;
    struct topic_rule wanted = rule;
    struct topic *t;
    struct topic_stream s;
    wanted.allowed = true;
    assert_int_equal(topic_new(&wanted, &t, NULL), ERR_OK);
    assert_true(topic_wants(t));
    topic_stream_init(&s, t);
    topic_stream_feed(&s, STR("nothing of it"));
    assert_false(topic_fires(&s, false));
    assert_true(topic_fires(&s, true));
    topic_stream_feed(&s, STR(" but a credit card"));
    topic_stream_end(&s);
    assert_false(topic_fires(&s, true));
    topic_free(t);
}

static void what_is_no_term_is_refused_by_name(void **state)
{
    (void)state;
    static const str bad[] = {{"", 0},     {"...", 3}, {"x=0", 3},
                              {"x=-1", 4}, {"x=y", 3}, {"a b c d e f g h i", 17}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct topic_rule r = {&bad[i], 1, 1, false};
        struct topic *t;
        struct diag d = {0};
        assert_int_not_equal(topic_new(&r, &t, &d), ERR_OK);
        assert_true(strstr(d.text, bad[i].len ? bad[i].ptr : "''") != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_compared_as_they_are_read),
        cmocka_unit_test(phrases_are_runs_of_words),
        cmocka_unit_test(a_topic_may_be_what_is_wanted),
        cmocka_unit_test(what_is_no_term_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
