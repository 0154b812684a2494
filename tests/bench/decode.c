// Tokens a second through model_forward alone: no scheduler, no sampler, no sockets. Prefill of a
// prompt, then decode of B sequences side by side, each with logits.
//   bench_decode MODEL [--isa NAME] [--threads N] [--batch B,B,…] [--prompt N] [--tokens N]
//                [--clock cpu]
// --clock cpu: processor time, for one thread on a machine that others use too.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "engine/arch/model.h"
#include "engine/kernel/team.h"

struct bench {
    struct model_file *file;
    struct model *model;
    struct team *team;
    size_t prompt, tokens, batch_max;
    uint8_t *pool;
    uint32_t *blocks;
    size_t blocks_each;
    float *logits;
    struct model_row *rows;
};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void)
{
    struct timespec t;
    clock_gettime(clock_used, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void forward(struct bench *b, size_t n)
{
    size_t bad = 0;
    if (model_forward(b->model, b->pool, b->rows, n, &bad) != ERR_OK) {
        fprintf(stderr, "bench_decode: row %zu is not finite\n", bad);
        exit(1);
    }
}

static void set_row(struct bench *b, size_t row, size_t sequence, size_t position, bool logits)
{
    size_t n_vocab = model_hparams(b->model)->n_vocab;
    b->rows[row] = (struct model_row){.token = (int32_t)((sequence * 31 + position * 7) % n_vocab),
                                      .position = (uint32_t)position,
                                      .blocks = b->blocks + sequence * b->blocks_each,
                                      .logits = logits ? b->logits + sequence * n_vocab : NULL};
}

static double prefill(struct bench *b, size_t batch)
{
    double start = now();
    for (size_t s = 0; s < batch; s++) {
        for (size_t i = 0; i < b->prompt; i++)
            set_row(b, i, s, i, i + 1 == b->prompt);
        forward(b, b->prompt);
    }
    return (double)(batch * b->prompt) / (now() - start);
}

static double decode(struct bench *b, size_t batch)
{
    double start = now();
    for (size_t t = 0; t < b->tokens; t++) {
        for (size_t s = 0; s < batch; s++)
            set_row(b, s, s, b->prompt + t, true);
        forward(b, batch);
    }
    return (double)(batch * b->tokens) / (now() - start);
}

static void prepare(struct bench *b)
{
    size_t n_vocab = model_hparams(b->model)->n_vocab;
    b->blocks_each = (b->prompt + b->tokens) / KV_BLOCK_POSITIONS + 1;
    size_t blocks = b->batch_max * b->blocks_each;
    b->pool = mem_aligned(64, blocks * model_kv_block_bytes(b->model));
    b->blocks = mem_array(blocks, sizeof *b->blocks);
    for (size_t i = 0; i < blocks; i++)
        b->blocks[i] = (uint32_t)i;
    b->logits = mem_array(b->batch_max, n_vocab * sizeof *b->logits);
    b->rows = mem_array(max_size(b->prompt, b->batch_max), sizeof *b->rows);
}

int main(int argc, char **argv)
{
    struct bench b = {.prompt = 128, .tokens = 64, .batch_max = 1};
    struct model_options o = {0};
    const char *path = NULL, *batches = "1";
    size_t threads = 1;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--isa") == 0)
            o.isa = next, i++;
        else if (strcmp(argv[i], "--kv") == 0)
            o.kv_type = next, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            threads = strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--batch") == 0)
            batches = next, i++;
        else if (strcmp(argv[i], "--prompt") == 0)
            b.prompt = strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--clock") == 0)
            clock_used = strcmp(next, "cpu") == 0 ? CLOCK_PROCESS_CPUTIME_ID : clock_used, i++;
        else if (strcmp(argv[i], "--tokens") == 0)
            b.tokens = strtoul(next, NULL, 10), i++;
        else
            path = argv[i];
    }
    struct diag d = {0};
    double start = now();
    if (!path || b.prompt == 0 || b.tokens == 0 || model_file_open(path, &b.file, &d) != ERR_OK ||
        team_new(threads, &b.team, &d) != ERR_OK ||
        model_open(b.file, &o, b.team, &b.model, &d) != ERR_OK) {
        fprintf(stderr, "bench_decode: %s\n", d.text[0] ? d.text : "a model file is needed");
        return 2;
    }
    printf("%s, %s, %zu threads; opened in %.0f ms, %.1f MB of weights\n", path, model_isa(b.model),
           threads, 1e3 * (now() - start), 1e-6 * (double)model_weight_bytes(b.model));
    for (const char *p = batches; *p; p += strcspn(p, ","), p += *p == ',')
        b.batch_max = max_size(b.batch_max, strtoul(p, NULL, 10));
    prepare(&b);
    for (const char *p = batches; *p; p += strcspn(p, ","), p += *p == ',') {
        size_t batch = strtoul(p, NULL, 10);
        double fill = prefill(&b, batch), step = decode(&b, batch);
        printf("batch %3zu: prefill %8.1f tokens/s, decode %8.1f tokens/s (%.3f ms a step)\n",
               batch, fill, step, 1e3 * (double)batch / step);
    }
    model_free(b.model);
    team_free(b.team);
    model_file_free(b.file);
    mem_free(b.pool);
    mem_free(b.blocks);
    mem_free(b.logits);
    mem_free(b.rows);
    return 0;
}
