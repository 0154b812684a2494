// The command line of the trainer.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { PACKS_MAX = 64, THREADS_MAX = 64 };

struct options {
    const char *data, *heldout, *out, *from, *schedule, *record;
    size_t ctx, width, layers, heads, packs, pack_tokens, threads, amx, resume;
    uint64_t seed, steps, warmup, decay, report, save;
    double rate, rate_end, weight_decay, user_weight, wall_s;
};

// Fills in the defaults, then what was given. 0 after having printed the usage.
int options_parse(struct options *o, int argc, char **argv);
