// REQ: ROUTE-8 API-11
// Calls over a route with a shadow, and one with a canary, in virtual time: what the client sees,
// what the shadow's target saw, how the comparison ends.
#include <stdio.h>

#include "base/log.h"
#include "gateway/gateway_internal.h"
#include "gateway/shadow.h"
#include "support/scripted.h"
#include "support/scripted_client.h"
#include "support/unit.h"
#include "telemetry/exposition.h"

enum { TARGETS = 3, COPY = 2, TIMEOUT_MS = 5000 };
static const char *const names[TARGETS] = {"a", "b", "copy"};
static const char *const same[] = {"He", "llo", NULL}, *const cut_otherwise[] = {"Hell", "o", NULL},
                         *const other[] = {"Bye", NULL};
static const struct call_kind chat = {.endpoint = "chat", .dialect = &dialect_openai_chat};

static struct {
    struct scripted s[TARGETS]; // the first one's world is everyone's
    struct gateway g;
    struct gateway_shared shared;
    struct gateway_config config;
    struct gateway_route route;
    struct gateway_target targets[2];
    struct arena arena;
    struct scripted_client client;
    struct buf page;
    char sent[20000];
} b;

// --- The bench: a route "r" over a and b, with a shadow on copy

static void set_up(void)
{
    memset(&b, 0, sizeof b);
    arena_init(&b.arena, 1 << 20);
    assert_int_equal(option_defaults(gateway_config_table, &b.config, &b.arena, NULL), ERR_OK);
    static str all[] = {STR("error"), STR("timeout")};
    for (size_t i = 0; i < ARRAY_LEN(b.targets); i++)
        b.targets[i] = (struct gateway_target){str_of(names[i]), 1};
    b.route = (struct gateway_route){.name = STR("r"),
                                     .targets = {b.targets, ARRAY_LEN(b.targets)},
                                     .fallback_on = {all, ARRAY_LEN(all)},
                                     .policy = b.config.routing.policy,
                                     .shadow = {.target = STR("copy"),
                                                .percent = 100,
                                                .in_flight_max = 2,
                                                .timeout_ms = TIMEOUT_MS,
                                                .body_bytes_max = 16384}};
    b.config.routes = (struct option_items){&b.route, 1};
    for (size_t i = 0; i < TARGETS; i++) {
        b.s[i].texts = same;
        b.s[i].free_running = true;
        b.s[i].remote = true;
    }
    scripted_client_init(&b.client);
    buf_init(&b.page, 1 << 20);
}

static void open_gateway(void)
{
    struct diag d = {0};
    assert_int_equal(model_routes_check(&b.config, &d), ERR_OK);
    scripted_gateway_open(&b.g, &b.shared, &b.config, b.s, names, TARGETS);
}

static void tear_down(void)
{
    assert_int_equal(b.g.calls_len, 0);
    assert_null(b.g.shadows);
    for (size_t i = 0; i < TARGETS; i++) {
        assert_int_equal(b.s[i].started, b.s[i].stopped);
        assert_int_equal(targets_at(&b.g.targets, i)->running, 0);
    }
    scripted_gateway_close(&b.g);
    scripted_client_done(&b.client);
    buf_done(&b.page);
    arena_done(&b.arena);
}

static void ask_as(bool stream, const char *user, int filler)
{
    snprintf(b.sent, sizeof b.sent,
             "{\"model\":\"r\",\"messages\":[{\"role\":\"user\",\"content\":\"hi%*s\"}],"
             "\"stream\":%s%s%s%s}",
             filler, "", stream ? "true" : "false", user ? ",\"user\":\"" : "", user ? user : "",
             user ? "\"" : "");
    scripted_client_ask(&b.client, &b.g, &chat, str_of(b.sent));
}

static void ask(bool stream)
{
    ask_as(stream, NULL, 0);
}

static bool says(const char *text)
{
    return strstr(buf_cstr(&b.client.body), text) != NULL;
}

// How many copies have ended so.
static int ended(const char *outcome)
{
    char name[120];
    buf_clear(&b.page);
    assert_int_equal(exposition_write(b.g.account.registry, EXPOSITION_TEXT, &b.page), ERR_OK);
    snprintf(name, sizeof name, "weir_shadow_requests_total{route=\"r\",outcome=\"%s\"} ", outcome);
    const char *at = strstr(buf_cstr(&b.page), name);
    return at ? (int)(at[strlen(name)] - '0') : 0;
}

