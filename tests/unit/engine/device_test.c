// An engine on a GPU gives the recorded answers: requests of every kind at once, with shared
// prefixes and chunks of prompts beside running streams, on the machine of tests/ptx.
// REQ: ENG-12 ENG-6
// ctest: long
#include "support/digests.h"
#include "support/engine_answers.h"
#include "support/ptx_driver.h"
#include "support/unit.h"

static void answers_on_a_gpu_have_the_recorded_digests(void **state)
{
    (void)state;
    struct buf lines;
    buf_init(&lines, 64u << 10);
    engine_answers(NULL, "cuda", &lines);
    assert_true(digests_are_recorded(ENGINE_ANSWERS_FILE, "the GPU's code", &lines));
    buf_done(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_on_a_gpu_have_the_recorded_digests),
    };
    ptx_driver_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
