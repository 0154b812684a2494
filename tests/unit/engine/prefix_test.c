// A prompt's beginning that many requests share is computed once: whole blocks of 16 positions, one
// after the other or all in the same moment, whoever of them goes away meanwhile; never across
// tenants. Hits are counted, for the engine and for each request.
//
// REQ: ENG-3
#include <string.h>

#include "support/engine_client.h"
#include "support/fake_model.h"
#include "support/unit.h"

enum { SHARED = 1000, WHOLE = SHARED / 16 * 16, OWN = 20, REQUESTS = 50, ANSWER = 3 };

static struct fake_model *fake;
static struct engine *engine;
static struct engine_model *model;
static int32_t prompts[REQUESTS][SHARED + OWN];
static struct client_job *clients[REQUESTS];
static struct client_job *busy;

static int setup(void **state)
{
    (void)state;
    fake = fake_model_reset();
    fake->n_ctx = 2048;
    struct engine_options o = client_options();
    o.sequences_max = 64;
    o.queue_max = 64;
    engine = client_engine(&o, "fake", &model);
    for (size_t i = 0; i < REQUESTS; i++)
        for (size_t k = 0; k < SHARED + OWN; k++)
            prompts[i][k] = (int32_t)((k < SHARED ? k * 7 + k / 256 : (k + 1) * (i + 3)) % 256);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine_free(engine);
    return 0;
}

// Keeps the engine in one long step, so that what is submitted meanwhile arrives in one moment.
static void begin_together(void)
{
    static const int32_t other[] = {1, 2, 3};
    fake->step_us = 30000;
    uint32_t before = fake->passes;
    busy = client_start(model, client_request(other, 3, 1));
    while (fake->passes == before)
        ;
}

static void end_together(void)
{
    fake->step_us = 0;
    assert_true(client_wait(busy, 5000));
    client_free(busy);
}

static struct engine_request request(size_t i)
{
    return client_request(prompts[i], SHARED + OWN, ANSWER);
}

static struct engine_stats finish(size_t n)
{
    assert_true(client_wait_all(clients, n, 30000));
    for (size_t i = 0; i < n; i++) {
        struct client_job *c = clients[i];
        assert_int_equal(c->finish, ENGINE_FINISH_LENGTH);
        int32_t history[SHARED + OWN + ANSWER];
        memcpy(history, prompts[i], sizeof prompts[i]);
        for (size_t k = 0; k < ANSWER; k++) {
            assert_int_equal(c->answer[k].token, fake_model_greedy(history, SHARED + OWN + k));
            history[SHARED + OWN + k] = c->answer[k].token;
        }
    }
    struct engine_stats s;
    do
        engine_stats(engine, &s);
    while (s.running > 0);
    assert_int_equal(s.kv_blocks_used, 0);
    return s;
}

static void free_clients(size_t n)
{
    for (size_t i = 0; i < n; i++)
        client_free(clients[i]);
}

static void test_fifty_in_one_moment(void **state)
{
    (void)state;
    begin_together();
    uint32_t before = fake->rows;
    for (size_t i = 0; i < REQUESTS; i++)
        clients[i] = client_start(model, request(i));
    end_together();
    struct engine_stats s = finish(REQUESTS);
    uint32_t own = SHARED + OWN - WHOLE + ANSWER - 1; // the last token is computed for nobody
    assert_int_equal(fake->rows - before, WHOLE + REQUESTS * own);
    assert_int_equal(s.prefix_hit_tokens, (REQUESTS - 1) * WHOLE);
    assert_int_equal(s.prompt_tokens, 3 + WHOLE + REQUESTS * (SHARED + OWN - WHOLE));
    uint32_t first = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        assert_true(clients[i]->cached_tokens == 0 || clients[i]->cached_tokens == WHOLE);
        first += clients[i]->cached_tokens == 0;
    }
    assert_int_equal(first, 1);
    free_clients(REQUESTS);
}

static void test_fifty_one_after_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < REQUESTS; i++) {
        clients[i] = client_run(model, request(i));
        assert_int_equal(clients[i]->cached_tokens, i ? WHOLE : 0);
    }
    assert_int_equal(finish(REQUESTS).prefix_hit_tokens, (REQUESTS - 1) * WHOLE);
    free_clients(REQUESTS);
}

// Whoever computes for the others may go at any time: the next goes on where it was.
static void test_the_first_ones_go_away_meanwhile(void **state)
{
    (void)state;
    enum { GONE = 3 };
    struct client_job *gone[GONE];
    begin_together();
    for (size_t i = 0; i < GONE; i++)
        gone[i] = client_start(model, request(i));
    for (size_t i = 0; i < 20; i++)
        clients[i] = client_start(model, request(i));
    uint32_t before = fake->rows;
    fake->step_us = 1000;
    for (uint32_t i = 0; i < GONE; i++) {
        while (fake->rows < before + 100 * (i + 1))
            ;
        engine_job_cancel(gone[i]->job);
    }
    end_together();
    finish(20);
    uint32_t own = SHARED + OWN - WHOLE + ANSWER - 1;
    assert_in_range(fake->rows - before, WHOLE + 20 * own, WHOLE + 20 * own + 3 * 64 + 16);
    free_clients(20);
    for (size_t i = 0; i < GONE; i++)
        client_free(gone[i]);
}

static void test_each_tenant_computes_its_own(void **state)
{
    (void)state;
    begin_together();
    uint32_t before = fake->rows;
    for (size_t i = 0; i < 10; i++) {
        struct engine_request r = request(i);
        r.tenant = i % 2 ? STR("one") : STR("two");
        clients[i] = client_start(model, r);
    }
    end_together();
    assert_int_equal(finish(10).prefix_hit_tokens, 8 * WHOLE);
    assert_int_equal(fake->rows - before, 2 * WHOLE + 10 * (SHARED + OWN - WHOLE + ANSWER - 1));
    free_clients(10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fifty_in_one_moment),
        TEST(test_fifty_one_after_the_other),
        TEST(test_the_first_ones_go_away_meanwhile),
        TEST(test_each_tenant_computes_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
