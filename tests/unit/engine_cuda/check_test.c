// The GPU's kernels compute the processor's bits: on the machine of tests/ptx, which runs the very
// code that the program carries, with threads and blocks in ascending and in descending order; and
// on a device where there is one.
// REQ: ENG-12 ENG-6
#include <stdlib.h>

#include "engine/cuda/check.h"
#include "support/ptx_driver.h"
#include "support/unit.h"

static void check(void)
{
    struct gpu *g;
    struct gpu_check c;
    struct diag d = {0};
    if (gpu_open(0, &g, &d) != ERR_OK)
        fail_msg("%s %s", d.text, d.where);
    if (gpu_check(g, &c, &d) != ERR_OK)
        fail_msg("%s", d.text);
    print_message("%s: %zu checks, %zu values, %zu different\n", gpu_info(g)->name, c.checks,
                  c.values, c.different);
    gpu_close(g);
    if (c.different)
        fail_msg("%zu values differ, by up to %g; the first in: %s", c.different, c.largest,
                 c.first_different);
    assert_true(c.checks > 60 && c.values > 100000);
}

static void kernels_compute_the_processors_bits(void **state)
{
    (void)state;
    unsetenv("WEIR_PTX_BACKWARDS");
    check();
}

static void the_order_of_threads_changes_nothing(void **state)
{
    (void)state;
    setenv("WEIR_PTX_BACKWARDS", "1", 1);
    check();
    unsetenv("WEIR_PTX_BACKWARDS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_compute_the_processors_bits),
        cmocka_unit_test(the_order_of_threads_changes_nothing),
    };
    ptx_driver_or_skip();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
