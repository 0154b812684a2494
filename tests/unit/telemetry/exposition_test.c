// REQ: API-9 OBS-3
// Both exposition formats to their rules, negotiated as Prometheus asks; weir's own table passes
// promtool's lint and holds the names that vLLM's dashboards and autoscalers read.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "support/unit.h"
#include "telemetry/exposition.h"
#include "telemetry/names.h"

// A registry in which every metric of the table has a series and a value.
static struct metrics *full_registry(void)
{
    struct metrics *m = names_registry("avx2", NAMES_SERIES_MAX_DEFAULT);
    struct metrics_shard *s = metrics_shard(m);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        str values[METRICS_LABELS_MAX];
        for (size_t k = 0; names_table[i].labels[k].name; k++)
            values[k] = names_table[i].labels[k].values ? str_of(names_table[i].labels[k].values[0])
                                                        : STR("some \"value\"");
        struct metrics_series *series = metrics_series(s, i, values);
        if (names_table[i].type == METRIC_HISTOGRAM)
            metrics_observe(series, 0.3);
        else
            metrics_add(series, 1);
    }
    return m;
}

static struct buf page_of(struct metrics *m, enum exposition_format format)
{
    struct buf out;
    buf_init(&out, 4 << 20);
    assert_int_equal(exposition_write(m, format, &out), ERR_OK);
    return out;
}

