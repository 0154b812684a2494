// The logits of every given token, for comparison with independent implementations:
//   oracle_logits MODEL [--isa NAME] [--kv TYPE] [--threads N] [--batch N] ID...
// One sequence from position 0; f32, row-major [ids][n_vocab], native byte order, to stdout.
// `--greedy N` instead prints the N ids that follow greedily, as text. MODEL is a file or folder as
// model_file_open takes it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/arch/model.h"
#include "engine/kernel/team.h"

struct options {
    const char *path;
    struct model_options model;
    size_t threads, batch, greedy, n_ids;
    int32_t *ids;
};

struct oracle {
    struct model_file *file;
    struct team *team;
    struct model *model;
    uint8_t *pool;
    uint32_t *blocks;
    float *logits;
    size_t n_vocab;
};

static void die(const struct diag *d)
{
    char text[1024];
    fprintf(stderr, "oracle_logits: %s\n", diag_format(d, text, sizeof text));
    exit(1);
}

static void usage(void)
{
    fprintf(stderr, "usage: oracle_logits MODEL [--isa NAME] [--kv TYPE] [--threads N] [--batch N] "
                    "[--greedy N] ID...\n");
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.threads = 1, .batch = SIZE_MAX};
    o.ids = mem_array((size_t)argc, sizeof *o.ids);
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--isa") == 0)
            o.model.isa = next, i++;
        else if (strcmp(argv[i], "--kv") == 0)
            o.model.kv_type = next, i++;
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--batch") == 0)
            o.batch = strtoul(next, NULL, 10), i++;
        else if (strcmp(argv[i], "--greedy") == 0)
            o.greedy = strtoul(next, NULL, 10), i++;
        else if (!o.path)
            o.path = argv[i];
        else
            o.ids[o.n_ids++] = (int32_t)strtol(argv[i], NULL, 10);
    }
    if (!o.path || o.n_ids == 0 || o.batch == 0)
        usage();
    return o;
}

static void open_model(struct oracle *x, const struct options *o)
{
    struct diag d = {0};
    if (model_file_open(o->path, &x->file, &d) != ERR_OK ||
        team_new(o->threads, &x->team, &d) != ERR_OK ||
        model_open(x->file, &o->model, x->team, &x->model, &d) != ERR_OK)
        die(&d);
    size_t positions = o->n_ids + o->greedy;
    size_t n_blocks = (positions + KV_BLOCK_POSITIONS - 1) / KV_BLOCK_POSITIONS;
    x->n_vocab = model_hparams(x->model)->n_vocab;
    x->pool = mem_aligned(64, n_blocks * model_kv_block_bytes(x->model));
    x->blocks = mem_array(n_blocks, sizeof *x->blocks);
    for (size_t i = 0; i < n_blocks; i++)
        x->blocks[i] = (uint32_t)i;
    x->logits = mem_array(o->n_ids, x->n_vocab * sizeof *x->logits);
}

static void forward(struct oracle *x, const int32_t *ids, size_t at, size_t n, float *logits)
{
    struct model_row *rows = mem_array(n, sizeof *rows);
    size_t bad = 0;
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct model_row){.token = ids[i],
                                     .position = (uint32_t)(at + i),
                                     .blocks = x->blocks,
                                     .logits = logits + i * x->n_vocab};
    if (model_forward(x->model, x->pool, rows, n, &bad) != ERR_OK) {
        fprintf(stderr, "oracle_logits: the token at position %zu has no finite logits\n",
                at + bad);
        exit(1);
    }
    mem_free(rows);
}

static int32_t best(const float *logits, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[top])
            top = i;
    return (int32_t)top;
}

static void greedy(struct oracle *x, const struct options *o)
{
    int32_t next = best(x->logits + (o->n_ids - 1) * x->n_vocab, x->n_vocab);
    for (size_t i = 0; i < o->greedy; i++) {
        printf("%" PRId32 "\n", next);
        forward(x, &next, o->n_ids + i, 1, x->logits);
        next = best(x->logits, x->n_vocab);
    }
}

int main(int argc, char **argv)
{
    struct options o = parse(argc, argv);
    struct oracle x = {0};
    open_model(&x, &o);
    for (size_t at = 0, n; at < o.n_ids; at += n) {
        n = min_size(o.batch, o.n_ids - at);
        forward(&x, o.ids + at, at, n, x.logits + at * x.n_vocab);
    }
    if (o.greedy)
        greedy(&x, &o);
    else
        fwrite(x.logits, sizeof *x.logits, o.n_ids * x.n_vocab, stdout);
    model_free(x.model);
    team_free(x.team);
    model_file_free(x.file);
    mem_free(x.pool);
    mem_free(x.blocks);
    mem_free(x.logits);
    mem_free(o.ids);
    return 0;
}
