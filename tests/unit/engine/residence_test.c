// Several models under one bound of memory: the least recently used gives its weights back, and
// gets them again for the next request; answers are the same bits as with all in memory; a model
// with running sequences stays. REQ: ENG-4 ENG-6
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/unit.h"

enum { MODELS = 3, PROMPT = 20, ANSWER = 8 };

static struct buf images[MODELS];
static const char *const names[MODELS] = {"a", "b", "c"};
static int32_t prompt[PROMPT];

static int make(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        struct random_model m;
        random_model_tiny(i % 2 ? "gpt2" : "llama", &m);
        m.type = TENSOR_Q8_0;
        m.seed = 100 + i;
        buf_init(&images[i], 64 << 20);
        random_model_image(&m, &images[i]);
    }
    for (int32_t i = 0; i < PROMPT; i++)
        prompt[i] = 5 + i * 7;
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++)
        buf_done(&images[i]);
    return 0;
}

static struct engine *open_engine(uint64_t weights_bytes_max)
{
    struct engine *e = NULL;
    struct diag d = {0};
    struct engine_options o = client_options();
    o.weights_bytes_max = weights_bytes_max;
    o.queue_max = 8;
    if (engine_new(&o, &e, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return e;
}

static struct engine_model *load(struct engine *e, size_t i)
{
    struct engine_model *m = NULL;
    struct diag d = {0};
    const struct engine_model_options mo = {.name = names[i], .image = buf_str(&images[i])};
    if (engine_model_load(e, &mo, &m, &d) != ERR_OK)
        fail_msg("%s: %s", names[i], d.text);
    return m;
}

static size_t loaded(struct engine_model **m)
{
    size_t n = 0;
    for (size_t i = 0; i < MODELS; i++)
        n += engine_model_is_loaded(m[i]);
    return n;
}

static uint64_t largest_weights(void)
{
    struct engine *e = open_engine(0);
    uint64_t most = 0;
    for (size_t i = 0; i < MODELS; i++) {
        uint64_t bytes = engine_model_info(load(e, i))->weight_bytes;
        most = bytes > most ? bytes : most;
    }
    engine_free(e);
    return most;
}

static struct client_job *ask(struct engine_model *m)
{
    struct engine_request r = client_request(prompt, PROMPT, ANSWER);
    r.ignore_eos = true;
    return client_start(m, r);
}

static void answers_are_the_same_with_two_of_three_in_memory(void **state)
{
    (void)state;
    struct engine_model *m[MODELS];
    struct client_job *want[MODELS];
    struct engine *all = open_engine(0);
    for (size_t i = 0; i < MODELS; i++) {
        m[i] = load(all, i);
        want[i] = ask(m[i]);
        assert_true(client_wait(want[i], 30000));
    }
    assert_int_equal(loaded(m), MODELS);
    engine_free(all);
    struct engine *e = open_engine(2 * largest_weights());
    for (size_t i = 0; i < MODELS; i++)
        m[i] = load(e, i);
    assert_false(engine_model_is_loaded(m[0])); // the first to come was used least recently
    assert_int_equal(loaded(m), 2);
    for (size_t turn = 0; turn < 9; turn++) {
        size_t i = turn * 2 % MODELS;
        struct client_job *got = ask(m[i]);
        assert_true(client_wait(got, 30000));
        if (!client_same(want[i], got))
            fail_msg("%s answers something else after it was unloaded", names[i]);
        assert_true(engine_model_is_loaded(m[i]));
        assert_int_equal(loaded(m), 2);
        client_free(got);
    }
    engine_free(e);
    for (size_t i = 0; i < MODELS; i++)
        client_free(want[i]);
}

// Room for one: requests for three at once are answered one model after the other.
static void all_are_served_with_room_for_one(void **state)
{
    (void)state;
    struct engine *e = open_engine(largest_weights());
    struct engine_model *m[MODELS];
    struct client_job *jobs[2 * MODELS];
    for (size_t i = 0; i < MODELS; i++)
        m[i] = load(e, i);
    for (size_t i = 0; i < 2 * MODELS; i++)
        jobs[i] = ask(m[i % MODELS]);
    assert_true(client_wait_all(jobs, 2 * MODELS, 60000));
    for (size_t i = 0; i < 2 * MODELS; i++) {
        assert_int_equal(jobs[i]->finish, ENGINE_FINISH_LENGTH);
        client_free(jobs[i]);
    }
    assert_int_equal(loaded(m), 1);
    engine_free(e);
}

static struct engine_request endless(void)
{
    struct engine_request r = client_request(prompt, PROMPT, 200);
    r.ignore_eos = true;
    return r;
}

// A stream is never cut for another model's sake; the other waits, and can be given up.
static void a_running_answer_keeps_its_model(void **state)
{
    (void)state;
    struct engine *e = open_engine(largest_weights());
    struct engine_model *a = load(e, 0), *b = load(e, 1);
    struct client_job *stream = client_start(a, endless());
    assert_true(client_wait_answer(stream, 1, 30000));
    struct client_job *other = ask(b);
    assert_true(client_wait(stream, 60000));
    assert_int_equal(stream->finish, ENGINE_FINISH_LENGTH);
    assert_int_equal(stream->completion_tokens, 200);
    assert_true(client_wait(other, 30000));
    assert_int_equal(other->finish, ENGINE_FINISH_LENGTH);
    assert_true(engine_model_is_loaded(b) && !engine_model_is_loaded(a));
    client_free(stream);
    client_free(other);
    engine_free(e);
}

// Whether the others still ran when these had ended.
static bool ends_while_others_run(struct engine_model *a, struct engine_model *b)
{
    struct client_job *streams[6];
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        streams[i] = client_start(a, endless());
    assert_true(client_wait_answer(streams[0], 1, 30000));
    struct engine_request r = client_request(prompt, PROMPT, 1);
    r.deadline_ms = clock_mono_ms() + 1;
    struct client_job *late = client_start(b, r), *gone = ask(b);
    engine_job_cancel(gone->job);
    assert_true(client_wait(late, 30000) && client_wait(gone, 30000));
    bool waited = !engine_model_is_loaded(b);
    if (waited) {
        assert_int_equal(late->finish, ENGINE_FINISH_ERROR);
        assert_int_equal(late->error.code, ERR_TIMEOUT);
        assert_int_equal(gone->finish, ENGINE_FINISH_CANCELLED);
    }
    assert_true(client_wait_all(streams, ARRAY_LEN(streams), 30000));
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        client_free(streams[i]);
    client_free(late);
    client_free(gone);
    return waited;
}

static void who_waits_for_weights_can_be_late_or_go(void **state)
{
    (void)state;
    struct engine *e = open_engine(largest_weights());
    struct engine_model *a = load(e, 0), *b = load(e, 1);
    bool seen = false;
    for (int i = 0; i < 50 && !seen; i++) // a fast machine may be done before it is looked at
        seen = ends_while_others_run(a, b);
    assert_true(seen);
    engine_free(e);
}

static void the_queue_of_those_who_wait_is_bounded(void **state)
{
    (void)state;
    struct engine *e = open_engine(largest_weights());
    struct engine_model *a = load(e, 0), *b = load(e, 1);
    struct engine_request r = client_request(prompt, PROMPT, 1);
    struct engine_job *jobs[1000];
    size_t n = 0;
    enum err refused = ERR_OK;
    uint32_t retry_ms = 0;
    struct diag d = {0};
    while (n < ARRAY_LEN(jobs) && refused == ERR_OK) {
        refused = engine_submit(n % 2 ? a : b, &r, &jobs[n], &retry_ms, &d);
        n += refused == ERR_OK;
    }
    assert_int_equal(refused, ERR_BUSY);
    assert_true(retry_ms >= 100);
    for (size_t i = 0; i < n; i++)
        engine_job_release(jobs[i]);
    engine_free(e);
}

// Many wait for the first model, so it is not idle before they are all served; the second one has
// its turn all the same, and those who waited are then served whole.
static void a_model_that_is_never_idle_gives_way(void **state)
{
    (void)state;
    enum { BUSY = 120 };
    struct engine_options o = client_options();
    struct engine *e = NULL;
    struct diag d = {0};
    o.weights_bytes_max = largest_weights();
    o.weights_stay_ms = 1;
    o.queue_max = BUSY + 1;
    assert_int_equal(engine_new(&o, &e, &d), ERR_OK);
    struct engine_model *a = load(e, 0), *b = load(e, 1);
    struct client_job *busy[BUSY];
    for (size_t i = 0; i < BUSY; i++)
        busy[i] = client_start(a, endless());
    assert_true(client_wait_answer(busy[0], 1, 30000));
    struct client_job *other = ask(b);
    uint64_t until = clock_mono_ms() + 30000;
    while (!other->is_ended && clock_mono_ms() < until) {
        for (size_t i = 0; i < BUSY; i++)
            client_read(busy[i]);
        client_read(other);
    }
    assert_true(other->is_ended && other->finish == ENGINE_FINISH_LENGTH);
    assert_false(busy[BUSY - 1]->is_ended);
    assert_true(client_wait_all(busy, BUSY, 60000));
    for (size_t i = 0; i < BUSY; i++) {
        assert_int_equal(busy[i]->completion_tokens, 200);
        client_free(busy[i]);
    }
    client_free(other);
    engine_free(e);
}

static void a_model_larger_than_the_bound_is_refused(void **state)
{
    (void)state;
    struct engine *e = open_engine(1000);
    struct engine_model *m = NULL;
    struct diag d = {0};
    const struct engine_model_options mo = {.name = "a", .image = buf_str(&images[0])};
    assert_int_equal(engine_model_load(e, &mo, &m, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "weights_bytes_max"));
    engine_free(e);
}

// a draws with b's guesses, beside c: drafts stay, so what they leave must hold the largest model.
static enum err load_with_draft(struct engine *e, bool before, struct diag *d)
{
    struct engine_model *m = NULL, *other = NULL;
    const struct engine_model_options mo = {.name = "drafted",
                                            .image = buf_str(&images[0]),
                                            .speculation = ENGINE_SPECULATION_DRAFT,
                                            .draft_image = buf_str(&images[2])};
    const struct engine_model_options large = {.name = "large", .image = buf_str(&images[1])};
    if (before)
        ERR_TRY(engine_model_load(e, &large, &other, d));
    ERR_TRY(engine_model_load(e, &mo, &m, d));
    if (!before)
        ERR_TRY(engine_model_load(e, &large, &other, d));
    for (size_t turn = 0; turn < 4; turn++) {
        struct client_job *got = ask(turn % 2 ? m : other);
        assert_true(client_wait(got, 30000));
        assert_int_equal(got->finish, ENGINE_FINISH_LENGTH);
        client_free(got);
    }
    return ERR_OK;
}

static void draft_models_count_and_stay(void **state)
{
    (void)state;
    struct engine *all = open_engine(0);
    uint64_t bytes[MODELS], most = 0;
    for (size_t i = 0; i < MODELS; i++)
        bytes[i] = engine_model_info(load(all, i))->weight_bytes;
    engine_free(all);
    most = bytes[0] > bytes[1] ? bytes[0] : bytes[1];
    for (size_t i = 0; i < 4; i++) {
        bool has_room = i % 2;
        struct diag d = {0};
        struct engine *e = open_engine(most + bytes[2] - !has_room);
        assert_int_equal(load_with_draft(e, i / 2, &d), has_room ? ERR_OK : ERR_LIMIT);
        assert_int_equal(strstr(d.text, "draft models") != NULL, !has_room);
        engine_free(e);
    }
}

static void an_engine_ends_while_a_model_is_waited_for(void **state)
{
    (void)state;
    struct engine *e = open_engine(largest_weights());
    struct engine_model *a = load(e, 0), *b = load(e, 1);
    struct client_job *stream = client_start(a, endless()), *other = ask(b);
    engine_free(e);
    assert_true(client_wait(stream, 1000) && client_wait(other, 1000));
    client_free(stream);
    client_free(other);
}

static void a_context_beyond_the_trained_length_is_refused(void **state)
{
    (void)state;
    struct engine *e = open_engine(0);
    struct engine_model *m = NULL;
    struct diag d = {0};
    struct engine_model_options mo = {
        .name = "a", .image = buf_str(&images[0]), .context_max = 257}; // trained for 256
    assert_int_equal(engine_model_load(e, &mo, &m, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "trained for 256"));
    mo.context_max = 100;
    assert_int_equal(engine_model_load(e, &mo, &m, &d), ERR_OK);
    assert_int_equal(engine_model_info(m)->context_max, 100);
    engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_with_two_of_three_in_memory),
        cmocka_unit_test(all_are_served_with_room_for_one),
        cmocka_unit_test(a_running_answer_keeps_its_model),
        cmocka_unit_test(who_waits_for_weights_can_be_late_or_go),
        cmocka_unit_test(the_queue_of_those_who_wait_is_bounded),
        cmocka_unit_test(a_model_that_is_never_idle_gives_way),
        cmocka_unit_test(a_model_larger_than_the_bound_is_refused),
        cmocka_unit_test(draft_models_count_and_stay),
        cmocka_unit_test(an_engine_ends_while_a_model_is_waited_for),
        cmocka_unit_test(a_context_beyond_the_trained_length_is_refused),
    };
    return cmocka_run_group_tests(tests, make, forget);
}
