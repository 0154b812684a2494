// REQ: API-9 OBS-3
// The registry: threads count without losing anything, label values stay bounded, collectors and
// mirrors show what others count.
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/thread.h"
#include "support/unit.h"
#include "telemetry/exposition.h"

static const char *const results[] = {"ok", "bad", NULL};
static const double edges[] = {1, 2, 4};

enum { REQUESTS, INFLIGHT, LATENCY, PLAIN, ROWS };

static const struct metric table[] = {
    [REQUESTS] = {.name = "t_requests_total",
                  .type = METRIC_COUNTER,
                  .help = "Requests.",
                  .labels = {{.name = "model"}, {.name = "result", .values = results}}},
    [INFLIGHT] = {.name = "t_inflight",
                  .type = METRIC_GAUGE,
                  .help = "In flight.",
                  .labels = {{.name = "model"}}},
    [LATENCY] = {.name = "t_latency_seconds",
                 .type = METRIC_HISTOGRAM,
                 .unit = "seconds",
                 .help = "Latency.",
                 .labels = {{.name = "model"}},
                 .buckets = edges,
                 .buckets_len = ARRAY_LEN(edges)},
    [PLAIN] = {.name = "t_plain_total", .type = METRIC_COUNTER, .help = "No labels."},
    [ROWS] = {0},
};

static struct buf page;

// The registry as text; valid until the next call.
static const char *scrape(struct metrics *m)
{
    buf_done(&page);
    buf_init(&page, 1 << 20);
    assert_int_equal(exposition_write(m, EXPOSITION_TEXT, &page), ERR_OK);
    return buf_cstr(&page);
}

static void expect(struct metrics *m, const char *line)
{
    char whole[300];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (!strstr(scrape(m), whole))
        fail_msg("no line '%s' in:\n%s", line, buf_cstr(&page));
}

static int clean(void **state)
{
    (void)state;
    buf_done(&page);
    return 0;
}

static void known_series_are_zero_from_the_start(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *s = metrics_shard(m);
    expect(m, "t_plain_total 0");
    assert_null(strstr(scrape(m), "t_requests_total"));
    metrics_add(metrics_series(s, REQUESTS, METRICS_VALUES(STR("m"), STR("ok"))), 2);
    expect(m, "t_requests_total{model=\"m\",result=\"ok\"} 2");
    expect(m, "t_requests_total{model=\"m\",result=\"bad\"} 0");
    assert_int_equal(metrics_series_count(m), 3);
    metrics_free(m);
}

static void the_same_labels_are_the_same_series(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *s = metrics_shard(m);
    struct metrics_series *a = metrics_series(s, INFLIGHT, METRICS_VALUES(STR("a")));
    assert_ptr_equal(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("a"))), a);
    assert_ptr_not_equal(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("b"))), a);
    // Values that run together are still apart.
    struct metrics_series *x = metrics_series(s, REQUESTS, METRICS_VALUES(STR("ok"), STR("ok")));
    struct metrics_series *y = metrics_series(s, REQUESTS, METRICS_VALUES(STR("o"), STR("ok")));
    assert_ptr_not_equal(x, y);
    metrics_free(m);
}

static void a_histogram_counts_up_to_each_edge(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *s = metrics_shard(m);
    struct metrics_series *h = metrics_series(s, LATENCY, METRICS_VALUES(STR("m")));
    const double values[] = {0, 1, 1.0001, 2, 3.5, 4, 4.5, 1000};
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        metrics_observe(h, values[i]);
    expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"1\"} 2");
    expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"2\"} 4");
    expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"4\"} 6");
    expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"+Inf\"} 8");
    expect(m, "t_latency_seconds_sum{model=\"m\"} 1016.0001");
    expect(m, "t_latency_seconds_count{model=\"m\"} 8");
    metrics_free(m);
}

static void a_gauge_is_the_sum_of_its_shards(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *one = metrics_shard(m), *two = metrics_shard(m);
    metrics_add(metrics_series(one, INFLIGHT, METRICS_VALUES(STR("m"))), 5);
    metrics_add(metrics_series(two, INFLIGHT, METRICS_VALUES(STR("m"))), -2);
    expect(m, "t_inflight{model=\"m\"} 3");
    metrics_set(metrics_series(one, INFLIGHT, METRICS_VALUES(STR("m"))), 10.5);
    expect(m, "t_inflight{model=\"m\"} 8.5");
    metrics_free(m);
}

static void past_the_limit_series_are_dropped_and_counted(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 5);
    struct metrics_shard *s = metrics_shard(m);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        metrics_add(metrics_series(s, INFLIGHT, METRICS_VALUES(str_of(name))), 1);
        metrics_observe(metrics_series(s, LATENCY, METRICS_VALUES(str_of(name))), 1);
    }
    assert_int_equal(metrics_series_count(m), 5);
    assert_int_equal(metrics_series_dropped(m),
                     16); // 20 were wanted, 4 fitted beside the plain one
    expect(m, "t_inflight{model=\"m1\"} 1");
    assert_null(strstr(scrape(m), "m2"));
    metrics_add(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("m1"))), 1); // known ones go on
    expect(m, "t_inflight{model=\"m1\"} 2");
    metrics_free(m);
}