static void accept_is_read_with_its_weights(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum exposition_format format;
    } cases[] = {
        {"", EXPOSITION_TEXT},
        {"*/*", EXPOSITION_TEXT},
        {"text/plain", EXPOSITION_TEXT},
        {"text/html", EXPOSITION_TEXT},
        {"application/openmetrics-text", EXPOSITION_OPENMETRICS},
        {"Application/OpenMetrics-Text; Version=1.0.0", EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text;version=0.0.1", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=nonsense", EXPOSITION_TEXT},
        {"application/openmetrics-text;q=0.3, text/plain;q=0.7", EXPOSITION_TEXT},
        {"text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.5",
         EXPOSITION_OPENMETRICS},
        // Prometheus 2.42 and 3.
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         EXPOSITION_OPENMETRICS},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
         "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;"
         "escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,/;q=0.1",
         EXPOSITION_OPENMETRICS},
        {",;=,;;q=,application/openmetrics-text;;q", EXPOSITION_TEXT}, // no weight is 0
        {",;=,;;q=,application/openmetrics-text;;x", EXPOSITION_OPENMETRICS},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (exposition_negotiate(str_of(cases[i].accept)) != cases[i].format)
            fail_msg("%s", cases[i].accept);
    assert_string_equal(exposition_content_type(EXPOSITION_TEXT),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_string_equal(exposition_content_type(EXPOSITION_OPENMETRICS),
                        "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

static size_t number_len(str line)
{
    size_t len = 0;
    while (len < line.len && line.ptr[line.len - 1 - len] != ' ')
        len++;
    return len;
}

static double value_of(str line)
{
    double value = 0;
    if (str_to_f64(str_sub(line, line.len - number_len(line), line.len), &value) != ERR_OK)
        fail_msg("not a number: " STR_FMT, STR_ARG(line));
    return value;
}

// No line seen so far starts with that.
static void must_be_new(const struct buf *seen, str start)
{
    struct buf line;
    buf_init(&line, 10000);
    buf_printf(&line, "\n" STR_FMT, STR_ARG(start));
    if (str_find(buf_str(seen), buf_str(&line)) != SIZE_MAX)
        fail_msg("twice: " STR_FMT, STR_ARG(start));
    buf_done(&line);
}

// Families are contiguous, heads come first and once, series are unique, buckets ascend to _count.
static void check_page(const struct buf *page, bool open)
{
    struct buf seen;
    buf_init(&seen, 8 << 20);
    str rest = buf_str(page), line, family = STR_NONE;
    double last_bucket = 0;
    assert_true(str_ends(rest, STR("\n")));
    while (str_split(&rest, '\n', &line)) {
        if (str_eq(line, STR("# EOF"))) {
            assert_true(open && rest.len == 0);
            break;
        }
        if (str_starts(line, STR("# HELP "))) {
            family = str_sub(line, 7, str_find_char(str_sub(line, 7, line.len), ' '));
            must_be_new(&seen, str_sub(line, 0, 8 + family.len));
        } else if (line.ptr[0] != '#') {
            assert_true(str_starts(line, family));
            double value = value_of(line);
            bool bucket = str_find(line, STR("{le=\"")) != SIZE_MAX ||
                          str_find(line, STR(",le=\"")) != SIZE_MAX;
            assert_true(!bucket || value >= last_bucket);
            last_bucket = bucket && str_find(line, STR("+Inf")) == SIZE_MAX ? value : 0;
            must_be_new(&seen, str_sub(line, 0, line.len - number_len(line)));
        }
        buf_printf(&seen, "\n" STR_FMT, STR_ARG(line));
    }
    buf_done(&seen);
}

static void both_pages_keep_their_rules(void **state)
{
    (void)state;
    struct metrics *m = full_registry();
    struct buf text = page_of(m, EXPOSITION_TEXT);
    struct buf open = page_of(m, EXPOSITION_OPENMETRICS);
    check_page(&text, false);
    check_page(&open, true);
    assert_true(str_ends(buf_str(&open), STR("\n# EOF\n")));
    assert_true(str_find(buf_str(&text), STR("# EOF")) == SIZE_MAX);
    assert_true(str_find(buf_str(&text), STR("# TYPE weir_requests_total counter\n")) != SIZE_MAX);
    assert_true(str_find(buf_str(&open), STR("# TYPE weir_requests counter\n")) != SIZE_MAX);
    assert_true(str_find(buf_str(&open), STR("\nweir_requests_total{")) != SIZE_MAX);
    assert_true(str_find(buf_str(&open), STR("# UNIT process_cpu_seconds seconds\n")) != SIZE_MAX);
    assert_true(str_find(buf_str(&open), STR("le=\"1.0\"")) != SIZE_MAX);
    assert_true(str_find(buf_str(&text), STR("le=\"1\"")) != SIZE_MAX);
    assert_true(str_find(buf_str(&text), STR("le=\"1.0\"")) == SIZE_MAX);
    buf_done(&text);
    buf_done(&open);
    metrics_free(m);
}

static void a_page_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    struct metrics *m = full_registry();
    struct buf out;
    buf_init(&out, 1000);
    assert_int_equal(exposition_write(m, EXPOSITION_TEXT, &out), ERR_LIMIT);
    buf_done(&out);
    metrics_free(m);
}

// Only weir's own names: vLLM's break the lint's rules by their colons.
static void promtool_finds_nothing_to_say(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        print_message("skipped: promtool is missing (Debian package prometheus)\n");
        skip();
    }
    struct metrics *m = full_registry();
    struct buf text = page_of(m, EXPOSITION_TEXT);
    FILE *tool = popen("promtool check metrics 2>&1", "w");
    assert_non_null(tool);
    str rest = buf_str(&text), line;
    while (str_split(&rest, '\n', &line))
        if (str_find(line, STR("vllm:")) == SIZE_MAX)
            fprintf(tool, STR_FMT "\n", STR_ARG(line));
    int status = pclose(tool);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    buf_done(&text);
    metrics_free(m);
}

static void every_row_is_named_by_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const struct metric *m = &names_table[i];
        assert_non_null(m->name); // no number without a row
        str name = str_of(m->name);
        bool total = str_ends(name, STR("_total"));
        assert_int_equal(total, m->type == METRIC_COUNTER);
        if (m->unit) {
            str base = str_sub(name, 0, name.len - (total ? strlen("_total") : 0));
            if (!str_ends(base, str_of(m->unit)))
                fail_msg("%s does not end with its unit", m->name);
        }
        assert_true(strlen(m->help) > 5 && m->help[strlen(m->help) - 1] == '.');
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(m->name, names_table[k].name);
    }
    assert_null(names_table[METRIC_COUNT].name);
}

