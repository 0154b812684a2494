// What the scheduler owes to whom: streams are not stalled by prompts, short prompts not by long
// ones, a quiet tenant not by a loud one, a model not by another, those who wait not by one who
// does not read; and bells do not ring at those who have left.
//
// REQ: ENG-3 ENG-4 API-11
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "support/engine_client.h"
#include "support/fake_model.h"
#include "support/unit.h"

enum { STEPS_MAX = 4096 };

static struct fake_model *fake;
static struct engine *engine;
static struct engine_model *model;
static int32_t ids[8192];
static struct {
    uint32_t prefill, decode;
    uint64_t us;
} steps[STEPS_MAX];
static _Atomic uint32_t n_steps;

static int setup(void **state)
{
    (void)state;
    fake = fake_model_reset();
    fake->n_ctx = 8192;
    n_steps = 0;
    for (int32_t i = 0; i < 8192; i++)
        ids[i] = (i * 7 + i / 100) % 256;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine_free(engine);
    engine = NULL;
    return 0;
}

static void note_step(void *ctx, const struct engine_model *m, uint32_t prefill_tokens,
                      uint32_t decode_rows, uint64_t duration_us)
{
    (void)ctx, (void)m;
    uint32_t n = n_steps;
    if (n < STEPS_MAX) {
        steps[n].prefill = prefill_tokens;
        steps[n].decode = decode_rows;
        steps[n].us = duration_us;
        n_steps = n + 1;
    }
}

static void open_with(struct engine_options o)
{
    engine = client_engine(&o, "fake", &model);
    engine_observe(engine, &(struct engine_observer){note_step, NULL});
}

// It answers for as long as a test needs it, and has said so many tokens.
static struct client_job *start_stream(size_t tokens)
{
    struct engine_request long_answer = client_request(ids, 5, 8000);
    long_answer.prompt_logprobs = true; // much room for events: it never rests for its reader
    struct client_job *stream = client_start(model, long_answer);
    assert_true(client_wait_answer(stream, tokens, 10000));
    return stream;
}

static void test_a_long_prompt_stalls_no_stream(void **state)
{
    (void)state;
    fake->step_us = 2000;
    open_with(client_options());
    struct engine_request long_answer = client_request(ids, 5, 8000); // outlasts the prompt
    long_answer.prompt_logprobs = true; // much room for events: it never rests for its reader
    struct client_job *stream = client_start(model, long_answer);
    assert_true(client_wait_answer(stream, 3, 5000));
    n_steps = 0;
    struct client_job *prompt = client_start(model, client_request(ids + 100, 3400, 2));
    while (!client_wait(prompt, 1))
        client_read(stream);
    assert_false(stream->is_ended);
    engine_job_cancel(stream->job);
    assert_true(client_wait(stream, 5000));
    uint32_t with_prompt = 0;
    for (uint32_t i = 1; i < n_steps; i++) {
        assert_true(steps[i].prefill + steps[i].decode <= 64);
        if (steps[i].prefill && with_prompt < 50) {
            with_prompt++;
            assert_int_equal(steps[i].decode, 1); // the stream advances in each step
        }
    }
    assert_int_equal(with_prompt, 50); // and the prompt takes as many steps as it needs
    client_free(stream);
    client_free(prompt);
}

// Steps of a stream and less than a block of prompts, while a long and a short one are read.
static uint32_t small_steps(struct client_job *stream, int tries)
{
    uint32_t small = 0;
    n_steps = 0;
    struct client_job *longer = client_start(model, client_request(ids + 100 * tries, 2000, 2));
    while (n_steps < 5)
        client_read(stream);
    struct client_job *shorter = client_start(model, client_request(ids + 7000, 40, 1));
    while (!client_wait(shorter, 1))
        client_read(stream);
    client_read(longer);
    assert_int_equal(longer->n_answer, 0);
    for (uint32_t i = 0; i < n_steps; i++)
        small += steps[i].prefill > 0 && steps[i].prefill < 16 && steps[i].decode == 1;
    engine_job_cancel(longer->job);
    assert_true(client_wait(longer, 5000));
    client_free(longer);
    client_free(shorter);
    return small;
}

// Neither beside a stream, which leaves but a few rows to prompts.
static void test_a_short_prompt_does_not_wait_beside_a_stream(void **state)
{
    (void)state;
    fake->step_us = 300;
    fake->row_us = 400;
    open_with(client_options());
    struct client_job *stream = start_stream(10);
    uint32_t small = 0;
    for (int tries = 0; tries < 10 && small <= 3; tries++) // a busy machine disturbs the times
        small = small_steps(stream, tries);
    assert_true(small > 3);
    client_free(stream);
}

static void nap_us(uint64_t us)
{
    struct timespec t = {.tv_nsec = (long)us * 1000};
    nanosleep(&t, NULL);
}

