// Guessing tokens ahead changes no token, no log-probability, no end and no error, and where the
// text repeats itself it takes fewer steps; where it does not pay, it is left alone.
//
// REQ: ENG-9 ENG-7
#include <string.h>

#include "base/random.h"
#include "engine/prediction.h"
#include "engine/speculate.h"
#include "support/engine_client.h"
#include "support/fake_model.h"
#include "support/unit.h"

enum { PROMPT = 40, ANSWER = 120 };

static struct fake_model *fake;
static struct engine *plain_engine, *guessing_engine;
static struct engine_model *plain, *guessing;
static int32_t ids[PROMPT];

static void open_with(const struct engine_options *o, const char *draft)
{
    const struct engine_model_options mo = {.name = "m",
                                            .path = "fake",
                                            .speculation = draft ? ENGINE_SPECULATION_DRAFT
                                                                 : ENGINE_SPECULATION_LOOKUP,
                                            .draft_path = draft};
    plain_engine = client_engine(o, "fake", &plain);
    guessing_engine = client_engine_of(o, &mo, &guessing);
}

static void open_engines(void)
{
    const struct engine_options o = client_options();
    open_with(&o, NULL);
}

static void open_with_draft(const char *draft)
{
    const struct engine_options o = client_options();
    open_with(&o, draft);
}

static int setup(void **state)
{
    (void)state;
    fake = fake_model_reset();
    fake->habit = 16;
    fake->step_us = 50; // a step costs the same however many rows it has: guesses pay
    for (int32_t i = 0; i < PROMPT; i++)
        ids[i] = 'a' + i * 7 % 26;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine_free(plain_engine);
    engine_free(guessing_engine);
    plain_engine = guessing_engine = NULL;
    return 0;
}

static struct engine_stats stats(const struct engine *e)
{
    struct engine_stats s;
    engine_stats(e, &s);
    return s;
}

// The same request with and without guesses; what the guessing engine counted for it.
static struct engine_stats compare(struct engine_request r)
{
    struct engine_stats before = stats(guessing_engine), s;
    struct client_job *a = client_run(plain, r), *b = client_run(guessing, r);
    assert_true(client_same(a, b));
    assert_string_equal(a->error.text, b->error.text);
    assert_int_equal(a->completion_tokens, b->completion_tokens);
    client_free(a);
    client_free(b);
    do
        s = stats(guessing_engine);
    while (s.running > 0);
    assert_int_equal(s.kv_blocks_used, 0);
    s.drafted_tokens -= before.drafted_tokens;
    s.accepted_tokens -= before.accepted_tokens;
    s.steps -= before.steps;
    return s;
}

static struct engine_request request(void)
{
    struct engine_request r = client_request(ids, PROMPT, ANSWER);
    r.logprobs = true;
    r.top_logprobs = 5;
    return r;
}

static void test_text_that_repeats_itself_takes_fewer_steps(void **state)
{
    (void)state;
    open_engines();
    struct engine_stats s;
    for (int tries = 0; tries < 20; tries++) { // how much is guessed depends on measured times
        s = compare(request());
        if (s.accepted_tokens > ANSWER / 2 && s.steps < ANSWER / 2)
            break;
    }
    assert_true(s.accepted_tokens > ANSWER / 2);
    assert_true(s.accepted_tokens <= s.drafted_tokens);
    assert_true(s.steps < ANSWER / 2);
}

static void test_guesses_change_no_answer_however_it_is_drawn(void **state)
{
    (void)state;
    open_engines();
    uint64_t right = 0, wrong = 0;
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct engine_request r = request();
        r.seed = seed;
        r.temperature = seed % 4 ? 0.5f * (float)(seed % 4) : 0;
        r.top_p = seed % 3 ? 1 : 0.9f;
        r.tokens_max = 1 + (uint32_t)seed * 3;
        struct engine_stats s = compare(r);
        right += s.accepted_tokens;
        wrong += s.drafted_tokens - s.accepted_tokens;
    }
    assert_true(right > 100); // both happened
    assert_true(wrong > 100);
}

// What is counted in the answer counts the guesses that a later one stands on.
static void test_penalties_see_the_tokens_guessed_before(void **state)
{
    (void)state;
    open_engines();
    uint64_t right = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct engine_request r = request();
        r.seed = seed;
        r.temperature = seed % 2 ? 0.7f : 0;
        r.presence_penalty = seed % 3 ? 0 : 0.5f;
        r.frequency_penalty = seed % 4 ? 0.3f : -0.2f;
        r.repetition_penalty = seed % 5 ? 1 : 1.1f;
        right += compare(r).accepted_tokens;
    }
    assert_true(right > 100);
}