static void vllm_s_names_are_all_there(void **state)
{
    (void)state;
    static const char *const golden[] = {"vllm:num_requests_running{model_name=",
                                         "vllm:num_requests_waiting{model_name=",
                                         "vllm:kv_cache_usage_perc{model_name=",
                                         "vllm:cache_config_info{block_size=",
                                         "vllm:prefix_cache_queries_total{",
                                         "vllm:prefix_cache_hits_total{",
                                         "vllm:num_preemptions_total{",
                                         "vllm:prompt_tokens_total{",
                                         "vllm:generation_tokens_total{",
                                         "vllm:request_success_total{",
                                         "vllm:time_to_first_token_seconds_bucket{",
                                         "vllm:inter_token_latency_seconds_bucket{",
                                         "vllm:request_time_per_output_token_seconds_bucket{",
                                         "vllm:e2e_request_latency_seconds_bucket{",
                                         "vllm:request_queue_time_seconds_bucket{",
                                         "vllm:request_prefill_time_seconds_bucket{",
                                         "vllm:request_decode_time_seconds_bucket{",
                                         "vllm:request_inference_time_seconds_bucket{",
                                         "vllm:request_prompt_tokens_bucket{",
                                         "vllm:request_generation_tokens_bucket{",
                                         "finished_reason=\"length\"",
                                         "engine=\"some \\\"value\\\"\",le=\"2560\"}"};
    struct metrics *m = full_registry();
    struct buf text = page_of(m, EXPOSITION_TEXT);
    for (size_t i = 0; i < ARRAY_LEN(golden); i++)
        if (str_find(buf_str(&text), str_of(golden[i])) == SIZE_MAX)
            fail_msg("no %s", golden[i]);
    buf_done(&text);
    metrics_free(m);
}

static double sample(const struct buf *page, const char *name)
{
    struct buf start;
    buf_init(&start, 200);
    buf_printf(&start, "\n%s ", name);
    size_t at = str_find(buf_str(page), buf_str(&start));
    if (at == SIZE_MAX)
        fail_msg("no %s", name);
    double value = strtod(buf_ptr(page) + at + start.len, NULL);
    buf_done(&start);
    return value;
}

static void the_process_tells_about_itself(void **state)
{
    (void)state;
    struct metrics *m = names_registry("avx2", NAMES_SERIES_MAX_DEFAULT);
    struct buf page = page_of(m, EXPOSITION_TEXT);
    assert_true(sample(&page, "process_cpu_seconds_total") > 0);
    assert_true(sample(&page, "process_open_fds") >= 3);
    assert_true(sample(&page, "process_max_fds") >= sample(&page, "process_open_fds"));
#if defined(__linux__)
    assert_true(sample(&page, "process_resident_memory_bytes") > 100e3);
    assert_true(sample(&page, "process_virtual_memory_bytes") >=
                sample(&page, "process_resident_memory_bytes"));
    double now = (double)time(NULL);
    double start = sample(&page, "process_start_time_seconds");
    assert_true(start > now - 3600 && start < now + 2);
#endif
    assert_true(str_find(buf_str(&page), STR("weir_build_info{version=\"")) != SIZE_MAX);
    assert_true(str_find(buf_str(&page), STR("isa=\"avx2\"} 1\n")) != SIZE_MAX);
    assert_true(sample(&page, "weir_metrics_series") > 10);
    buf_done(&page);
    metrics_free(m);
}

static void the_reference_page_names_every_metric(void **state)
{
    (void)state;
    struct buf page;
    buf_init(&page, 1 << 20);
    assert_int_equal(exposition_markdown(names_table, &page), ERR_OK);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        char cell[120];
        snprintf(cell, sizeof cell, "| `%s` | ", names_table[i].name);
        assert_true(str_find(buf_str(&page), str_of(cell)) != SIZE_MAX);
    }
    assert_true(str_find(buf_str(&page), STR("`type` (input, output, cached_input, reasoning)")) !=
                SIZE_MAX);
    buf_done(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_is_read_with_its_weights),
        cmocka_unit_test(both_pages_keep_their_rules),
        cmocka_unit_test(a_page_that_does_not_fit_is_an_error),
        cmocka_unit_test(promtool_finds_nothing_to_say),
        cmocka_unit_test(every_row_is_named_by_the_rules),
        cmocka_unit_test(vllm_s_names_are_all_there),
        cmocka_unit_test(the_process_tells_about_itself),
        cmocka_unit_test(the_reference_page_names_every_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
