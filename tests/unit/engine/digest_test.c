// All machines give the same answers: tokens, log-probabilities, embeddings and texts of requests
// of every kind, sampled ones too, through every backend of this machine, have the digests that are
// recorded in tests/data. `make test` runs this on x86 and, under an emulator, as a program for
// 64-bit Arm (neon/engine/digest_test).
// REQ: ENG-4 ENG-6 ENG-7
#include "engine/kernel/kernel.h"
#include "support/digests.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/request_mix.h"
#include "support/unit.h"

enum { THREADS = 2, TOGETHER = 16 };

static void add_answers(struct engine_model *m, const char *what, struct buf *lines)
{
    static int32_t ids[TOGETHER][REQUEST_MIX_PROMPT_MAX];
    uint32_t n_vocab = engine_model_info(m)->n_vocab;
    struct client_job *jobs[TOGETHER];
    struct buf bytes;
    buf_init(&bytes, 16u << 20);
    for (uint32_t i = 0; i < TOGETHER; i++)
        jobs[i] = client_start(m, request_mix(i, n_vocab, ids[i]));
    assert_true(client_wait_all(jobs, TOGETHER, 60000));
    for (uint32_t i = 0; i < TOGETHER; i++) {
        if (jobs[i]->finish == ENGINE_FINISH_ERROR)
            fail_msg("%s: request %u: %s", what, i, jobs[i]->error.text);
        client_bytes(jobs[i], &bytes);
        client_free(jobs[i]);
    }
    digests_add(lines, what, buf_str(&bytes));
    buf_done(&bytes);
}

static void answer(const char *isa, const char *arch, enum tensor_type type, const char *what,
                   struct buf *lines)
{
    struct random_model shape;
    struct buf image;
    struct engine *e = NULL;
    struct engine_model *m = NULL;
    struct diag d = {0};
    random_model_tiny(arch, &shape);
    shape.type = type;
    buf_init(&image, 64u << 20);
    random_model_image(&shape, &image);
    struct engine_options o = client_options();
    o.isa = isa;
    o.threads = THREADS;
    o.sequences_max = TOGETHER;
    const struct engine_model_options mo = {.name = "m", .image = buf_str(&image)};
    if (engine_new(&o, &e, &d) != ERR_OK || engine_model_load(e, &mo, &m, &d) != ERR_OK)
        fail_msg("%s", d.text);
    add_answers(m, what, lines);
    engine_free(e);
    buf_done(&image);
}

static void answers_have_the_recorded_digests(void **state)
{
    (void)state;
    for (size_t k = 0; kernel_at(k); k++) {
        const char *isa = kernel_at(k)->name;
        struct buf lines;
        buf_init(&lines, 64u << 10);
        answer(isa, "gpt2", TENSOR_F32, "gpt2 F32", &lines);
        answer(isa, "gpt2", TENSOR_Q8_0, "gpt2 Q8_0", &lines);
        answer(isa, "llama", TENSOR_F16, "llama F16", &lines);
        answer(isa, "llama", TENSOR_Q4_0, "llama Q4_0", &lines);
        answer(isa, "qwen3", TENSOR_BF16, "qwen3 BF16", &lines);
        assert_true(digests_are_recorded("answer_digests.txt", isa, &lines));
        print_message("%s: the recorded answers\n", isa);
        buf_done(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_recorded_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
