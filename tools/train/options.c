#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct options defaults = {
    .ctx = 512,
    .width = 192,
    .layers = 6,
    .heads = 6,
    .packs = 8,
    .pack_tokens = 640,
    .threads = 2,
    .amx = 1,
    .seed = 1,
    .steps = 1000,
    .warmup = 200,
    .report = 50,
    .save = 500,
    .rate = 2e-3,
    .rate_end = 5e-5,
    .weight_decay = 0.05,
    .user_weight = 0.2,
};

struct option_row {
    const char *name, *help;
    const char **text;
    size_t *size;
    uint64_t *whole;
    double *real;
};

static int set_option(const struct option_row *rows, size_t count, const char *name,
                      const char *value)
{
    for (size_t i = 0; i < count; i++) {
        const struct option_row *r = &rows[i];
        if (strcmp(name, r->name))
            continue;
        if (r->text)
            *r->text = value;
        if (r->size)
            *r->size = strtoull(value, NULL, 10);
        if (r->whole)
            *r->whole = strtoull(value, NULL, 10);
        if (r->real)
            *r->real = strtod(value, NULL);
        return 1;
    }
    return 0;
}

int options_parse(struct options *o, int argc, char **argv)
{
    const struct option_row rows[] = {
        {"--data", "token file to train on (needed)", .text = &o->data},
        {"--heldout", "token file to measure on", .text = &o->heldout},
        {"--out", "checkpoint to write (needed)", .text = &o->out},
        {"--from", "checkpoint to go on from", .text = &o->from},
        {"--record", "write the rates to this file when the run ends", .text = &o->record},
        {"--schedule", "take the rates and the end of the run from this file",
         .text = &o->schedule},
        {"--resume", "1: go on from --out if it is there", .size = &o->resume},
        {"--ctx", "longest document in tokens", .size = &o->ctx},
        {"--width", "model width", .size = &o->width},
        {"--layers", "layers", .size = &o->layers},
        {"--heads", "attention heads", .size = &o->heads},
        {"--packs", "packs a step", .size = &o->packs},
        {"--pack-tokens", "tokens a pack holds", .size = &o->pack_tokens},
        {"--threads", "threads (does not change the result)", .size = &o->threads},
        {"--amx", "1: bf16 on AMX tiles where the processor has them, 0: f32 by OpenBLAS",
         .size = &o->amx},
        {"--seed", "seed of weights and order", .whole = &o->seed},
        {"--steps", "steps of this run", .whole = &o->steps},
        {"--warmup", "steps of rising rate from step 0", .whole = &o->warmup},
        {"--decay", "last steps, of falling rate", .whole = &o->decay},
        {"--report", "steps between lines", .whole = &o->report},
        {"--save", "steps between checkpoints", .whole = &o->save},
        {"--rate", "learning rate", .real = &o->rate},
        {"--rate-end", "learning rate at the end of the decay", .real = &o->rate_end},
        {"--weight-decay", "weight decay of matrices", .real = &o->weight_decay},
        {"--user-weight", "loss weight of what the user says", .real = &o->user_weight},
        {"--wall", "seconds after which the run is over (0: none)", .real = &o->wall_s},
    };
    size_t count = sizeof rows / sizeof rows[0];
    *o = defaults;
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !set_option(rows, count, argv[i], argv[i + 1]))
            goto usage;
    if (o->data && o->out && o->steps && o->report && o->save && o->packs &&
        o->packs <= PACKS_MAX && o->threads && o->threads <= THREADS_MAX && o->heads && o->layers &&
        o->width && o->width % o->heads == 0 && o->decay <= o->steps)
        return 1;
usage:
    fprintf(stderr, "usage: train --data FILE --out FILE [options]\n");
    for (size_t k = 0; k < count; k++)
        fprintf(stderr, "  %-15s %s\n", rows[k].name, rows[k].help);
    return 0;
}