// --- The shadow

static void the_copy_begins_after_the_original_and_changes_nothing(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        set_up();
        b.s[COPY].free_running = false; // it hangs
        open_gateway();
        ask(stream);
        assert_int_equal(b.client.status, 200);
        assert_true(scripted_client_over(&b.client));
        assert_int_equal(b.s[COPY].started, 0);
        scripted_wait(&b.s[0], 1);
        assert_int_equal(b.s[COPY].started, 1);
        scripted_release(&b.s[COPY], 99);
        assert_int_equal(ended("same"), 1);
        tear_down();
    }
}

static void answers_are_compared_however_they_are_cut(void **state)
{
    static const struct {
        const char *const *texts;
        const char *outcome;
    } cases[] = {{same, "same"}, {cut_otherwise, "same"}, {other, "different"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set_up();
        b.s[COPY].texts = cases[i].texts;
        open_gateway();
        ask(true);
        scripted_wait(&b.s[0], 1);
        assert_int_equal(ended(cases[i].outcome), 1);
        tear_down();
    }
}

static void one_that_hangs_ends_at_its_own_deadline(void **state)
{
    (void)state;
    set_up();
    b.s[COPY].free_running = false;
    open_gateway();
    ask(false);
    scripted_wait(&b.s[0], TIMEOUT_MS - 10);
    assert_int_equal(b.s[COPY].running, 1);
    scripted_wait(&b.s[0], 20);
    assert_int_equal(b.s[COPY].running, 0);
    assert_int_equal(ended("timeout"), 1);
    tear_down();
}

static void one_that_fails_is_not_tried_again_and_opens_no_breaker(void **state)
{
    (void)state;
    set_up();
    b.s[COPY].fail_start = API_UPSTREAM_DENIED; // of a client's request it would open at once
    open_gateway();
    ask(true);
    scripted_wait(&b.s[0], 60000);
    assert_int_equal(b.s[COPY].started + b.s[COPY].prepared, 1); // asked once
    assert_int_equal(ended("failed"), 1);
    assert_int_equal(breaker_state(&targets_at(&b.g.targets, COPY)->breaker, 0), BREAKER_CLOSED);
    tear_down();
}

static void no_more_than_so_many_run_at_once(void **state)
{
    (void)state;
    set_up();
    b.s[COPY].free_running = false;
    open_gateway();
    for (int i = 0; i < 5; i++)
        ask(false);
    scripted_wait(&b.s[0], 1);
    assert_int_equal(b.s[COPY].started, 2);
    assert_int_equal(ended("dropped"), 3);
    scripted_wait(&b.s[0], TIMEOUT_MS);
    ask(false);
    scripted_wait(&b.s[0], 1);
    assert_int_equal(b.s[COPY].started, 3);
    shadows_stop(&b.g);
    assert_int_equal(ended("cancelled"), 1);
    tear_down();
}

static void a_client_that_goes_ends_its_copy_begun_or_not(void **state)
{
    (void)state;
    for (uint64_t ms = 0; ms < 2; ms++) {
        set_up();
        b.s[0].free_running = b.s[COPY].free_running = false;
        open_gateway();
        ask(true);
        if (ms)
            scripted_wait(&b.s[0], ms);
        assert_int_equal(b.s[COPY].started, ms);
        call_step(b.client.call, CALL_GONE);
        assert_int_equal(b.s[COPY].running, 0);
        assert_int_equal(ended("cancelled"), 1);
        scripted_wait(&b.s[0], 60000);
        assert_int_equal(b.s[COPY].started, ms);
        tear_down();
    }
}

static void what_the_client_never_saw_is_not_compared(void **state)
{
    (void)state;
    set_up();
    b.s[0].texts = other;
    b.s[0].error_after = 2; // a word, which is thrown away
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(false);
    assert_true(says("Hello") && !says("Bye"));
    scripted_wait(&b.s[0], 1);
    assert_int_equal(ended("same"), 1);
    tear_down();
}

static void large_requests_are_read_elsewhere_or_not_copied(void **state)
{
    (void)state;
    set_up();
    open_gateway();
    ask_as(false, NULL, 10000);
    scripted_work(&b.s[0]); // reading
    scripted_work(&b.s[0]); // preparing
    assert_int_equal(b.client.status, 200);
    scripted_wait(&b.s[0], 1);
    scripted_work(&b.s[0]);
    scripted_work(&b.s[0]);
    assert_int_equal(ended("same"), 1);
    ask_as(false, NULL, 17000);
    scripted_work(&b.s[0]);
    scripted_work(&b.s[0]);
    assert_int_equal(b.client.status, 200);
    assert_int_equal(ended("dropped"), 1);
    tear_down();
}

// --- The canary

static bool goes_to_canary(const char *user)
{
    size_t before = b.s[1].started;
    ask_as(false, user, 0);
    assert_int_equal(b.client.status, 200);
    return b.s[1].started > before;
}

static void open_with_canary(double percent, int64_t by)
{
    set_up();
    b.route.shadow.target = STR("");
    b.route.canary = (struct gateway_canary){.target = STR("b"), .percent = percent, .by = by};
    open_gateway();
}

static void a_canary_gets_its_share_of_the_users_and_keeps_them(void **state)
{
    (void)state;
    open_with_canary(20, CANARY_BY_USER);
    int drawn = 0;
    for (int i = 0; i < 500; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", i);
        bool first = goes_to_canary(user);
        drawn += first;
        assert_int_equal(goes_to_canary(user), first);
    }
    assert_in_range(drawn, 60, 140);
    tear_down();
}

static uint64_t any_number(void *ctx UNUSED)
{
    static uint64_t n;
    return n++;
}

static void a_canary_by_request_gets_its_share_of_them(void **state)
{
    (void)state;
    open_with_canary(20, CANARY_BY_REQUEST);
    b.g.world.random_u64 = any_number;
    int drawn = 0;
    for (int i = 0; i < 500; i++)
        drawn += goes_to_canary("one");
    assert_in_range(drawn, 60, 140);
    tear_down();
}

static void a_canary_is_the_last_resort_of_others_and_they_are_its(void **state)
{
    (void)state;
    open_with_canary(0, CANARY_BY_USER);
    assert_false(goes_to_canary("u"));
    b.s[0].fail_start = API_UPSTREAM_UNREACHABLE;
    assert_true(goes_to_canary("u"));
    tear_down();
    open_with_canary(100, CANARY_BY_USER);
    assert_true(goes_to_canary("u"));
    b.s[1].fail_start = API_UPSTREAM_UNREACHABLE;
    ask_as(false, "u", 0);
    assert_true(b.client.status == 200 && b.s[0].started == 1);
    tear_down();
}

static void what_cannot_be_is_refused_in_words(void **state)
{
    struct diag d = {0};
    (void)state;
    set_up();
    b.route.canary.target = STR("nobody");
    assert_int_equal(model_routes_check(&b.config, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "none of its targets"));
    b.route.canary.target = STR("");
    b.route.shadow.target = STR("r");
    assert_int_equal(model_routes_check(&b.config, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "is a route itself"));
    b.route.shadow.target = STR("copy");
    open_gateway();
    tear_down();
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_begins_after_the_original_and_changes_nothing),
        cmocka_unit_test(answers_are_compared_however_they_are_cut),
        cmocka_unit_test(one_that_hangs_ends_at_its_own_deadline),
        cmocka_unit_test(one_that_fails_is_not_tried_again_and_opens_no_breaker),
        cmocka_unit_test(no_more_than_so_many_run_at_once),
        cmocka_unit_test(a_client_that_goes_ends_its_copy_begun_or_not),
        cmocka_unit_test(what_the_client_never_saw_is_not_compared),
        cmocka_unit_test(large_requests_are_read_elsewhere_or_not_copied),
        cmocka_unit_test(a_canary_gets_its_share_of_the_users_and_keeps_them),
        cmocka_unit_test(a_canary_by_request_gets_its_share_of_them),
        cmocka_unit_test(a_canary_is_the_last_resort_of_others_and_they_are_its),
        cmocka_unit_test(what_cannot_be_is_refused_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
