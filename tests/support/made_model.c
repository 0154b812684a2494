#include "support/made_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"

static void must(enum err e, const struct diag *d)
{
    if (e == ERR_OK)
        return;
    fprintf(stderr, "made_model: %s\n", d->text);
    abort();
}

void made_file_init(struct made_file *m, const char *arch, enum tensor_type type, bool tied)
{
    struct random_model shape;
    struct diag d = {0};
    random_model_tiny(arch, &shape);
    shape.type = type;
    shape.tied_head = tied;
    if (tensor_type_block(type) == 256) {
        shape.n_embd = 256;
        shape.n_ff = 512;
    }
    buf_init(&m->image, 64u << 20);
    random_model_image(&shape, &m->image);
    must(model_file_from_memory(buf_str(&m->image), &m->file, &d), &d);
}

void made_file_done(struct made_file *m)
{
    model_file_free(m->file);
    buf_done(&m->image);
}

void made_model_init(struct made_model *m, const struct made_file *f, const char *isa,
                     size_t threads, size_t sequences, const struct model_options *o)
{
    struct model_options options = o ? *o : (struct model_options){0};
    struct diag d = {0};
    options.isa = isa;
    *m = (struct made_model){.sequences = sequences};
    must(team_new(threads, &m->team, &d), &d);
    must(model_open(f->file, &options, m->team, &m->model, &d), &d);
    size_t n = sequences * MADE_BLOCKS, bytes = n * model_kv_block_bytes(m->model);
    m->pool = mem_aligned(64, bytes);
    memset(m->pool, 0xFF, bytes); // not-a-number in every unused slot
    m->blocks = mem_array(n, sizeof *m->blocks);
    for (size_t i = 0; i < n; i++)
        m->blocks[i] = (uint32_t)((i * 7 + 3) % n);
    m->n_vocab = model_hparams(m->model)->n_vocab;
}

void made_model_done(struct made_model *m)
{
    model_free(m->model);
    team_free(m->team);
    mem_free(m->pool);
    mem_free(m->blocks);
}

int32_t made_token(const struct made_model *m, size_t text, size_t position)
{
    return (int32_t)(random_counter(9, text, position) % m->n_vocab);
}

struct model_row made_row(const struct made_model *m, size_t sequence, size_t text, size_t position,
                          float *logits)
{
    return (struct model_row){.token = made_token(m, text, position),
                              .position = (uint32_t)position,
                              .blocks = m->blocks + sequence * MADE_BLOCKS,
                              .logits = logits};
}