static uint64_t heart_age_ms(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return clock_mono_ms() - stats.last_step_ms;
}

// What tells that the engine hangs: the age of its last step while one is due, and only then.
static void test_the_heart_ages_in_a_step_that_hangs_and_not_at_rest(void **state)
{
    (void)state;
    fake->step_us = 150000;
    open_with(client_options());
    nap_us(100000);
    assert_in_range(heart_age_ms(), 0, 60);
    struct client_job *job = client_start(model, client_request(ids, 5, 1));
    nap_us(100000);
    assert_in_range(heart_age_ms(), 70, 150);
    assert_true(client_wait(job, 5000));
    nap_us(100000);
    assert_in_range(heart_age_ms(), 0, 60);
    client_free(job);
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Of the steps that a stream took part in, with or without chunks of prompts.
static uint64_t median_us(bool with_prompt, uint32_t *ret_count)
{
    static uint64_t all[STEPS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_steps; i++)
        if (steps[i].decode > 0 && (steps[i].prefill > 0) == with_prompt)
            all[n++] = steps[i].us;
    qsort(all, n, sizeof *all, by_size);
    *ret_count = n;
    return n ? all[n / 2] : 0;
}

// How many times its usual step a stream waits while a prompt of 2000 tokens is read.
static double stretch_of_steps(void)
{
    uint32_t n_usual, n_mixed;
    n_steps = 0;
    struct client_job *stream = start_stream(30);
    struct client_job *prompt = client_start(model, client_request(ids + 100, 2000, 1));
    while (!client_wait(prompt, 1))
        client_read(stream);
    uint64_t usual = median_us(false, &n_usual), mixed = median_us(true, &n_mixed);
    assert_true(n_usual > 10);
    assert_in_range(n_mixed, 2000 / 256, 2000 / 16 + 1);
    client_free(stream);
    client_free(prompt);
    return (double)mixed / (double)usual;
}

static void assert_answer(const struct client_job *c, const int32_t *prompt, uint32_t n)
{
    int32_t history[1024];
    memcpy(history, prompt, n * sizeof *prompt);
    assert_int_equal(c->n_answer, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(c->answer[i].token, fake_model_greedy(history, n + i));
        history[n + i] = c->answer[i].token;
    }
}

// Without that care a step of 256 rows would take six times the usual one.
static void test_a_long_prompt_stretches_no_gap_of_a_stream_too_far(void **state)
{
    (void)state;
    fake->step_us = 3000;
    fake->row_us = 60;
    struct engine_options o = client_options();
    o.step_tokens_max = 256;
    o.prefix_cache = false;
    open_with(o);
    double stretch = 9;
    for (int tries = 0; tries < 5 && stretch > 3;
         tries++) // a busy machine disturbs what is measured
        stretch = stretch_of_steps();
    assert_true(stretch > 1.2);
    assert_true(stretch <= 3);
}

// Rows that have had some of their stages: whoever comes, goes or ends meanwhile, everybody gets
// the tokens of his own history (fake_model.h).
static void test_a_prompt_held_between_its_stages_can_be_left_and_taken_up(void **state)
{
    (void)state;
    fake->step_us = 1000;
    fake->row_us = 20;
    open_with(client_options());
    struct client_job *stream = start_stream(30);
    // How much is computed in stages depends on times as they are measured.
    for (uint32_t turn = 0; turn < 6 || (fake->stages <= 30 && turn < 60); turn++) {
        uint32_t before = fake->stages;
        struct client_job *prompt = client_start(model, client_request(ids + turn, 600, 3));
        while (fake->stages < before + 5 + turn && !client_wait(prompt, 0))
            client_read(stream);
        struct client_job *other = client_start(model, client_request(ids + 3000 + turn, 90, 3));
        if (turn % 2)
            engine_job_cancel(prompt->job);
        while (!client_wait(prompt, 1) || !client_wait(other, 1))
            client_read(stream);
        assert_answer(other, ids + 3000 + turn, 90);
        if (turn % 2 == 0)
            assert_answer(prompt, ids + turn, 600);
        client_free(prompt);
        client_free(other);
    }
    assert_true(fake->stages > 30);
    uint32_t before = fake->stages; // the stream ends while a prompt is held: it goes on alone
    struct client_job *prompt = client_start(model, client_request(ids + 50, 600, 3));
    while (fake->stages < before + 5 && !client_wait(prompt, 0))
        client_read(stream);
    engine_job_cancel(stream->job);
    assert_true(client_wait(stream, 5000) && client_wait(prompt, 5000));
    assert_answer(prompt, ids + 50, 600);
    client_free(prompt);
    client_free(stream);
}

static void test_a_short_prompt_does_not_wait_for_a_long_one(void **state)
{
    (void)state;
    fake->step_us = 200;
    open_with(client_options());
    struct client_job *longer = client_start(model, client_request(ids, 6000, 2));
    struct engine_stats s;
    do
        engine_stats(engine, &s);
    while (s.steps < 3);
    struct client_job *shorter = client_run(model, client_request(ids + 7000, 100, 2));
    client_read(longer);
    assert_int_equal(longer->n_answer, 0);
    assert_true(client_wait(longer, 20000));
    client_free(longer);
    client_free(shorter);
}

static void test_a_long_prompt_is_not_starved_by_short_ones(void **state)
{
    (void)state;
    fake->step_us = 200;
    open_with(client_options());
    struct client_job *longer = client_start(model, client_request(ids, 1600, 1)), *shorter[4];
    size_t done = 0;
    for (size_t i = 0; i < 4; i++)
        shorter[i] = client_start(model, client_request(ids + 3000 + 50 * i, 48, 1));
    // Four short prompts at any time would fill every step; a quarter is the long one's: 100 steps.
    while (client_read(longer), !longer->is_ended) {
        for (size_t i = 0; i < 4; i++) {
            client_read(shorter[i]);
            if (shorter[i]->is_ended) {
                client_free(shorter[i]);
                done++;
                shorter[i] =
                    client_start(model, client_request(ids + 3000 + done * 13 % 5000, 48, 1));
            }
        }
        assert_true(n_steps < 1000);
        sched_yield();
    }
    assert_int_equal(longer->finish, ENGINE_FINISH_LENGTH);
    client_free(longer);
    for (size_t i = 0; i < 4; i++)
        client_free(shorter[i]);
}

static void test_a_quiet_tenant_does_not_wait_for_a_loud_one(void **state)
{
    (void)state;
    fake->step_us = 500;
    struct engine_options o = client_options();
    o.sequences_max = 1;
    open_with(o);
    struct client_job *loud[10];
    for (size_t i = 0; i < 10; i++) {
        struct engine_request r = client_request(ids + 20 * i, 20, 5);
        r.tenant = STR("loud");
        loud[i] = client_start(model, r);
    }
    assert_true(client_wait_answer(loud[0], 1, 5000));
    struct engine_request r = client_request(ids + 1000, 20, 10);
    r.tenant = STR("quiet");
    struct client_job *quiet = client_run(model, r);
    size_t ended = 0;
    for (size_t i = 0; i < 10; i++) {
        client_read(loud[i]);
        ended += loud[i]->is_ended;
    }
    assert_true(ended <= 3);
    assert_true(client_wait_all(loud, 10, 10000));
    for (size_t i = 0; i < 10; i++)
        client_free(loud[i]);
    client_free(quiet);
}

static void test_two_models_share_the_memory(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    o.kv_bytes_max = 60 * 256;
    fake->n_ctx = 512;
    open_with(o);
    struct engine_model *other;
    struct diag d = {0};
    const struct engine_model_options mo = {.name = "other", .path = "fake"};
    assert_int_equal(engine_model_load(engine, &mo, &other, &d), ERR_OK);
    assert_ptr_equal(engine_model_find(engine, STR("other")), other);
    assert_ptr_equal(engine_model_find(engine, STR("m")), model);
    assert_null(engine_model_find(engine, STR("none")));
    struct engine_model *again;
    assert_int_equal(engine_model_load(engine, &mo, &again, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "already"));

    struct client_job *c[12];
    for (size_t i = 0; i < 12; i++)
        c[i] = client_start(i % 2 ? other : model, client_request(ids + 30 * i, 200, 100));
    assert_true(client_wait_all(c, 12, 20000));
    for (size_t i = 0; i < 12; i++) {
        assert_int_equal(c[i]->finish, ENGINE_FINISH_LENGTH);
        int32_t history[512];
        memcpy(history, ids + 30 * i, 200 * sizeof *history);
        for (size_t k = 0; k < 100; k++) {
            assert_int_equal(c[i]->answer[k].token, fake_model_greedy(history, 200 + k));
            history[200 + k] = c[i]->answer[k].token;
        }
        client_free(c[i]);
    }
}

static void test_steps_are_cut_to_the_speed_of_the_model(void **state)
{
    (void)state;
    fake->row_us = 5000;
    open_with(client_options());
    struct client_job *c = client_run(model, client_request(ids, 208, 1)); // and one step more
    assert_int_equal(steps[0].prefill, 64);
    // 200 ms at 5 ms a row: 40, whole blocks; on a busy machine a step took longer
    for (uint32_t i = 2; i < 4; i++) {
        assert_in_range(steps[i].prefill, 16, 32);
        assert_int_equal(steps[i].prefill % 16, 0);
    }
    client_free(c);
}

// A bell that rings after its owner's release would write into freed memory: the sanitizers see it.
struct bell {
    _Atomic uint32_t rings;
};

static void ring(void *ctx)
{
    struct bell *b = ctx;
    b->rings++;
}

static void test_no_bell_rings_after_the_release(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    o.queue_max = 512;
    open_with(o);
    struct random random;
    random_seed(&random, 1);
    for (int i = 0; i < 600; i++) {
        struct bell *b = mem_new(struct bell);
        struct engine_request r = client_request(ids + i, 3, 20);
        r.wake = ring;
        r.wake_ctx = b;
        struct engine_job *j;
        assert_int_equal(engine_submit(model, &r, &j, NULL, NULL), ERR_OK);
        struct engine_event e;
        for (uint64_t polls = random_below(&random, 30); polls > 0; polls--)
            engine_job_poll(j, &e);
        if (random_below(&random, 3) == 0)
            nap_us(random_below(&random, 300));
        engine_job_release(j);
        mem_free(b);
    }
    struct engine_stats s;
    uint64_t ended = 0;
    for (int waits = 0; waits < 20000; waits++) { // the counts are no picture of one moment
        engine_stats(engine, &s);
        ended = 0;
        for (size_t i = 0; i < 4; i++)
            ended += s.jobs_finished[i];
        if (s.running + s.waiting + s.kv_blocks_used == 0 && ended == 600)
            break;
        nap_us(500);
    }
    assert_int_equal(s.running + s.waiting, 0);
    assert_int_equal(s.kv_blocks_used, 0);
    assert_int_equal(ended, 600);
}

// A client that does not read: its sequence rests, and gives up its seat and its memory to those
// who wait; when it is read again it goes on as if nothing had been.
static void test_who_is_not_read_makes_room(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    o.sequences_max = 2;
    open_with(o);
    struct client_job *unread[2], *c[3];
    for (size_t i = 0; i < 2; i++)
        unread[i] = client_start(model, client_request(ids + 50 * i, 40, 300));
    for (size_t i = 0; i < 3; i++)
        c[i] = client_start(model, client_request(ids + 1000 + 50 * i, 40, 30));
    assert_true(client_wait_all(c, 3, 10000));
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_true(s.preemptions > 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(unread[i]->n_answer, 0);
        assert_true(client_wait(unread[i], 10000));
        struct client_job *alone = client_run(model, client_request(ids + 50 * i, 40, 300));
        assert_int_equal(alone->n_answer, 300);
        assert_true(client_same(alone, unread[i]));
        client_free(alone);
        client_free(unread[i]);
    }
    for (size_t i = 0; i < 3; i++)
        client_free(c[i]);
}

static void test_who_is_not_read_and_put_back_can_be_cancelled(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    o.sequences_max = 1;
    open_with(o);
    struct client_job *unread = client_start(model, client_request(ids, 40, 300));
    struct client_job *c = client_run(model, client_request(ids + 1000, 40, 30));
    client_free(unread);
    client_free(c);
    struct engine_stats s;
    do
        engine_stats(engine, &s);
    while (s.running + s.waiting > 0);
    assert_int_equal(s.kv_blocks_used, 0);
}

// Nobody waits: who rests keeps its place, however long.
static void test_who_is_not_read_stays_as_long_as_nobody_waits(void **state)
{
    (void)state;
    open_with(client_options());
    struct client_job *unread = client_start(model, client_request(ids, 40, 300));
    nap_us(400000);
    struct client_job *c = client_run(model, client_request(ids + 1000, 40, 30));
    struct engine_stats s;
    do
        engine_stats(engine, &s);
    while (s.running > 1);
    assert_int_equal(s.preemptions, 0);
    assert_int_equal(s.running, 1);
    assert_true(client_wait(unread, 10000));
    client_free(unread);
    client_free(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_heart_ages_in_a_step_that_hangs_and_not_at_rest),
        TEST(test_a_long_prompt_stalls_no_stream),
        TEST(test_a_long_prompt_stretches_no_gap_of_a_stream_too_far),
        TEST(test_a_prompt_held_between_its_stages_can_be_left_and_taken_up),
        TEST(test_a_short_prompt_does_not_wait_for_a_long_one),
        TEST(test_a_short_prompt_does_not_wait_beside_a_stream),
        TEST(test_a_long_prompt_is_not_starved_by_short_ones),
        TEST(test_a_quiet_tenant_does_not_wait_for_a_loud_one),
        TEST(test_two_models_share_the_memory),
        TEST(test_steps_are_cut_to_the_speed_of_the_model),
        TEST(test_no_bell_rings_after_the_release),
        TEST(test_who_is_not_read_makes_room),
        TEST(test_who_is_not_read_and_put_back_can_be_cancelled),
        TEST(test_who_is_not_read_stays_as_long_as_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
