#include "support/made_digests.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "support/digests.h"
#include "support/made_model.h"

#define LENGTH 37 // positions looked at

static const char *const ARCHES[] = {"gpt2", "llama", "qwen2", "qwen3"};
static const enum tensor_type TYPES[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                         TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                         TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};

static void add_logits(const struct made_file *f, const char *isa, const struct model_options *o,
                       const char *what, struct buf *lines)
{
    struct made_model m;
    struct model_row rows[LENGTH];
    made_model_init(&m, f, isa, 1, 1, o);
    float *logits = mem_array(LENGTH, m.n_vocab * sizeof *logits);
    for (size_t i = 0; i < LENGTH; i++)
        rows[i] = made_row(&m, 0, 0, i, logits + i * m.n_vocab);
    if (model_forward(m.model, m.pool, rows, LENGTH, NULL) != ERR_OK) {
        fprintf(stderr, "made_digests: %s cannot be computed\n", what);
        abort();
    }
    digests_add(lines, what, str_slice((const char *)logits, LENGTH * m.n_vocab * sizeof *logits));
    mem_free(logits);
    made_model_done(&m);
}

static void add_file(const char *arch, enum tensor_type type, const char *isa,
                     const struct model_options *o, struct buf *lines)
{
    struct made_file f;
    char what[64];
    snprintf(what, sizeof what, "%s %s", arch, tensor_type_name(type));
    made_file_init(&f, arch, type, true);
    add_logits(&f, isa, o, what, lines);
    made_file_done(&f);
}

void made_digests(const char *isa, const struct model_options *o, struct buf *lines)
{
    for (size_t a = 0; a < ARRAY_LEN(ARCHES); a++)
        for (size_t t = 0; t < ARRAY_LEN(TYPES); t++)
            add_file(ARCHES[a], TYPES[t], isa, o, lines);
}

void made_kv_digests(const char *isa, struct buf *lines)
{
    const struct model_options o = {.kv_type = "q8_0"};
    for (size_t a = 0; a < ARRAY_LEN(ARCHES); a++) {
        add_file(ARCHES[a], TENSOR_F32, isa, &o, lines);
        add_file(ARCHES[a], TENSOR_Q8_0, isa, &o, lines);
    }
}
