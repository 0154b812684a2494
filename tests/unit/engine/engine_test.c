// The engine over a model that checks its own history (support/fake_model.h): submit, stream, end,
// limits, cancellation, deadlines, the queue's bound.
//
// REQ: ENG-3 ENG-4 ENG-6 ENG-7 ENG-13 API-11
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "support/engine_client.h"
#include "support/fake_model.h"
#include "support/unit.h"

static struct fake_model *fake;
static struct engine *engine;
static struct engine_model *model;
static const int32_t prompt[] = {FAKE_BOS, 'H', 'e', 'l', 'l', 'o', ',', ' ', 'w', 'o', 'r',
                                 'l',      'd', '.', ' ', 'W', 'h', 'o', ' ', 'a', 'r', 'e'};

static int setup(void **state)
{
    (void)state;
    fake = fake_model_reset();
    return 0;
}

static void open_with(struct engine_options o)
{
    engine = client_engine(&o, "fake", &model);
}

static int teardown(void **state)
{
    (void)state;
    engine_free(engine);
    engine = NULL;
    return 0;
}

static struct engine_request ask(uint32_t tokens_max)
{
    return client_request(prompt, ARRAY_LEN(prompt), tokens_max);
}

static void assert_greedy(const struct client_job *c, const int32_t *ids, size_t n)
{
    int32_t history[1024];
    memcpy(history, ids, n * sizeof *ids);
    for (size_t i = 0; i < c->n_answer; i++) {
        assert_int_equal(c->answer[i].token, fake_model_greedy(history, n));
        history[n++] = c->answer[i].token;
    }
}