static void test_an_answer_ends_where_it_would_end(void **state)
{
    (void)state;
    open_engines();
    struct client_job *c = client_run(plain, request());
    uint64_t right = 0;
    for (uint32_t at = 60; at < 66; at++) {
        char text[4];
        for (uint32_t k = 0; k < 3; k++)
            text[k] = (char)c->answer[at + k].token;
        str stop = str_slice(text, 3);
        struct engine_request r = request();
        r.stops = &stop;
        r.stops_len = 1;
        r.tokens_min = at % 2 ? at : 0;
        r.include_stop = at % 3 == 0;
        right += compare(r).accepted_tokens;
        r = request();
        r.stop_ids = &c->answer[at].token;
        r.stop_ids_len = 1;
        r.tokens_min = at - at % 7;
        right += compare(r).accepted_tokens;
        r = request();
        r.tokens_max = at;
        right += compare(r).accepted_tokens;
    }
    assert_true(right > 100);
    client_free(c);
}

static void test_an_answer_with_a_given_beginning(void **state)
{
    (void)state;
    open_engines();
    struct engine_request r = request();
    r.forced = STR("the answer begins with these bytes");
    assert_true(compare(r).accepted_tokens > 10);
}

// A guess may be a token whose logits are not numbers: the request fails only if it is drawn.
static void test_a_wrong_guess_fails_no_request(void **state)
{
    (void)state;
    fake->poison_token = 'q';
    for (int32_t i = 0; i < PROMPT; i++)
        ids[i] = "abcabq"[i % 6];
    ids[PROMPT - 1] = 'b';
    ids[PROMPT - 2] = 'a';
    open_engines();
    uint32_t drawn = 0, guessed = 0;
    struct engine_bias bias[] = {{'a', 40}, {'b', 40}, {'c', 40}, {'q', -1000}};
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct engine_request r = request();
        r.seed = seed;
        r.temperature = 4;
        r.bias = bias;
        r.bias_len = 4;
        bias[3].bias = seed % 2 ? 36 : -1000; // seldom drawn, or never
        uint32_t before = fake->poisoned;
        struct client_job *c = client_run(plain, r);
        drawn += fake->poisoned > before;
        assert_int_equal(c->finish == ENGINE_FINISH_ERROR, fake->poisoned > before);
        client_free(c);
        before = fake->poisoned;
        compare(r);
        guessed += fake->poisoned > before && seed % 2 == 0;
    }
    assert_true(drawn > 3);
    assert_true(guessed > 3);
}

static void test_guesses_stop_where_rows_cost_as_much_as_tokens(void **state)
{
    (void)state;
    struct step_speed s = {0};
    double us, us_per_row;
    assert_false(speed_get(&s, &us, &us_per_row));
    for (int i = 0; i < 50; i++) {
        uint32_t rows = 1 + (uint32_t)i % 8;
        speed_note(&s, rows, 100.0 + 900.0 * rows);
    }
    assert_true(speed_get(&s, &us, &us_per_row));
    assert_in_range((int)us_per_row, 850, 910);
    assert_in_range((int)us, 50, 400);
    for (int i = 0; i < 500; i++) // long since then nothing but single rows: the belief comes back
        speed_note(&s, 1, 1000);
    assert_true(speed_get(&s, &us, &us_per_row));
    assert_in_range((int)us_per_row, 50, 70);
}

static void test_longer_and_later_matches_are_preferred(void **state)
{
    (void)state;
    uint32_t at = 0, match = 0;
    const int32_t none[] = {1, 2, 3, 4, 5, 6};
    assert_false(guess_lookup(none, 6, &at, &match));
    assert_false(guess_lookup(none, 1, &at, &match));
    const int32_t latest[] = {7, 8, 1, 7, 8, 2, 7, 8};
    assert_true(guess_lookup(latest, 8, &at, &match));
    assert_int_equal(at, 5);
    assert_int_equal(match, 2);
    const int32_t longest[] = {6, 7, 8, 1, 7, 8, 2, 6, 7, 8};
    assert_true(guess_lookup(longest, 10, &at, &match));
    assert_int_equal(at, 3);
    assert_int_equal(match, 3);
}

// --- What the client foretells

