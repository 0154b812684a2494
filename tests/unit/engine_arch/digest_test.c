// All machines compute the same bits: logits of every architecture and weight type, through every
// backend of this machine, have the digests that are recorded in tests/data. `make test` runs this
// on x86 and, under an emulator, as a program for 64-bit Arm (neon/engine_arch/digest_test).
// REQ: ENG-2 ENG-4 ENG-6
#include <stdio.h>

#include "base/mem.h"
#include "engine/kernel/kernel.h"
#include "support/digests.h"
#include "support/made_model.h"
#include "support/unit.h"

#define LENGTH 37 // positions looked at

static const char *const ARCHES[] = {"gpt2", "llama", "qwen2", "qwen3"};
static const enum tensor_type TYPES[] = {TENSOR_F32,  TENSOR_F16,  TENSOR_BF16,
                                         TENSOR_Q8_0, TENSOR_Q4_0, TENSOR_Q4_1,
                                         TENSOR_Q4_K, TENSOR_Q5_K, TENSOR_Q6_K};

static void add_logits(const struct made_file *f, const char *isa, const char *what,
                       struct buf *lines)
{
    struct made_model m;
    struct model_row rows[LENGTH];
    made_model_init(&m, f, isa, 1, 1, NULL);
    float *logits = mem_array(LENGTH, m.n_vocab * sizeof *logits);
    for (size_t i = 0; i < LENGTH; i++)
        rows[i] = made_row(&m, 0, 0, i, logits + i * m.n_vocab);
    assert_int_equal(model_forward(m.model, m.pool, rows, LENGTH, NULL), ERR_OK);
    digests_add(lines, what, str_slice((const char *)logits, LENGTH * m.n_vocab * sizeof *logits));
    mem_free(logits);
    made_model_done(&m);
}

static void compute(const char *isa, struct buf *lines)
{
    for (size_t a = 0; a < ARRAY_LEN(ARCHES); a++)
        for (size_t t = 0; t < ARRAY_LEN(TYPES); t++) {
            struct made_file f;
            char what[64];
            snprintf(what, sizeof what, "%s %s", ARCHES[a], tensor_type_name(TYPES[t]));
            made_file_init(&f, ARCHES[a], TYPES[t], true);
            add_logits(&f, isa, what, lines);
            made_file_done(&f);
        }
}

static void logits_have_the_recorded_digests(void **state)
{
    (void)state;
    for (size_t k = 0; kernel_at(k); k++) {
        struct buf lines;
        buf_init(&lines, 64u << 10);
        compute(kernel_at(k)->name, &lines);
        assert_true(digests_are_recorded("engine_digests.txt", kernel_at(k)->name, &lines));
        print_message("%s: the recorded bits\n", kernel_at(k)->name);
        buf_done(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_have_the_recorded_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
