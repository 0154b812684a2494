// Guesses on real forward passes, of random models: the same tokens, the same bits of every
// log-probability, with and without, on text that repeats itself and text that does not, greedy and
// drawn, alone and among others, on one thread and two.
//
// REQ: ENG-6 ENG-9
#include <string.h>

#include "base/mem.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/request_mix.h"
#include "support/unit.h"

enum { MIXED = 12, REPEATING = 12, REQUESTS = MIXED + REPEATING, ANSWER = 48 };

static struct buf image, stranger; // the model, and one that draws otherwise
static int32_t prompts[REQUESTS][REQUEST_MIX_PROMPT_MAX];
static struct engine_bias favourites[5];
static int32_t foretold[REQUESTS][ANSWER];
static struct client_job *reference[REQUESTS];
static bool foretells;

static void make_image(struct random_model shape, struct buf *ret)
{
    buf_done(ret);
    buf_init(ret, 64 << 20);
    random_model_image(&shape, ret);
}

static void make_models(const char *arch, enum tensor_type type)
{
    struct random_model shape;
    random_model_tiny(arch, &shape);
    shape.type = type;
    make_image(shape, &image);
    shape.n_layer = 1;
    shape.seed++;
    make_image(shape, &stranger);
}

// A few tokens are so likely that the answer is made of them: it keeps meeting its own past.
static struct engine_request repeating(uint32_t i, uint32_t n_vocab, int32_t *ids)
{
    for (uint32_t k = 0; k < ARRAY_LEN(favourites); k++)
        favourites[k] = (struct engine_bias){(int32_t)((40 + 7 * k) % n_vocab), 30};
    for (uint32_t k = 0; k < 30; k++)
        ids[k] = favourites[k * (i + 1) % 5].token;
    struct engine_request r = client_request(ids, 30, ANSWER);
    r.bias = favourites;
    r.bias_len = 2 + i % 4;
    r.temperature = i % 3 == 0 ? 0 : 1;
    r.seed = i;
    r.frequency_penalty = i % 4 ? 0 : 0.2f;
    r.ignore_eos = true;
    r.logprobs = true;
    r.top_logprobs = 20;
    return r;
}

static struct engine_request request(const struct engine_model *m, uint32_t i)
{
    uint32_t n_vocab = engine_model_info(m)->n_vocab;
    if (i >= MIXED)
        return repeating(i - MIXED, n_vocab, prompts[i]);
    struct engine_request r = request_mix(i, n_vocab, prompts[i]);
    r.tokens_max = ANSWER;
    return r;
}

// What the reference said, with a token missing in places and another in others.
static void foretell(struct engine_request *r, const struct client_job *said, int32_t *ids)
{
    for (size_t k = 0; k < said->n_answer; k++) {
        if (k % 11 == 7)
            continue;
        ids[r->prediction_len++] = said->answer[k].token + (k % 17 == 13 ? -1 : 0);
    }
    for (size_t k = 0; k < r->prediction_len; k++)
        ids[k] = ids[k] < 0 ? 0 : ids[k];
    r->prediction_ids = ids;
}

static struct engine_stats run_all(enum engine_speculation speculation, const struct buf *draft,
                                   uint32_t threads, uint32_t together)
{
    struct engine_options o = client_options();
    o.threads = threads;
    o.sequences_max = together;
    const struct engine_model_options mo = {.name = "m",
                                            .image = buf_str(&image),
                                            .speculation = speculation,
                                            .draft_image = draft ? buf_str(draft) : STR_NONE};
    struct engine_model *m;
    struct engine *e = client_engine_of(&o, &mo, &m);
    for (uint32_t i = 0; i < REQUESTS; i += together) {
        struct client_job *c[REQUESTS];
        for (uint32_t k = 0; k < together; k++) {
            struct engine_request r = request(m, i + k);
            if (foretells)
                foretell(&r, reference[i + k], foretold[i + k]);
            c[k] = client_start(m, r);
        }
        assert_true(client_wait_all(c, together, 60000));
        for (uint32_t k = 0; k < together; k++) {
            if (!reference[i + k]) {
                reference[i + k] = c[k];
                continue;
            }
            if (!client_same(reference[i + k], c[k]))
                fail_msg("request %u is not what it was without guesses", i + k);
            client_free(c[k]);
        }
    }
    struct engine_stats s;
    engine_stats(e, &s);
    engine_free(e);
    return s;
}

static void check_model(const char *arch, enum tensor_type type)
{
    make_models(arch, type);
    assert_int_equal(run_all(ENGINE_SPECULATION_OFF, NULL, 1, 1).drafted_tokens, 0);
    assert_true(run_all(ENGINE_SPECULATION_LOOKUP, NULL, 1, 1).drafted_tokens > 0);
    assert_true(run_all(ENGINE_SPECULATION_LOOKUP, NULL, 2, 1).drafted_tokens > 0);
    run_all(ENGINE_SPECULATION_LOOKUP, NULL, 2, 4);
    foretells = true;
    assert_true(run_all(ENGINE_SPECULATION_OFF, NULL, 2, 1).accepted_tokens > 0);
    run_all(ENGINE_SPECULATION_LOOKUP, NULL, 1, 4);
    run_all(ENGINE_SPECULATION_DRAFT, &stranger, 2, 4);
    foretells = false;
    // A draft model that is the model itself is always right.
    struct engine_stats s = run_all(ENGINE_SPECULATION_DRAFT, &image, 2, 1);
    assert_true(s.drafted_tokens > 0);
    assert_int_equal(s.accepted_tokens, s.drafted_tokens);
    assert_true(run_all(ENGINE_SPECULATION_DRAFT, &stranger, 1, 1).drafted_tokens > 0);
    run_all(ENGINE_SPECULATION_DRAFT, &stranger, 2, 4);
    for (size_t i = 0; i < REQUESTS; i++) {
        client_free(reference[i]);
        reference[i] = NULL;
    }
}

static void test_gpt2(void **state)
{
    (void)state;
    check_model("gpt2", TENSOR_F32);
}

static void test_llama(void **state)
{
    (void)state;
    check_model("llama", TENSOR_Q8_0);
}

static void test_qwen3(void **state)
{
    (void)state;
    check_model("qwen3", TENSOR_BF16);
}

static int done(void **state)
{
    (void)state;
    buf_done(&image);
    buf_done(&stranger);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_qwen3),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