static void odd_label_values_cannot_break_the_page(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *s = metrics_shard(m);
    char longest[METRICS_VALUE_MAX + 1];
    memset(longest, 'x', sizeof longest);
    metrics_set(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("a\"b\\c\nd"))), 1);
    metrics_set(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("\xff"))), 2);
    metrics_set(metrics_series(s, INFLIGHT, METRICS_VALUES(str_slice(longest, sizeof longest))), 3);
    metrics_set(metrics_series(s, INFLIGHT, METRICS_VALUES(STR(""))), 4);
    expect(m, "t_inflight{model=\"a\\\"b\\\\c\\nd\"} 1");
    expect(m, "t_inflight{model=\"invalid\"} 3"); // both bad ones are one series
    expect(m, "t_inflight{model=\"\"} 4");
    metrics_free(m);
}

static void mirror_shows_a_histogram_in_other_units(void **state)
{
    (void)state;
    static struct histogram h;
    histogram_init(&h);
    for (uint64_t us = 500000; us <= 5000000; us += 500000)
        histogram_add(&h, us);
    struct metrics *m = metrics_new(table, 100);
    struct metrics_shard *s = metrics_shard(m);
    struct metrics_series *series = metrics_series(s, LATENCY, METRICS_VALUES(STR("m")));
    for (int twice = 0; twice < 2; twice++) { // it replaces, it does not add
        metrics_mirror(series, &h, 1e-6);
        expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"1\"} 2");
        expect(m, "t_latency_seconds_bucket{model=\"m\",le=\"4\"} 8");
        expect(m, "t_latency_seconds_count{model=\"m\"} 10");
        expect(m, "t_latency_seconds_sum{model=\"m\"} 27.5");
    }
    metrics_free(m);
}

static void collect_answer(void *ctx, struct metrics_shard *s)
{
    metrics_set(metrics_series(s, PLAIN, NULL), ++*(double *)ctx);
}

static void collectors_run_at_each_scrape(void **state)
{
    (void)state;
    double calls = 41;
    struct metrics *m = metrics_new(table, 100);
    metrics_collector(m, collect_answer, &calls);
    expect(m, "t_plain_total 42");
    expect(m, "t_plain_total 43");
    metrics_free(m);
}

enum { THREADS = 4, TURNS = 20000 };

static void count_much(void *arg)
{
    struct metrics_shard *s = metrics_shard(arg);
    for (int i = 0; i < TURNS; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i % 7);
        str model = str_of(name);
        metrics_add(metrics_series(s, REQUESTS, METRICS_VALUES(model, STR("ok"))), 1);
        metrics_observe(metrics_series(s, LATENCY, METRICS_VALUES(model)), i % 5);
        metrics_add(metrics_series(s, INFLIGHT, METRICS_VALUES(STR("m"))), i % 2 ? -1 : 1);
    }
}

static _Atomic bool scraping;

static void scrape_much(void *arg)
{
    while (atomic_load(&scraping)) {
        struct buf out;
        buf_init(&out, 1 << 20);
        enum err e = exposition_write(arg, EXPOSITION_OPENMETRICS, &out);
        if (e != ERR_OK || !str_ends(buf_str(&out), STR("# EOF\n")))
            atomic_store(&scraping, false);
        buf_done(&out);
    }
}

static void threads_lose_nothing_while_two_scrape(void **state)
{
    (void)state;
    struct metrics *m = metrics_new(table, 100);
    double calls = 0;
    metrics_collector(m, collect_answer, &calls);
    struct thread threads[THREADS], scrapers[2];
    atomic_store(&scraping, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(thread_start(&scrapers[i], "scrape", scrape_much, m, NULL), ERR_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "count", count_much, m, NULL), ERR_OK);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_true(atomic_load(&scraping)); // no scraper met anything odd
    atomic_store(&scraping, false);
    for (int i = 0; i < 2; i++)
        thread_join(&scrapers[i]);
    for (int i = 0; i < 7; i++) {
        char line[100];
        int turns = TURNS / 7 + (i < TURNS % 7);
        snprintf(line, sizeof line, "t_requests_total{model=\"m%d\",result=\"ok\"} %d", i,
                 turns * THREADS);
        expect(m, line);
        snprintf(line, sizeof line, "t_latency_seconds_count{model=\"m%d\"} %d", i,
                 turns * THREADS);
        expect(m, line);
    }
    expect(m, "t_inflight{model=\"m\"} 0");
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_series_are_zero_from_the_start),
        cmocka_unit_test(the_same_labels_are_the_same_series),
        cmocka_unit_test(a_histogram_counts_up_to_each_edge),
        cmocka_unit_test(a_gauge_is_the_sum_of_its_shards),
        cmocka_unit_test(past_the_limit_series_are_dropped_and_counted),
        cmocka_unit_test(odd_label_values_cannot_break_the_page),
        cmocka_unit_test(mirror_shows_a_histogram_in_other_units),
        cmocka_unit_test(collectors_run_at_each_scrape),
        cmocka_unit_test(threads_lose_nothing_while_two_scrape),
    };
    return cmocka_run_group_tests(tests, NULL, clean);
}
