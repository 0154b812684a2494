// All machines give the same answers: tokens, log-probabilities, embeddings and texts of requests
// of every kind, sampled ones too, through every backend of this machine, have the digests that are
// recorded in tests/data. `make test` runs this on x86 and, under an emulator, as a program for
// 64-bit Arm (neon/engine/digest_test); device_test.c holds the GPU's code to them.
// REQ: ENG-4 ENG-6 ENG-7
#include "engine/kernel/kernel.h"
#include "support/digests.h"
#include "support/engine_answers.h"
#include "support/unit.h"

static void answers_have_the_recorded_digests(void **state)
{
    (void)state;
    for (size_t k = 0; kernel_at(k); k++) {
        const char *isa = kernel_at(k)->name;
        struct buf lines;
        buf_init(&lines, 64u << 10);
        engine_answers(isa, NULL, &lines);
        assert_true(digests_are_recorded(ENGINE_ANSWERS_FILE, isa, &lines));
        print_message("%s: the recorded answers\n", isa);
        buf_done(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_have_the_recorded_digests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
