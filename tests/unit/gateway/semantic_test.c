// REQ: LIMIT-4
// The semantic cache's index: the nearest of the same bucket, the oldest go first, and never what
// differs in numbers, names or negations; and how much two answers agree.
#include <math.h>

#include "gateway/semantic.h"
#include "support/unit.h"

static const struct gateway_semantic options = {.mode = SEMANTIC_ON, .entries_max = 4};

static struct semantic_question question(uint8_t bucket, const char *words, const float *vector)
{
    struct semantic_question q = {.vector = vector, .dimensions = 3};
    memset(q.bucket, 7, sizeof q.bucket); // all in one slot
    q.bucket[CACHE_KEY_BYTES - 1] = bucket;
    q.facts = semantic_facts(str_of(words));
    return q;
}

static void key_of(uint8_t n, uint8_t out[static CACHE_KEY_BYTES])
{
    memset(out, n, CACHE_KEY_BYTES);
}

static void put(struct semantic *s, uint8_t n, const struct semantic_question *q)
{
    uint8_t key[CACHE_KEY_BYTES];
    char id[] = "req-0";
    key_of(n, key);
    id[4] = (char)('0' + n);
    semantic_put(s, q, key, str_of(id));
}

// The number of the nearest; 0: none.
static int nearest(const struct semantic *s, const struct semantic_question *q,
                   double *ret_similarity, double *ret_guarded)
{
    struct semantic_match m = {.similarity = -1};
    bool found = semantic_find(s, q, &m, ret_guarded);
    *ret_similarity = m.similarity;
    if (!found)
        return 0;
    assert_int_equal(m.request_id[4] - '0', m.key[0]);
    return m.key[0];
}

static const float ahead[] = {1, 0, 0}, near_it[] = {0.96f, 0.28f, 0}, across[] = {0, 1, 0};

static void the_nearest_of_the_same_bucket_is_found(void **state)
{
    (void)state;
    struct semantic s;
    double similarity, guarded;
    semantic_init(&s, &options);
    struct semantic_question q = question(1, "how are you", ahead);
    assert_int_equal(nearest(&s, &q, &similarity, &guarded), 0);
    assert_true(guarded < 0);
    struct semantic_question others[] = {question(1, "who is it", across),
                                         question(1, "how do you do", near_it),
                                         question(2, "how are you", ahead)};
    for (uint8_t i = 0; i < 3; i++)
        put(&s, (uint8_t)(i + 1), &others[i]);
    assert_int_equal(nearest(&s, &q, &similarity, &guarded), 2);
    assert_true(fabs(similarity - 0.96) < 1e-6);
    uint8_t key[CACHE_KEY_BYTES];
    key_of(2, key);
    semantic_forget(&s, &q, key);
    assert_int_equal(nearest(&s, &q, &similarity, &guarded), 1);
    assert_true(fabs(similarity) < 1e-6);
    semantic_done(&s);
}

static void the_oldest_go_first_and_a_key_is_held_once(void **state)
{
    (void)state;
    struct semantic s;
    double similarity, guarded;
    semantic_init(&s, &options);
    struct semantic_question q = question(1, "a", ahead), other = question(1, "a", across);
    put(&s, 1, &q);
    put(&s, 1, &q);
    assert_int_equal(s.len, 1);
    for (uint8_t n = 2; n < 9; n++)
        put(&s, n, &other);
    assert_int_equal(s.len, (size_t)options.entries_max);
    int found = nearest(&s, &q, &similarity, &guarded);
    assert_true(found >= 5 && similarity < 0.5); // the first one has gone
    semantic_done(&s);
}

static void what_has_other_facts_is_never_found_and_is_told_of(void **state)
{
    (void)state;
    struct semantic s;
    double similarity, guarded;
    semantic_init(&s, &options);
    struct semantic_question two = question(1, "What is 2+2?", ahead);
    struct semantic_question three = question(1, "What is 2+3?", ahead);
    put(&s, 1, &two);
    assert_int_equal(nearest(&s, &three, &similarity, &guarded), 0);
    assert_true(fabs(guarded - 1) < 1e-6);
    assert_int_equal(nearest(&s, &two, &similarity, &guarded), 1);
    assert_true(guarded < 0);
    semantic_done(&s);
}

