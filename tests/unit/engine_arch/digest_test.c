// All machines compute the same bits: logits of every architecture and weight type, through every
// backend of this machine, have the digests that are recorded in tests/data. `make test` runs this
// on x86 and, under an emulator, as a program for 64-bit Arm (neon/engine_arch/digest_test);
// device_test.c and gpu_test.c hold GPUs to them.
// REQ: ENG-2 ENG-4 ENG-6
#include "engine/kernel/kernel.h"
#include "support/digests.h"
#include "support/made_digests.h"
#include "support/unit.h"

static void logits_have_the_recorded_digests(void **state)
{
    (void)state;
    for (size_t k = 0; kernel_at(k); k++) {
        struct buf lines;
        buf_init(&lines, 64u << 10);
        made_digests(kernel_at(k)->name, NULL, &lines);
        assert_true(digests_are_recorded(MADE_DIGESTS_FILE, kernel_at(k)->name, &lines));
        print_message("%s: the recorded bits\n", kernel_at(k)->name);
        buf_done(&lines);
    }
}

static void eight_bits_of_k_and_v_have_theirs(void **state)
{
    (void)state;
    for (size_t k = 0; kernel_at(k); k++) {
        struct buf lines;
        buf_init(&lines, 64u << 10);
        made_kv_digests(kernel_at(k)->name, &lines);
        assert_true(digests_are_recorded(MADE_KV_DIGESTS_FILE, kernel_at(k)->name, &lines));
        buf_done(&lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_have_the_recorded_digests),
        cmocka_unit_test(eight_bits_of_k_and_v_have_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
