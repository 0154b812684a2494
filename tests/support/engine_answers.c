#include "support/engine_answers.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/digests.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/request_mix.h"

enum { THREADS = 2, TOGETHER = 16, TIMEOUT_MS = 100000 };

static void must(bool good, const char *what, const char *why)
{
    if (good)
        return;
    fprintf(stderr, "engine_answers: %s: %s\n", what, why);
    abort();
}

static void add_answers(struct engine_model *m, const char *what, struct buf *lines)
{
    static int32_t ids[TOGETHER][REQUEST_MIX_PROMPT_MAX];
    uint32_t n_vocab = engine_model_info(m)->n_vocab;
    struct client_job *jobs[TOGETHER];
    struct buf bytes;
    buf_init(&bytes, 16u << 20);
    for (uint32_t i = 0; i < TOGETHER; i++)
        jobs[i] = client_start(m, request_mix(i, n_vocab, ids[i]));
    must(client_wait_all(jobs, TOGETHER, TIMEOUT_MS), what, "no answer in time");
    for (uint32_t i = 0; i < TOGETHER; i++) {
        must(jobs[i]->finish != ENGINE_FINISH_ERROR, what, jobs[i]->error.text);
        client_bytes(jobs[i], &bytes);
        client_free(jobs[i]);
    }
    digests_add(lines, what, buf_str(&bytes));
    buf_done(&bytes);
}

static void answer(const struct engine_options *o, const char *arch, enum tensor_type type,
                   const char *what, struct buf *lines)
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
    const struct engine_model_options mo = {.name = "m", .image = buf_str(&image)};
    must(engine_new(o, &e, &d) == ERR_OK && engine_model_load(e, &mo, &m, &d) == ERR_OK, what,
         d.text);
    add_answers(m, what, lines);
    engine_free(e);
    buf_done(&image);
}

void engine_answers(const char *isa, const char *device, struct buf *lines)
{
    struct engine_options o = client_options();
    o.isa = isa;
    o.device = device;
    o.threads = THREADS;
    o.sequences_max = TOGETHER;
    answer(&o, "gpt2", TENSOR_F32, "gpt2 F32", lines);
    answer(&o, "gpt2", TENSOR_Q8_0, "gpt2 Q8_0", lines);
    answer(&o, "llama", TENSOR_F16, "llama F16", lines);
    answer(&o, "llama", TENSOR_Q4_0, "llama Q4_0", lines);
    answer(&o, "qwen3", TENSOR_BF16, "qwen3 BF16", lines);
}
