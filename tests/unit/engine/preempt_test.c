// A small memory: sequences are put back for others and computed again, which changes no answer
// and is not counted as what it is not.
//
// REQ: ENG-3 ENG-4 ENG-6
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/job.h"
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

static int teardown(void **state)
{
    (void)state;
    engine_free(engine);
    engine = NULL;
    return 0;
}

// Blocks of 16 positions.
static void open_with_blocks(uint64_t blocks, uint32_t step_tokens_max)
{
    struct engine_options o = client_options();
    o.kv_bytes_max = blocks * 16 * 16;
    if (step_tokens_max)
        o.step_tokens_max = step_tokens_max;
    engine = client_engine(&o, "fake", &model);
}

static void test_a_small_memory_preempts_and_changes_nothing(void **state)
{
    (void)state;
    open_with_blocks(40, 0); // 40 blocks: 640 positions
    struct client_job *alone = client_run(model, client_request(prompt, ARRAY_LEN(prompt), 300)),
                      *c[4];
    for (size_t i = 0; i < 4; i++)
        c[i] = client_start(model, client_request(prompt, ARRAY_LEN(prompt), 300));
    assert_true(client_wait_all(c, 4, 20000));
    for (size_t i = 0; i < 4; i++) {
        assert_true(client_same(alone, c[i]));
        client_free(c[i]);
    }
    client_free(alone);
    assert_true(client_wait_blocks(engine, 0));
}

static void test_different_texts_preempt_each_other_and_change_nothing(void **state)
{
    (void)state;
    fake->step_us = 100;
    open_with_blocks(40, 0);
    struct client_job *alone[4], *c[4];
    int32_t ids[4][20];
    for (int32_t i = 0; i < 4; i++) {
        for (int32_t k = 0; k < 20; k++)
            ids[i][k] = i * 20 + k;
        alone[i] = client_run(model, client_request(ids[i], 20, 300));
    }
    for (size_t i = 0; i < 4; i++)
        c[i] = client_start(model, client_request(ids[i], 20, 300));
    assert_true(client_wait_all(c, 4, 20000));
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_true(s.preemptions > 0);
    for (size_t i = 0; i < 4; i++) {
        assert_true(client_same(alone[i], c[i]));
        client_free(alone[i]);
        client_free(c[i]);
    }
}

// An answer that grows puts a long prompt back in the middle; its own blocks, found again, are not
// what others had computed. A slow machine may need another round for it.
static void test_a_prompt_that_was_put_back_has_no_more_from_the_cache(void **state)
{
    (void)state;
    open_with_blocks(28, 17);
    fake->step_us = 200;
    struct engine_stats s = {0};
    int32_t ids[2][400];
    for (int32_t round = 0; round < 20 && s.preemptions == 0; round++) {
        for (int32_t k = 0; k < 400; k++) {
            ids[0][k] = (k + 7 * round) % 250;
            ids[1][k] = (2 * k + 3 * round) % 251;
        }
        struct client_job *c[2] = {client_start(model, client_request(ids[0], 31, 80)), NULL};
        assert_true(client_wait_answer(c[0], 1, 5000));
        c[1] = client_start(model, client_request(ids[1], 400, 2));
        assert_true(client_wait_all(c, 2, 5000));
        assert_int_equal(c[1]->cached_tokens, 0);
        client_free(c[0]);
        client_free(c[1]);
        engine_stats(engine, &s);
        assert_int_equal(s.prefix_hit_tokens, 0);
    }
    assert_true(s.preemptions > 0);
}

static void pretend_to_rest(struct client_job *c)
{
    if (c->n_answer == 0 || c->is_ended)
        return;
    atomic_store(&c->job->is_resting, true);
    usleep(200);
    atomic_store(&c->job->is_resting, false);
    park_signal(&c->job->door->park);
}

// A reader takes its events and then says so. In between its sequence goes on while it still counts
// as resting: it must not be put back for another once it has rows in the step. Eight blocks: the
// younger fills its fourth half a block before the older.
static void test_a_reader_that_says_late_that_it_has_read_costs_nothing(void **state)
{
    (void)state;
    open_with_blocks(8, 0);
    struct client_job *alone[2] = {client_run(model, client_request(prompt, 4, 100)),
                                   client_run(model, client_request(prompt + 4, 12, 100))};
    fake->step_us = 100;
    uint64_t begun = clock_mono_ms();
    for (int round = 0; round < 8; round++) {
        struct client_job *c[2] = {client_start(model, client_request(prompt, 4, 100)),
                                   client_start(model, client_request(prompt + 4, 12, 100))};
        while (!c[0]->is_ended || !c[1]->is_ended) {
            assert_true(client_wait_all(c, 2, 0) || clock_mono_ms() < begun + 20000);
            pretend_to_rest(c[0]);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_true(client_same(alone[i], c[i]));
            client_free(c[i]);
        }
    }
    client_free(alone[0]);
    client_free(alone[1]);
    struct engine_stats s;
    engine_stats(engine, &s);
    assert_true(s.preemptions > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_small_memory_preempts_and_changes_nothing),
        TEST(test_different_texts_preempt_each_other_and_change_nothing),
        TEST(test_a_prompt_that_was_put_back_has_no_more_from_the_cache),
        TEST(test_a_reader_that_says_late_that_it_has_read_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