static void a_question_of_other_dimensions_is_not_compared(void **state)
{
    (void)state;
    struct semantic s;
    double similarity, guarded;
    semantic_init(&s, &options);
    struct semantic_question q = question(1, "a", ahead), shorter = q;
    shorter.dimensions = 2;
    put(&s, 1, &q);
    assert_int_equal(nearest(&s, &shorter, &similarity, &guarded), 0);
    semantic_done(&s);
}

static void one_search_is_bounded(void **state)
{
    (void)state;
    const struct gateway_semantic many = {.mode = SEMANTIC_ON, .entries_max = 300};
    static float long_one[SEMANTIC_DIMENSIONS_MAX] = {1}, other[SEMANTIC_DIMENSIONS_MAX] = {0, 1};
    struct semantic s;
    double similarity, guarded;
    semantic_init(&s, &many);
    struct semantic_question q = question(1, "a", long_one), rest = question(1, "a", other);
    q.dimensions = rest.dimensions = SEMANTIC_DIMENSIONS_MAX;
    put(&s, 1, &q);
    for (int i = 0; i < 200; i++) {
        uint8_t key[CACHE_KEY_BYTES] = {2, (uint8_t)i};
        semantic_put(&s, &rest, key, STR("req-2"));
    }
    assert_int_equal(nearest(&s, &q, &similarity, &guarded), 2); // the first lies too far back
    semantic_done(&s);
}

// --- Facts

static void same(const char *a, const char *b)
{
    if (semantic_facts(str_of(a)) != semantic_facts(str_of(b)))
        fail_msg("'%s' and '%s' have the same facts", a, b);
}

static void differ(const char *a, const char *b)
{
    if (semantic_facts(str_of(a)) == semantic_facts(str_of(b)))
        fail_msg("'%s' and '%s' differ", a, b);
}

static void other_words_for_the_same_have_the_same_facts(void **state)
{
    (void)state;
    same("", "what is it");
    same("How do I bake bread?", "What is the way to bake bread?");
    same("What is the capital of France?", "Tell me the capital of France.");
    same("Please add 12 and 7", "add 12 and 7 please");
    same("I don't like it", "I do not like this");
    same("I don\xe2\x80\x99t like it", "I don't like it");
    same("I DON'T", "I don't");
    same("Hello. What is it?", "Hello, what is it?"); // a capital that begins a sentence
    same("Can I go?", "can you go");
    same("a well-known place", "a place that is well known");
}

static void numbers_negations_names_and_quotations_are_facts(void **state)
{
    (void)state;
    differ("What is 2+2?", "What is 2+3?");
    differ("What is 2+2?", "What is 2-2?");
    differ("What is 2*2?", "What is 2/2?");
    differ("between 3 and 5", "between 5 and 3");
    differ("pi is 3.14", "pi is 3,14");
    differ("at 10:30", "at 10:03");
    differ("it is -4 degrees", "it is 4 degrees");
    differ("three apples", "four apples");
    differ("version gpt2", "version gpt3");
    differ("x > y", "x < y");
    differ("Is it safe?", "Is it not safe?");
    differ("can I", "can't I");
    differ("with sugar", "without sugar");
    differ("always eat", "never eat");
    differ("Ist es gut?", "Ist es nicht gut?");
    differ("What is the capital of France?", "What is the capital of Spain?");
    differ("from Paris to London", "from London to Paris");
    differ("translate \"cat\"", "translate \"dog\"");
    differ("what does `ls` do", "what does `rm` do");
    differ("\xd0\xba\xd0\xbe\xd1\x82", "\xd0\xba\xd0\xb8\xd1\x82"); // Cyrillic
    differ("\xe7\x8c\xab\xe3\x81\xaf\xe4\xbd\x95", "\xe7\x8a\xac\xe3\x81\xaf\xe4\xbd\x95");
    differ("5 \xe2\x89\xa4 6", "5 \xe2\x89\xa5 6");
}

