// REQ: PROV-6 SEC-4
#include "gateway/provider_load.h"
#include "support/unit.h"

static void is_read(const char *page, double running, double waiting)
{
    struct provider_load l = {-1, -1};
    if (!provider_load_read(str_of(page), &l))
        fail_msg("nothing was read of: %s", page);
    assert_true(l.running == running && l.waiting == waiting);
}

static void the_names_of_each_server_are_known(void **state)
{
    (void)state;
    is_read(
        "# HELP num_requests_running x\n# TYPE num_requests_running gauge\n"
        "num_requests_running{model_name=\"m\"} 3.0\nnum_requests_waiting{model_name=\"m\"} 2\n",
        3, 2);
    is_read("vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 4\n"
            "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 1\n",
            4, 1);
    is_read("sglang:num_running_reqs{model_name=\"m\"} 7.0\r\nsglang:num_queue_reqs 5.0\r\n", 7, 5);
    is_read("llamacpp:requests_processing 1\nllamacpp:requests_deferred 0\n", 1, 0);
}

static void series_of_several_models_are_added_up(void **state)
{
    (void)state;
    is_read(
        "num_requests_running{m=\"a\"} 1\nother 9\nnum_requests_running{m=\"b\"} 2 1700000000\n", 3,
        0);
}

static void labels_may_hold_anything(void **state)
{
    (void)state;
    is_read("num_requests_running{m=\"} 8 {\\\"\",n=\"\\\\\"} 6\n", 6, 0);
    is_read("num_requests_running{m=\"a\"} 1e2", 100, 0);
}

static void what_is_no_number_of_requests_counts_for_nothing(void **state)
{
    static const char *const pages[] = {
        "",
        "\n\n#\n",
        "num_requests_running",
        "num_requests_running ",
        "num_requests_running x",
        "num_requests_running NaN",
        "num_requests_running -1",
        "num_requests_running +Inf",
        "num_requests_running{m=\"a} 1",
        "num_requests_running_total 1",
        "xnum_requests_running 1",
        "# num_requests_running 1",
        "<html>num_requests_running 1</html>",
    };
    struct provider_load l;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (provider_load_read(str_of(pages[i]), &l))
            fail_msg("read: %s", pages[i]);
    is_read("num_requests_running 1e300\n", 1e6, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_names_of_each_server_are_known),
        cmocka_unit_test(series_of_several_models_are_added_up),
        cmocka_unit_test(labels_may_hold_anything),
        cmocka_unit_test(what_is_no_number_of_requests_counts_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
