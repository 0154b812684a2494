// Models on a real GPU: the recorded bits. Without a GPU this is skipped by name, and device_test.c
// shows what can be shown.
// REQ: ENG-12 ENG-6
#include "support/digests.h"
#include "support/made_digests.h"
#include "support/ptx_driver.h"
#include "support/unit.h"

static void logits_on_the_gpu_have_the_recorded_digests(void **state)
{
    (void)state;
    const struct model_options o = {.device = "cuda", .device_check = true};
    struct buf lines;
    buf_init(&lines, 64u << 10);
    made_digests(NULL, &o, &lines);
    assert_true(digests_are_recorded(MADE_DIGESTS_FILE, "the GPU", &lines));
    buf_done(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_on_the_gpu_have_the_recorded_digests),
    };
    gpu_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
