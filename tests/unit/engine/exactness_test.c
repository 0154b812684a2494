// The engine's promise on real models: the same request gives the same bits alone and among 2, 8
// and 32, on 1 and 2 threads, with and without the prefix cache, in any chunks, through every
// instruction set of this machine. Models are random, made here, of each architecture.
//
// REQ: ENG-3 ENG-4 ENG-6 ENG-13
#include <string.h>

#include "base/mem.h"
#include "engine/kernel/kernel.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/request_mix.h"
#include "support/unit.h"

enum { REQUESTS = REQUEST_MIX_COUNT };

static struct buf image;
static const char *kv_type; // NULL: the usual
static int32_t prompts[REQUESTS][REQUEST_MIX_PROMPT_MAX];
static struct client_job *reference[REQUESTS];

static void make_model(const char *arch, enum tensor_type type)
{
    struct random_model shape;
    random_model_tiny(arch, &shape);
    shape.type = type;
    buf_done(&image);
    buf_init(&image, 64 << 20);
    random_model_image(&shape, &image);
}

static struct engine *open_engine(const struct engine_options *o, struct engine_model **ret)
{
    struct engine *e = NULL;
    struct diag d = {0};
    const struct engine_model_options mo = {
        .name = "m", .image = buf_str(&image), .kv_type = kv_type};
    if (engine_new(o, &e, &d) != ERR_OK || engine_model_load(e, &mo, ret, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return e;
}

static struct engine_request request(const struct engine_model *m, uint32_t i)
{
    return request_mix(i, engine_model_info(m)->n_vocab, prompts[i]);
}

static void run_all(const char *what, const struct engine_options *o, uint32_t together)
{
    struct engine_model *m;
    struct engine *e = open_engine(o, &m);
    for (uint32_t i = 0; i < REQUESTS; i += together) {
        struct client_job *c[REQUESTS];
        for (uint32_t k = 0; k < together; k++)
            c[k] = client_start(m, request(m, i + k));
        assert_true(client_wait_all(c, together, 60000));
        for (uint32_t k = 0; k < together; k++) {
            if (c[k]->finish == ENGINE_FINISH_ERROR)
                fail_msg("%s: request %u: %s", what, i + k, c[k]->error.text);
            if (!reference[i + k]) {
                reference[i + k] = c[k];
                continue;
            }
            if (!client_same(reference[i + k], c[k]))
                fail_msg("%s, %u together: request %u is not what it was alone", what, together,
                         i + k);
            client_free(c[k]);
        }
    }
    engine_free(e);
}

static struct engine_options options(const char *isa, uint32_t threads)
{
    struct engine_options o = client_options();
    o.isa = isa;
    o.threads = threads;
    o.sequences_max = REQUESTS;
    o.step_tokens_max = 256;
    return o;
}

static void forget_reference(void)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        client_free(reference[i]);
        reference[i] = NULL;
    }
}

static void check_kernel(const char *isa, uint32_t threads, bool thorough)
{
    const char *what = isa ? isa : "one thread";
    struct engine_options o = options(isa, threads);
    run_all(what, &o, 8);
    if (thorough) {
        run_all(what, &o, 1);
        run_all(what, &o, 2);
        run_all(what, &o, 32);
    }
    o.prefix_cache = false;
    o.step_tokens_max = 48; // small chunks
    run_all(what, &o, 8);
    o.prefix_cache = true;
    o.kv_bytes_max = 1 << 20; // a small memory: preemption
    run_all(what, &o, 32);
}

static void check_model(const char *arch, enum tensor_type type, bool thorough)
{
    make_model(arch, type);
    struct engine_options o = options("portable", 1);
    o.prefix_cache = false;
    run_all("portable, no cache", &o, 1);
    const struct kernel *k;
    for (size_t i = 0; (k = kernel_at(i)); i++)
        if (strcmp(k->name, "portable") != 0)
            check_kernel(k->name, 2, thorough && i == 0);
    if (thorough)
        check_kernel(NULL, 1, true);
    forget_reference();
}

static void test_gpt2(void **state)
{
    (void)state;
    check_model("gpt2", TENSOR_F32, true);
    check_model("gpt2", TENSOR_Q8_0, false);
}

static void test_llama(void **state)
{
    (void)state;
    check_model("llama", TENSOR_Q8_0, true);
    check_model("llama", TENSOR_F16, false);
    check_model("llama", TENSOR_Q4_0, false);
}

static void test_qwen(void **state)
{
    (void)state;
    check_model("qwen2", TENSOR_BF16, false);
    check_model("qwen3", TENSOR_F32, false);
}

static void test_keys_and_values_in_eight_bits(void **state)
{
    (void)state;
    kv_type = "q8_0";
    check_model("llama", TENSOR_Q8_0, false);
    check_model("gpt2", TENSOR_F32, false);
    kv_type = NULL;
}

static int done(void **state)
{
    (void)state;
    forget_reference();
    buf_done(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_llama),
        cmocka_unit_test(test_qwen),
        cmocka_unit_test(test_keys_and_values_in_eight_bits),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
