// The checks of `weir gpu`, and its measures, on a real GPU. Without one they are skipped by name.
// REQ: ENG-12
#include "engine/cuda/check.h"
#include "engine/cuda/measure.h"
#include "support/ptx_driver.h"
#include "support/unit.h"

static struct gpu *gpu;

static int open_gpu(void **state)
{
    (void)state;
    struct diag d = {0};
    if (gpu_open(0, &gpu, &d) != ERR_OK)
        fail_msg("%s %s", d.text, d.where);
    return 0;
}

static int close_gpu(void **state)
{
    (void)state;
    gpu_close(gpu);
    return 0;
}

static void it_computes_the_processors_bits(void **state)
{
    (void)state;
    struct gpu_check c;
    struct diag d = {0};
    if (gpu_check(gpu, &c, &d) != ERR_OK)
        fail_msg("%s", d.text);
    print_message("%s: %zu checks, %zu values, %zu different\n", gpu_info(gpu)->name, c.checks,
                  c.values, c.different);
    if (c.different)
        fail_msg("%zu values differ, by up to %g; the first in: %s", c.different, c.largest,
                 c.first_different);
}

static void its_speed_can_be_measured(void **state)
{
    (void)state;
    struct gpu_speed s;
    struct diag d = {0};
    if (gpu_measure(gpu, &s, &d) != ERR_OK)
        fail_msg("%s", d.text);
    for (enum gpu_figure f = 0; f < GPU_FIGURES; f++) {
        print_message("%s: %g\n", gpu_figure_name(f), s.figure[f]);
        assert_true(s.figure[f] > 1e9); // any GPU of this kind does far more
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_computes_the_processors_bits),
        cmocka_unit_test(its_speed_can_be_measured),
    };
    gpu_or_skip();
    return cmocka_run_group_tests(tests, open_gpu, close_gpu);
}