static void any_bytes_have_facts(void **state)
{
    (void)state;
    static const char *const odd[] = {"'",   "''", "\xe2\x80\x99", "\xe2\x80", "\xe2", "I\xe2",
                                      "\"",  "-",  "- ",           "1.",       ".1",   "\x80\x80",
                                      "n't", "I'"};
    for (size_t i = 0; i < ARRAY_LEN(odd); i++)
        assert_true(semantic_facts(str_of(odd[i])) == semantic_facts(str_of(odd[i])));
}

static void only_what_has_a_length_is_normalised(void **state)
{
    (void)state;
    float v[] = {3, 4}, none[] = {0, 0}, wrong[] = {1, NAN}, large[] = {INFINITY, 1};
    assert_true(semantic_normalise(v, 2));
    assert_true(fabsf(v[0] - 0.6f) < 1e-6f && fabsf(v[1] - 0.8f) < 1e-6f);
    assert_false(semantic_normalise(none, 2));
    assert_false(semantic_normalise(wrong, 2));
    assert_false(semantic_normalise(large, 2));
}

// --- Answers

static struct tape *saying(const char *text, const char *call)
{
    struct tape *t = tape_new(1 << 20);
    struct exchange_event e = {.type = EXCHANGE_EVENT_TEXT, .text = str_of(text)};
    assert_int_equal(tape_add(t, &e), ERR_OK);
    e = (struct exchange_event){.type = EXCHANGE_EVENT_CALL, .call = {.name = str_of(call)}};
    if (call)
        assert_int_equal(tape_add(t, &e), ERR_OK);
    e = (struct exchange_event){.type = EXCHANGE_EVENT_END};
    assert_int_equal(tape_add(t, &e), ERR_OK);
    return t;
}

static double agreement(const char *a, const char *a_call, const char *b, const char *b_call,
                        bool *ret_equal)
{
    struct tape *x = saying(a, a_call), *y = saying(b, b_call);
    double share = semantic_agreement(x, y, ret_equal);
    tape_release(x);
    tape_release(y);
    return share;
}

static void answers_agree_by_their_words(void **state)
{
    (void)state;
    bool equal;
    assert_true(agreement("It is Paris.", NULL, "It is Paris.", NULL, &equal) >= 1);
    assert_true(equal);
    assert_true(agreement("It is Paris.", NULL, "paris it is", NULL, &equal) > 0.999);
    assert_false(equal);
    double half = agreement("red blue", NULL, "red green", NULL, &equal);
    assert_true(fabs(half - 0.5) < 1e-9);
    assert_true(agreement("a a a", NULL, "a", NULL, &equal) < 0.51); // each counts once
    assert_true(agreement("", NULL, "x", NULL, &equal) < 1e-9);
    assert_true(agreement("done", "look", "done", "delete", &equal) < 1);
    assert_false(equal);
}

static void long_answers_are_compared_up_to_their_bounds(void **state)
{
    (void)state;
    static char a[200001], b[200001];
    bool equal;
    memset(a, 'x', sizeof a - 1);
    memset(b, 'x', sizeof b - 1);
    for (size_t i = 7; i < sizeof a - 1; i += 8)
        a[i] = b[i] = ' ';
    b[sizeof b - 2] = 'y';
    assert_true(agreement(a, NULL, b, NULL, &equal) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_of_the_same_bucket_is_found),
        cmocka_unit_test(the_oldest_go_first_and_a_key_is_held_once),
        cmocka_unit_test(what_has_other_facts_is_never_found_and_is_told_of),
        cmocka_unit_test(a_question_of_other_dimensions_is_not_compared),
        cmocka_unit_test(one_search_is_bounded),
        cmocka_unit_test(other_words_for_the_same_have_the_same_facts),
        cmocka_unit_test(numbers_negations_names_and_quotations_are_facts),
        cmocka_unit_test(any_bytes_have_facts),
        cmocka_unit_test(only_what_has_a_length_is_normalised),
        cmocka_unit_test(answers_agree_by_their_words),
        cmocka_unit_test(long_answers_are_compared_up_to_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