static struct prediction follow(const int32_t *foretold, uint32_t n_foretold, const int32_t *answer,
                                uint32_t n)
{
    struct prediction p;
    prediction_init(&p, foretold, n_foretold);
    for (uint32_t i = 1; i <= n; i++)
        prediction_follow(&p, answer, i);
    return p;
}

static void test_a_prediction_is_followed_and_found_again_after_a_change(void **state)
{
    (void)state;
    const int32_t foretold[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct prediction p = follow(foretold, 9, NULL, 0);
    assert_int_equal(prediction_left(&p), 9); // nothing is said yet: all of it may come
    prediction_done(&p);
    const int32_t changed[] = {1, 2, 3, 50, 51, 52, 5, 6, 7};
    p = follow(foretold, 9, changed, 4);
    assert_int_equal(p.accepted, 3);
    assert_int_equal(prediction_left(&p), 0);
    prediction_done(&p);
    p = follow(foretold, 9, changed, 9);
    assert_int_equal(p.accepted, 4); // 5 and 6 brought it back, 7 was foretold
    assert_int_equal(prediction_rejected(&p), 5);
    assert_int_equal(prediction_left(&p), 2);
    prediction_done(&p);
}

static void test_of_two_places_the_next_ahead_is_taken(void **state)
{
    (void)state;
    const int32_t foretold[] = {8, 9, 1, 3, 8, 9, 2, 8, 9, 3}, answer[] = {8, 9, 1, 7, 8, 9};
    struct prediction p = follow(foretold, 10, answer, 6);
    assert_int_equal(p.next, 6);
    prediction_done(&p);
    const int32_t again[] = {1, 2, 1, 2, 1, 2}, twice[] = {1, 2};
    p = follow(twice, 2, again, 6); // an answer that goes through it more than once
    assert_int_equal(p.accepted + prediction_rejected(&p), 2);
    prediction_done(&p);
    p = follow(twice, 0, again, 6);
    assert_int_equal(p.accepted + prediction_rejected(&p) + prediction_left(&p), 0);
    prediction_done(&p);
}

// The plain engine guesses nothing, but for those who say what their answer may be.
static void test_a_prediction_saves_steps_and_changes_no_answer(void **state)
{
    (void)state;
    open_engines();
    struct client_job *c = client_run(plain, request());
    assert_int_equal(c->prediction_accepted + c->prediction_rejected, 0);
    int32_t foretold[ANSWER];
    for (uint32_t i = 0; i < ANSWER; i++)
        foretold[i] = c->answer[i].token;
    foretold[50]++; // it says something else once
    struct engine_request r = request();
    r.prediction_ids = foretold;
    r.prediction_len = ANSWER;
    uint64_t steps = ANSWER;
    for (int tries = 0; tries < 20 && steps > ANSWER / 3; tries++) { // measured times decide
        struct engine_stats before = stats(plain_engine);
        struct client_job *with = client_run(plain, r);
        assert_true(client_same(c, with));
        assert_true(with->prediction_accepted > ANSWER - 10);
        assert_int_equal(with->prediction_accepted + with->prediction_rejected, ANSWER);
        steps = stats(plain_engine).steps - before.steps;
        client_free(with);
    }
    assert_true(steps <= ANSWER / 3);
    assert_int_equal(compare(r).kv_blocks_used, 0); // beside guesses from the text
    client_free(c);
}

static void test_a_prediction_of_strange_tokens_is_refused(void **state)
{
    (void)state;
    open_engines();
    const int32_t strange[] = {3, 1 << 30};
    struct engine_request r = request();
    r.prediction_ids = strange;
    r.prediction_len = 2;
    struct engine_job *j;
    struct diag d = {0};
    assert_int_equal(engine_submit(plain, &r, &j, NULL, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "prediction"));
}

static void test_a_sequence_learns_what_its_guesses_are_worth(void **state)
{
    (void)state;
    struct guesser g = {0};
    double fresh = guess_chance(&g, 1);
    assert_true(guess_chance(&g, 3) > guess_chance(&g, 0)); // a longer match is worth more
    for (int i = 0; i < 10; i++)
        guess_note(&g, 1, 4, 0);
    assert_true(guess_chance(&g, 1) < fresh / 2);
    for (int i = 0; i < 10; i++)
        guess_note(&g, 1, 4, 4);
    assert_true(guess_chance(&g, 1) > 0.9);
}

// A draft model that is the model itself: it draws with the same numbers, sees the same penalties
// and has the same history, so all of its guesses come true, greedy or drawn.
static void test_a_draft_model_of_the_same_mind_is_always_right(void **state)
{
    (void)state;
    open_with_draft("fake-twin");
    uint64_t drafted = 0;
    for (uint64_t seed = 0; seed < 16; seed++) {
        struct engine_request r = request();
        r.seed = seed;
        r.choice = (uint32_t)seed % 3;
        r.temperature = seed % 4 ? 0.6f * (float)(seed % 4) : 0;
        r.top_k = seed % 5 ? 0 : 20;
        r.frequency_penalty = seed % 3 ? 0 : 0.3f;
        r.repetition_penalty = seed % 7 ? 1 : 1.2f;
        r.tokens_min = seed % 2 ? 50 : 0;
        struct engine_stats s = compare(r);
        assert_int_equal(s.accepted_tokens, s.drafted_tokens);
        drafted += s.drafted_tokens;
    }
    assert_true(drafted > 300);
}

static void test_a_draft_model_of_another_mind_changes_nothing(void **state)
{
    (void)state;
    fake->habit = 11;
    open_with_draft("fake-draft");
    uint64_t right = 0, wrong = 0;
    for (uint64_t seed = 0; seed < 16; seed++) {
        struct engine_request r = request();
        r.seed = seed;
        r.temperature = seed % 2 ? 0.8f : 0;
        struct engine_stats s = compare(r);
        right += s.accepted_tokens;
        wrong += s.drafted_tokens - s.accepted_tokens;
    }
    assert_true(right > 100);
    assert_true(wrong > 100);
}

// Its memory is the first to go: as many sequences run as without it.
static void test_a_draft_model_takes_no_memory_that_is_needed(void **state)
{
    (void)state;
    enum { MANY = 8 };
    struct engine_options o = client_options();
    o.kv_bytes_max = 34 * 256; // of the longest context alone: 32 blocks
    open_with(&o, "fake-twin");
    struct client_job *c[MANY];
    for (size_t i = 0; i < MANY; i++) {
        struct engine_request r = client_request(ids + i, 20, 100 + 40 * (uint32_t)i);
        r.seed = i;
        r.temperature = 1;
        c[i] = client_start(guessing, r);
    }
    assert_true(client_wait_all(c, MANY, 20000));
    for (size_t i = 0; i < MANY; i++) {
        struct engine_request r = client_request(ids + i, 20, 100 + 40 * (uint32_t)i);
        r.seed = i;
        r.temperature = 1;
        struct client_job *alone = client_run(plain, r);
        assert_true(client_same(alone, c[i]));
        client_free(alone);
        client_free(c[i]);
    }
    struct engine_stats s;
    do
        s = stats(guessing_engine);
    while (s.running > 0);
    assert_int_equal(s.kv_blocks_used, 0);
    assert_true(s.drafted_tokens > 0);
}

static void test_a_draft_model_needs_the_same_vocabulary(void **state)
{
    (void)state;
    open_engines();
    const struct engine_model_options mo = {.name = "other",
                                            .path = "fake",
                                            .speculation = ENGINE_SPECULATION_DRAFT,
                                            .draft_path = "fake-other"};
    struct engine_model *m;
    struct diag d = {0};
    assert_int_equal(engine_model_load(guessing_engine, &mo, &m, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "same vocabulary"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_text_that_repeats_itself_takes_fewer_steps),
        TEST(test_guesses_change_no_answer_however_it_is_drawn),
        TEST(test_penalties_see_the_tokens_guessed_before),
        TEST(test_an_answer_ends_where_it_would_end),
        TEST(test_an_answer_with_a_given_beginning),
        TEST(test_a_wrong_guess_fails_no_request),
        TEST(test_a_draft_model_of_the_same_mind_is_always_right),
        TEST(test_a_draft_model_of_another_mind_changes_nothing),
        TEST(test_a_draft_model_takes_no_memory_that_is_needed),
        TEST(test_a_draft_model_needs_the_same_vocabulary),
        TEST(test_guesses_stop_where_rows_cost_as_much_as_tokens),
        TEST(test_longer_and_later_matches_are_preferred),
        TEST(test_a_prediction_is_followed_and_found_again_after_a_change),
        TEST(test_of_two_places_the_next_ahead_is_taken),
        TEST(test_a_prediction_saves_steps_and_changes_no_answer),
        TEST(test_a_prediction_of_strange_tokens_is_refused),
        TEST(test_a_sequence_learns_what_its_guesses_are_worth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