static void test_generates_what_the_model_says(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *c = client_run(model, ask(50));
    assert_int_equal(c->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(c->n_answer, 50);
    assert_int_equal(c->completion_tokens, 50);
    assert_int_equal(c->prompt_tokens, ARRAY_LEN(prompt));
    assert_greedy(c, prompt, ARRAY_LEN(prompt));
    client_free(c);
    assert_true(client_wait_blocks(engine, 0));
}

static void test_ends_at_the_end_of_the_context(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *c = client_run(model, ask(UINT32_MAX));
    assert_int_equal(c->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(c->n_answer, fake->n_ctx - ARRAY_LEN(prompt));
    client_free(c);
}

static void test_ends_at_eog(void **state)
{
    (void)state;
    fake->eos_one_in = 10;
    open_with(client_options());
    struct client_job *c = client_run(model, ask(400));
    assert_int_equal(c->finish, ENGINE_FINISH_STOP);
    assert_int_equal(c->n_answer, c->completion_tokens);
    assert_true(c->n_answer < 400);
    assert_greedy(c, prompt, ARRAY_LEN(prompt));
    uint32_t natural = c->completion_tokens;
    client_free(c);

    struct engine_request r = ask(400);
    r.tokens_min = natural + 5;
    c = client_run(model, r);
    assert_true(c->n_answer >= natural + 5);
    for (size_t i = 0; i < c->n_answer; i++)
        assert_int_not_equal(c->answer[i].token, FAKE_EOS);
    client_free(c);

    r = ask(400);
    r.ignore_eos = true;
    c = client_run(model, r);
    assert_int_equal(c->n_answer, 400);
    assert_int_equal(c->answer[natural].token, FAKE_EOS);
    client_free(c);
}

static void test_stop_ids_end_the_answer(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *c = client_run(model, ask(20));
    int32_t seventh = c->answer[7].token;
    size_t first = 0;
    while (c->answer[first].token != seventh)
        first++;
    struct engine_request r = ask(20);
    r.stop_ids = &seventh;
    r.stop_ids_len = 1;
    struct client_job *s = client_run(model, r);
    assert_int_equal(s->finish, ENGINE_FINISH_STOP);
    assert_int_equal(s->n_answer, first);
    client_free(s);
    r.include_stop = true;
    s = client_run(model, r);
    assert_int_equal(s->n_answer, first + 1);
    client_free(s);
    client_free(c);
}

static void test_stop_strings_end_the_text(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *whole = client_run(model, ask(60));
    str text = buf_str(&whole->text);
    assert_true(text.len > 40);
    // Any three bytes of the answer that are whole characters.
    size_t at = 20;
    while (((unsigned char)text.ptr[at] & 0xc0) == 0x80)
        at++;
    str stop = str_slice(text.ptr + at, 6);
    size_t first = str_find(text, stop);
    struct engine_request r = ask(60);
    r.stops = &stop;
    r.stops_len = 1;
    struct client_job *c = client_run(model, r);
    assert_int_equal(c->finish, ENGINE_FINISH_STOP);
    assert_int_equal(c->text.len, first);
    assert_memory_equal(buf_ptr(&c->text), text.ptr, first);
    assert_true(str_eq(str_of(c->stop_matched), stop));
    client_free(c);
    r.include_stop = true;
    c = client_run(model, r);
    assert_int_equal(c->text.len, first + stop.len);
    client_free(c);
    client_free(whole);
}

static void test_prompt_text_is_tokenised(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *ids = client_run(model, ask(10));
    struct engine_request r = ask(10);
    r.prompt_ids = NULL;
    r.prompt_len = 0;
    r.prompt_text = STR("Hello, world. Who are");
    struct client_job *text = client_run(model, r);
    assert_true(client_same(ids, text));
    client_free(text);
    client_free(ids);
}

static void test_long_prompt_text_is_tokenised_elsewhere(void **state)
{
    (void)state;
    fake->n_ctx = 4096;
    open_with(client_options());
    static char letters[3000];
    int32_t tokens[3001] = {FAKE_BOS};
    for (size_t i = 0; i < sizeof letters; i++) {
        letters[i] = (char)('a' + i % 23);
        tokens[i + 1] = letters[i];
    }
    struct engine_request r = client_request(NULL, 0, 5);
    r.prompt_text = str_slice(letters, sizeof letters);
    struct client_job *c = client_run(model, r);
    assert_int_equal(c->prompt_tokens, 3001);
    assert_int_equal(c->n_answer, 5);
    assert_int_equal(c->answer[0].token, fake_model_greedy(tokens, 3001));
    client_free(c);

    r.tokens_max = 2000;
    c = client_run(model, r);
    assert_int_equal(c->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(c->error.code, ERR_LIMIT);
    assert_false(c->is_started);
    client_free(c);
}

static void test_an_empty_text_begins_with_bos(void **state)
{
    (void)state;
    open_with(client_options());
    struct engine_request r = client_request(NULL, 0, 3);
    r.prompt_text = STR("");
    struct client_job *c = client_run(model, r);
    assert_int_equal(c->prompt_tokens, 1);
    assert_int_equal(c->n_answer, 3);
    client_free(c);
    r.add_bos = false;
    c = client_run(model, r);
    assert_int_equal(c->error.code, ERR_INVALID);
    client_free(c);
}

static void test_the_prefix_is_reused_and_changes_nothing(void **state)
{
    (void)state;
    open_with(client_options());
    int32_t ids[200];
    for (int32_t i = 0; i < 200; i++)
        ids[i] = 'a' + i % 26;
    struct engine_request r = client_request(ids, 200, 20);
    r.logprobs = true;
    struct client_job *first = client_run(model, r), *second = client_run(model, r);
    assert_int_equal(first->cached_tokens, 0);
    assert_int_equal(second->cached_tokens, 192);
    assert_true(client_same(first, second));
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_int_equal(s.prefix_hit_tokens, 192);
    assert_int_equal(s.prefix_query_tokens, 400);
    client_free(second);

    r.prompt_len = 192; // the last token is always computed
    second = client_run(model, r);
    assert_int_equal(second->cached_tokens, 176);
    client_free(second);

    r.prompt_len = 200;
    r.tenant = STR("someone else");
    second = client_run(model, r);
    assert_int_equal(second->cached_tokens, 0);
    assert_true(client_same(first, second));
    client_free(second);
    client_free(first);
}

static void test_an_answer_is_part_of_the_next_prefix(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *c = client_run(model, ask(60));
    int32_t ids[128];
    memcpy(ids, prompt, sizeof prompt);
    for (size_t i = 0; i < 60; i++)
        ids[ARRAY_LEN(prompt) + i] = c->answer[i].token;
    client_free(c);
    c = client_run(model, client_request(ids, ARRAY_LEN(prompt) + 60, 5));
    assert_int_equal(c->cached_tokens, 80);
    assert_greedy(c, ids, ARRAY_LEN(prompt) + 60);
    client_free(c);
}

static void test_prompts_that_come_together_are_computed_once(void **state)
{
    (void)state;
    fake->step_us = 2000;
    open_with(client_options());
    int32_t ids[160];
    for (int32_t i = 0; i < 160; i++)
        ids[i] = i % 100;
    struct client_job *c[6];
    struct engine_request r = client_request(ids, 160, 3);
    r.temperature = 1;
    for (uint32_t i = 0; i < 6; i++) {
        r.choice = i;
        c[i] = client_start(model, r);
    }
    assert_true(client_wait_all(c, 6, 5000));
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_int_equal(s.prompt_tokens, 160 + 5 * 16);
    bool differ = false;
    for (uint32_t i = 0; i < 6; i++)
        differ |= !client_same(c[0], c[i]);
    assert_true(differ);
    for (uint32_t i = 0; i < 6; i++)
        client_free(c[i]);
}

static double log_softmax(const float *logits, uint32_t n, int32_t token)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += exp((double)logits[i]);
    return (double)logits[token] - log(sum);
}

static void test_prompt_logprobs(void **state)
{
    (void)state;
    open_with(client_options());
    int32_t ids[150];
    for (int32_t i = 0; i < 150; i++)
        ids[i] = 'A' + i % 50;
    client_free(client_run(model, client_request(ids, 150, 1))); // a prefix that must not be used
    struct engine_request r = client_request(ids, 150, 0);
    r.prompt_logprobs = true;
    r.top_logprobs = 3;
    struct client_job *c = client_run(model, r);
    assert_int_equal(c->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(c->n_prompt, 150);
    assert_int_equal(c->n_answer, 0);
    assert_int_equal(c->cached_tokens, 0);
    assert_true(isnan(c->prompt[0].logprob));
    float logits[300];
    for (size_t i = 1; i < 150; i++) {
        fake_model_logits(ids, i, logits);
        assert_int_equal(c->prompt[i].token, ids[i]);
        assert_true(fabs((double)c->prompt[i].logprob - log_softmax(logits, 300, ids[i])) < 1e-5);
        assert_int_equal(c->prompt[i].top_len, 3);
        assert_int_equal(c->prompt[i].top[0].token, fake_model_greedy(ids, i));
    }
    assert_int_equal(c->prompt_text.len, 150);
    client_free(c);
}

static void test_answer_logprobs(void **state)
{
    (void)state;
    open_with(client_options());
    struct engine_request r = ask(20);
    r.temperature = 1.5f;
    r.logprobs = true;
    r.top_logprobs = 20;
    struct client_job *c = client_run(model, r);
    int32_t history[64];
    float logits[300];
    size_t n = ARRAY_LEN(prompt);
    memcpy(history, prompt, sizeof prompt);
    for (size_t i = 0; i < 20; i++) {
        const struct client_token *t = &c->answer[i];
        fake_model_logits(history, n, logits);
        assert_true(fabs((double)t->logprob - log_softmax(logits, 300, t->token)) < 1e-5);
        for (size_t k = 1; k < 20; k++)
            assert_true(t->top[k].logprob <= t->top[k - 1].logprob);
        history[n++] = t->token;
    }
    client_free(c);
}

static void run_large_vocabulary(uint32_t threads, struct client_job *c[8])
{
    static int32_t ids[8][40];
    struct engine_options o = client_options();
    o.threads = threads;
    open_with(o);
    for (int32_t i = 0; i < 8; i++) {
        for (int32_t k = 0; k < 40; k++)
            ids[i][k] = 1000 * i + k;
        struct engine_request r = client_request(ids[i], 40, 5);
        r.temperature = 1.2f;
        r.top_p = 0.95f;
        r.logprobs = true;
        r.top_logprobs = 4;
        r.prompt_logprobs = i % 2;
        c[i] = client_start(model, r);
    }
    assert_true(client_wait_all(c, 8, 20000));
    engine_free(engine);
    engine = NULL;
}

static void test_the_team_samples_and_changes_nothing(void **state)
{
    (void)state;
    fake->n_vocab = 30000;
    struct client_job *one[8], *three[8];
    run_large_vocabulary(1, one);
    run_large_vocabulary(3, three);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(one[i]->finish, ENGINE_FINISH_LENGTH);
        assert_true(client_same(one[i], three[i]));
        client_free(one[i]);
        client_free(three[i]);
    }
}

// Of ids 0 … 99, of unit length in its first `dimensions`.
static void check_embedding(enum engine_pooling pooling, uint32_t dimensions)
{
    int32_t ids[100];
    for (int32_t i = 0; i < 100; i++)
        ids[i] = i;
    struct engine_request r = client_request(ids, 100, 0);
    r.embedding = true;
    r.pooling = pooling;
    r.embedding_dimensions = dimensions;
    struct client_job *c = client_run(model, r);
    uint32_t n = dimensions && dimensions < 8 ? dimensions : 8;
    assert_int_equal(c->finish, ENGINE_FINISH_STOP);
    assert_int_equal(c->embedding_len, n);
    double want[8] = {0}, norm = 0;
    for (uint32_t k = 0; k < n; k++) {
        for (size_t i = pooling == ENGINE_POOLING_LAST ? 100 : 1; i <= 100; i++)
            want[k] += (double)fake_model_hidden(ids, i, k);
        norm += want[k] * want[k];
    }
    for (uint32_t k = 0; k < n; k++)
        assert_true(fabs((double)c->embedding[k] - want[k] / sqrt(norm)) < 1e-6);
    client_free(c);
}

static void test_embedding(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    o.step_tokens_max = 7; // a text comes in many chunks
    open_with(o);
    assert_int_equal(engine_model_info(model)->pooling, ENGINE_POOLING_MEAN);
    check_embedding(ENGINE_POOLING_AUTO, 0);
    check_embedding(ENGINE_POOLING_MEAN, 3);
    check_embedding(ENGINE_POOLING_LAST, 0);
    check_embedding(ENGINE_POOLING_LAST, 5);
    check_embedding(ENGINE_POOLING_LAST, 800);
}

static void test_cancel_frees_blocks_at_the_next_step(void **state)
{
    (void)state;
    fake->step_us = 1000;
    open_with(client_options());
    struct client_job *c = client_start(model, ask(400));
    assert_true(client_wait_answer(c, 3, 5000));
    engine_job_cancel(c->job);
    assert_true(client_wait(c, 100));
    assert_int_equal(c->finish, ENGINE_FINISH_CANCELLED);
    assert_true(c->n_answer < 100);
    assert_true(client_wait_blocks(engine, 0));
    client_free(c);
}

static void test_release_cancels(void **state)
{
    (void)state;
    fake->step_us = 1000;
    open_with(client_options());
    struct client_job *c = client_start(model, ask(400));
    assert_true(client_wait_answer(c, 3, 5000));
    client_free(c);
    assert_true(client_wait_blocks(engine, 0));
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_int_equal(s.jobs_finished[ENGINE_FINISH_CANCELLED], 1);
}

static void test_deadline(void **state)
{
    (void)state;
    fake->step_us = 2000;
    struct engine_options o = client_options();
    o.sequences_max = 1;
    open_with(o);
    struct engine_request r = ask(400);
    r.deadline_ms = clock_mono_ms() + 40;
    struct client_job *running = client_start(model, r), *waiting = client_start(model, r);
    assert_true(client_wait(waiting, 1000));
    assert_true(client_wait(running, 1000));
    assert_int_equal(running->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(running->error.code, ERR_TIMEOUT);
    assert_true(running->n_answer > 0);
    assert_int_equal(waiting->error.code, ERR_TIMEOUT);
    assert_false(waiting->is_started);
    client_free(running);
    client_free(waiting);
}

static void test_a_full_queue_says_when_to_come_back(void **state)
{
    (void)state;
    fake->step_us = 2000;
    struct engine_options o = client_options();
    o.sequences_max = 1;
    o.queue_max = 2;
    open_with(o);
    struct client_job *c[3];
    c[0] = client_start(model, ask(100));
    assert_true(client_wait_answer(c[0], 1, 5000));
    c[1] = client_start(model, ask(5));
    c[2] = client_start(model, ask(5));
    struct engine_job *j;
    struct diag d = {0};
    uint32_t retry_ms = 0;
    struct engine_request r = ask(5);
    assert_int_equal(engine_submit(model, &r, &j, &retry_ms, &d), ERR_BUSY);
    assert_in_range(retry_ms, 100, 30000);
    assert_non_null(strstr(d.text, "try again"));
    for (size_t i = 0; i < 3; i++) {
        assert_true(client_wait(c[i], 5000));
        assert_int_equal(c[i]->finish, ENGINE_FINISH_LENGTH);
        client_free(c[i]);
    }
    client_free(client_run(model, ask(1)));
}

static void test_a_reader_that_stops_rests_only_itself(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *idle = client_start(model, ask(400));
    struct client_job *c = client_run(model, ask(450));
    assert_int_equal(c->n_answer, 450);
    client_free(c);
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_int_equal(s.running, 1);
    uint64_t steps = s.steps;
    assert_true(steps < 800);
    assert_true(client_wait(idle, 5000));
    assert_int_equal(idle->n_answer, 400);
    assert_greedy(idle, prompt, ARRAY_LEN(prompt));
    client_free(idle);
}

static void test_a_number_that_is_not_finite_ends_that_request_alone(void **state)
{
    (void)state;
    fake->poison_token = 'Z';
    open_with(client_options());
    int32_t bad[] = {'a', 'b', 'Z'};
    struct client_job *good = client_start(model, ask(30));
    struct client_job *c = client_run(model, client_request(bad, 3, 5));
    assert_int_equal(c->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(c->error.code, ERR_INVALID);
    assert_non_null(strstr(c->error.text, "not finite"));
    assert_true(client_wait(good, 5000));
    client_free(good);
    client_free(c);
    assert_true(client_wait_blocks(engine, 0));
}

static void assert_refused(struct engine_request r, enum err code, const char *word)
{
    struct engine_job *j;
    struct diag d = {0};
    assert_int_equal(engine_submit(model, &r, &j, NULL, &d), code);
    if (!strstr(d.text, word))
        fail_msg("'%s' does not speak of '%s'", d.text, word);
}

static void test_bad_requests_are_refused_in_words(void **state)
{
    (void)state;
    open_with(client_options());
    int32_t ids[] = {1, 300, -1};
    assert_refused(client_request(ids, 2, 5), ERR_INVALID, "300");
    assert_refused(client_request(ids + 2, 1, 5), ERR_INVALID, "-1");
    assert_refused(client_request(ids, 0, 5), ERR_INVALID, "empty");
    assert_refused(client_request(ids, 1, 512), ERR_LIMIT, "context");
    struct engine_request r = ask(1);
    r.temperature = -1;
    assert_refused(r, ERR_INVALID, "temperature");
    r.temperature = NAN;
    assert_refused(r, ERR_INVALID, "temperature");
    r = ask(1);
    r.top_p = 1.5f;
    assert_refused(r, ERR_INVALID, "top_p");
    r = ask(1);
    r.repetition_penalty = 0;
    assert_refused(r, ERR_INVALID, "repetition_penalty");
    r = ask(1);
    r.top_logprobs = 21;
    assert_refused(r, ERR_INVALID, "top_logprobs");
    r = ask(1);
    str none = STR("");
    r.stops = &none;
    r.stops_len = 1;
    assert_refused(r, ERR_INVALID, "stop");
    r = ask(1);
    struct engine_bias bias = {999, 1};
    r.bias = &bias;
    r.bias_len = 1;
    assert_refused(r, ERR_INVALID, "999");
}

static void test_the_engine_may_go_before_its_jobs(void **state)
{
    (void)state;
    fake->step_us = 1000;
    struct engine_options o = client_options();
    o.sequences_max = 1;
    open_with(o);
    struct client_job *running = client_start(model, ask(400)),
                      *waiting = client_start(model, ask(5));
    assert_true(client_wait_answer(running, 2, 5000));
    engine_free(engine);
    engine = NULL;
    assert_true(client_wait(running, 0));
    assert_true(client_wait(waiting, 0));
    assert_int_equal(running->finish, ENGINE_FINISH_CANCELLED);
    assert_int_equal(waiting->finish, ENGINE_FINISH_CANCELLED);
    client_free(running);
    client_free(waiting);
}

// What is made ready while nobody waits is bounded, and then done.
static void wait_until_idle(struct engine_stats *ret)
{
    engine_stats(engine, ret);
    for (int ms = 0; ms < 5000 && !ret->idle; ms++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        engine_stats(engine, ret);
    }
    assert_true(ret->idle);
}

static void test_idle_means_asleep(void **state)
{
    (void)state;
    open_with(client_options());
    client_free(client_run(model, ask(5)));
    struct engine_stats before, after;
    wait_until_idle(&before);
    struct timespec nap = {.tv_nsec = 50000000}, cpu[2];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[0]);
    nanosleep(&nap, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu[1]);
    engine_stats(engine, &after);
    assert_int_equal(before.steps, after.steps);
    int64_t ns = (cpu[1].tv_sec - cpu[0].tv_sec) * 1000000000 + cpu[1].tv_nsec - cpu[0].tv_nsec;
    assert_true(ns < 10000000);
}

// Forced bytes come first, whatever cuts them into tokens, and what follows is drawn freely.
static void test_an_answer_begins_with_forced_bytes(void **state)
{
    (void)state;
    static const char *const forced[] = {"a", "ab", "abc", "zz top", "\xe2\x82\xac uro", "x\ny\tz"};
    open_with(client_options());
    for (size_t i = 0; i < ARRAY_LEN(forced); i++)
        for (int hot = 0; hot < 2; hot++) {
            struct engine_request r = ask(40);
            r.forced = str_of(forced[i]);
            r.temperature = hot ? 1.5f : 0;
            struct client_job *c = client_run(model, r);
            assert_int_equal(c->n_answer, 40);
            assert_true(str_starts(buf_str(&c->text), r.forced));
            client_free(c);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_generates_what_the_model_says),
        TEST(test_ends_at_the_end_of_the_context),
        TEST(test_ends_at_eog),
        TEST(test_stop_ids_end_the_answer),
        TEST(test_stop_strings_end_the_text),
        TEST(test_prompt_text_is_tokenised),
        TEST(test_long_prompt_text_is_tokenised_elsewhere),
        TEST(test_an_empty_text_begins_with_bos),
        TEST(test_the_prefix_is_reused_and_changes_nothing),
        TEST(test_an_answer_is_part_of_the_next_prefix),
        TEST(test_prompts_that_come_together_are_computed_once),
        TEST(test_prompt_logprobs),
        TEST(test_answer_logprobs),
        TEST(test_the_team_samples_and_changes_nothing),
        TEST(test_embedding),
        TEST(test_cancel_frees_blocks_at_the_next_step),
        TEST(test_release_cancels),
        TEST(test_deadline),
        TEST(test_a_full_queue_says_when_to_come_back),
        TEST(test_a_reader_that_stops_rests_only_itself),
        TEST(test_a_number_that_is_not_finite_ends_that_request_alone),
        TEST(test_bad_requests_are_refused_in_words),
        TEST(test_the_engine_may_go_before_its_jobs),
        TEST(test_an_answer_begins_with_forced_bytes),
        TEST(test_idle_means_asleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
