// Random workloads: requests of every kind arrive, are cancelled, run out of memory and are
// computed again, read slowly or not before all others have ended; each that ends by itself must
// have, bit for bit, the answer it gets alone. The model underneath checks that every block table
// holds its sequence's own history. Two of three workloads guess tokens ahead.
//
// REQ: ENG-3 ENG-4 ENG-6 ENG-9
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "engine/speculate.h"
#include "support/engine_client.h"
#include "support/fake_model.h"
#include "support/unit.h"

enum { JOBS = 60, JOBS_MANY = 200, PROMPT_MAX = 200, STEMS = 4 };

struct job {
    int32_t ids[PROMPT_MAX];
    struct engine_request request;
    struct engine_bias bias[2];
    str stops[2];
    uint64_t start_us;
    bool is_cancelled, is_slow, is_away; // away: not read before all others have ended
    struct client_job *client;
};

static struct job jobs[JOBS_MANY];
static size_t n_jobs;
static uint64_t drafted;

static void make_prompt(struct random *r, struct job *j)
{
    // Prompts share stems, as conversations do, so that the prefix cache has work.
    uint64_t stem = random_below(r, STEMS);
    size_t n = 1 + random_below(r, PROMPT_MAX - 1), shared = random_below(r, n + 1);
    for (size_t i = 0; i < n; i++)
        j->ids[i] = (int32_t)(i < shared ? (stem * 31 + i) % 256 : random_below(r, 256));
    j->request = client_request(j->ids, n, 1 + (uint32_t)random_below(r, 80));
}

static void make_sampling(struct random *r, struct job *j)
{
    static const float temperatures[] = {0, 0.5f, 1, 2};
    struct engine_request *q = &j->request;
    q->temperature = temperatures[random_below(r, 4)];
    q->top_k = random_below(r, 3) ? 0 : (uint32_t)random_below(r, 50);
    q->top_p = random_below(r, 3) ? 1 : (float)random_unit(r);
    q->min_p = random_below(r, 4) ? 0 : 0.01f;
    q->presence_penalty = random_below(r, 4) ? 0 : 1;
    q->repetition_penalty = random_below(r, 4) ? 1 : 1.2f;
    q->seed = random_below(r, 1000);
    q->choice = (uint32_t)random_below(r, 3);
    q->tokens_min = (uint32_t)random_below(r, 20);
    q->logprobs = random_below(r, 2);
    q->top_logprobs = q->logprobs ? (uint32_t)random_below(r, 5) : 0;
    q->prompt_logprobs = random_below(r, 6) == 0;
    q->embedding = random_below(r, 12) == 0;
}

static void make_job(struct random *r, struct job *j)
{
    *j = (struct job){0};
    make_prompt(r, j);
    make_sampling(r, j);
    if (random_below(r, 3) == 0) {
        j->bias[0] = (struct engine_bias){'e', 3};
        j->bias[1] = (struct engine_bias){(int32_t)random_below(r, 256), -50};
        j->request.bias = j->bias;
        j->request.bias_len = 2;
    }
    if (random_below(r, 3) == 0) {
        j->stops[0] = STR("ab");
        j->stops[1] = STR("e");
        j->request.stops = j->stops;
        j->request.stops_len = 2;
    }
    j->request.tenant = random_below(r, 2) ? STR("one") : STR("two");
    j->is_cancelled = random_below(r, 8) == 0;
    j->is_slow = random_below(r, 8) == 0;
    j->is_away = !j->is_cancelled && random_below(r, 30) == 0;
    j->start_us = random_below(r, 20000);
}

static void nap_us(uint64_t us)
{
    struct timespec t = {.tv_nsec = (long)us * 1000};
    nanosleep(&t, NULL);
}

