// A training state on disk: "WEIR", version, shape, step, place in the data, then parameters and
// both moments.
#pragma once
#include "data.h"
#include "model.h"

struct checkpoint {
    struct layout layout;
    uint64_t step;
    struct data_place place;
    float *params, *moment1, *moment2;
};

void checkpoint_save(const struct checkpoint *c, const char *path);
void checkpoint_load(struct checkpoint *c, const char *path); // exits with a message on a bad file
