// What model_save will write: the tensors with their types and places. Shared inside this room.
#pragma once

#include "engine/format/gguf_writer.h"
#include "engine/format/model_save.h"

struct plan_tensor {
    const struct tensor *from; // NULL: `values` are the data, one row of f32
    const float *values;
    enum tensor_type type;
    uint64_t dims[4], bytes;
};

struct plan {
    struct plan_tensor *tensors; // mem_free
    size_t n;
};

enum err plan_init(const struct model_file *f, const struct model_save_options *o, struct plan *ret,
                   struct model_save_report *report, struct diag *d) MUST_USE;
void plan_done(struct plan *p);
// The metadata of a file in which most matrices are of `type`.
enum err plan_keys(const struct model_file *f, enum tensor_type type, struct gguf_writer *w,
                   struct diag *d) MUST_USE;