static bool tend(struct random *r, struct job *j, struct engine_model *m, uint64_t now_us)
{
    if (!j->client) {
        if (now_us >= j->start_us)
            j->client = client_start(m, j->request);
        return true;
    }
    if (j->client->is_ended)
        return false;
    if (!j->is_away && (!j->is_slow || random_below(r, 20) == 0))
        client_read(j->client);
    if (j->is_cancelled && random_below(r, 10) == 0)
        engine_job_cancel(j->client->job);
    return !j->is_away;
}

static void run_together(struct random *r, struct engine_model *m)
{
    uint64_t from = clock_mono_us();
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < n_jobs; i++)
            any |= tend(r, &jobs[i], m, clock_mono_us() - from);
        assert_true(clock_mono_us() - from < 60000000);
        nap_us(50);
    }
    for (size_t i = 0; i < n_jobs; i++)
        assert_true(client_wait(jobs[i].client, 10000));
}

static void compare_with_alone(struct engine_model *alone)
{
    for (size_t i = 0; i < n_jobs; i++) {
        struct job *j = &jobs[i];
        struct client_job *c = client_run(alone, j->request);
        if (j->client->finish == ENGINE_FINISH_CANCELLED)
            assert_true(j->is_cancelled);
        else if (!client_same(c, j->client))
            fail_msg("job %zu: %zu tokens together, %zu alone, ends %d and %d", i,
                     j->client->n_answer, c->n_answer, (int)j->client->finish, (int)c->finish);
        client_free(j->client);
        client_free(c);
    }
}

static void run_workload(uint64_t seed, size_t n, uint64_t blocks)
{
    struct random r;
    n_jobs = n;
    random_seed(&r, seed);
    struct fake_model *fake = fake_model_reset();
    fake->eos_one_in = 60;
    fake->rows_max = 40 + (uint32_t)random_below(&r, 200);
    fake->step_us = (uint32_t)random_below(&r, 40);
    fake->habit = seed % 3 ? 16.0f : 0;

    struct engine_options o = client_options();
    struct engine_model *alone_model, *model;
    struct engine *alone = client_engine(&o, "fake", &alone_model);
    o.kv_bytes_max = (18 + random_below(&r, blocks)) * 256; // 18 blocks are the longest job's
    o.step_tokens_max = 1 + (uint32_t)random_below(&r, 120);
    o.sequences_max = 1 + (uint32_t)random_below(&r, 20);
    o.queue_max = JOBS_MANY;
    o.prefix_cache = random_below(&r, 5) > 0;
    const struct engine_model_options mo = {
        .name = "m",
        .path = "fake",
        .speculation = (enum engine_speculation)(seed % 3),
        .draft_path = "fake-draft",
        .draft_tokens_max = 1 + (uint32_t)random_below(&r, DRAFT_TOKENS_MAX),
    };
    struct engine *together = client_engine_of(&o, &mo, &model);
    for (size_t i = 0; i < n; i++)
        make_job(&r, &jobs[i]);
    run_together(&r, model);
    struct engine_stats s;
    do
        engine_stats(together, &s);
    while (s.running + s.waiting > 0);
    assert_int_equal(s.kv_blocks_used, 0);
    engine_free(together);
    compare_with_alone(alone_model);
    engine_free(alone);
    assert_true(seed % 3 || s.drafted_tokens == 0);
    drafted += s.drafted_tokens;
    print_message("workload %u: %u steps, %u preemptions, %u of %u prompt tokens from the cache, "
                  "%u of %u guesses right\n",
                  (unsigned)seed, (unsigned)s.steps, (unsigned)s.preemptions,
                  (unsigned)s.prefix_hit_tokens, (unsigned)s.prefix_query_tokens,
                  (unsigned)s.accepted_tokens, (unsigned)s.drafted_tokens);
}

static void test_schedules_change_no_answer(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++)
        run_workload(seed, JOBS, 40);
    assert_true(drafted > 0);
}

static void test_many_requests_in_a_tiny_memory(void **state)
{
    (void)state;
    run_workload(101, JOBS_MANY, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedules_change_no_answer),
                                       cmocka_unit_test(test_many_requests_in_a_tiny_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
