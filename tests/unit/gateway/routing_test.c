// REQ: ROUTE-1 ROUTE-2 ROUTE-3 ROUTE-4 ROUTE-5 ROUTE-6 ROUTE-7 ROUTE-9 API-11
// Calls over routes of several scripted targets, in virtual time: what the client sees, what each
// target saw, what the ledger says.
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/gateway_internal.h"
#include "support/scripted.h"
#include "support/scripted_client.h"
#include "support/unit.h"

#ifdef __SANITIZE_THREAD__
enum { TARGETS = 3, SEEDS = 100 }; // one thread, and a checker that is twenty times slower
#else
enum { TARGETS = 3, SEEDS = 3000 };
#endif
static const char *const names[TARGETS] = {"a", "b", "c"};
static const char *const words[TARGETS][3] = {
    {"A1", "A2", NULL}, {"B1", "B2", NULL}, {"C1", "C2", NULL}};
static const struct call_kind chat = {.endpoint = "chat", .dialect = &dialect_openai_chat};

static struct {
    struct scripted s[TARGETS]; // the first one's world is everyone's
    struct gateway g;
    struct gateway_shared shared;
    struct gateway_config config;
    struct gateway_route route;
    struct gateway_target targets[TARGETS];
    struct arena arena;
    struct scripted_client client;
    struct buf ledger;
} b;

static bool over(void)
{
    return scripted_client_over(&b.client);
}

// --- The client

static void keep_ledger(struct call *c)
{
    buf_clear(&b.ledger);
    for (const struct attempt_record *a = c->record.attempts; a; a = a->next)
        (void)buf_printf(&b.ledger, "%s" STR_FMT ":%s:%s", a == c->record.attempts ? "" : " ",
                         STR_ARG(a->target), attempt_reason_name(a->reason),
                         a->failure ? failure_name(a->failure) : "-");
}

// --- The bench: a route "r" over a, b and c

static void set_up(size_t targets)
{
    memset(&b, 0, sizeof b);
    arena_init(&b.arena, 1 << 20);
    assert_int_equal(option_defaults(gateway_config_table, &b.config, &b.arena, NULL), ERR_OK);
    static str all[] = {STR("error"), STR("timeout"), STR("rate_limit"), STR("context"),
                        STR("content_policy")};
    for (size_t i = 0; i < targets; i++)
        b.targets[i] = (struct gateway_target){str_of(names[i]), 1};
    b.route = (struct gateway_route){.name = STR("r"),
                                     .targets = {b.targets, targets},
                                     .fallback_on = {all, ARRAY_LEN(all)},
                                     .policy = b.config.routing.policy};
    b.config.routes = (struct option_items){&b.route, 1};
    for (size_t i = 0; i < TARGETS; i++) {
        b.s[i].texts = words[i];
        b.s[i].free_running = true;
        b.s[i].remote = true;
    }
    scripted_client_init(&b.client);
    b.client.over = keep_ledger;
    buf_init(&b.ledger, 1 << 20);
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
    for (size_t i = 0; i < TARGETS; i++) {
        assert_int_equal(b.s[i].running, 0);
        assert_int_equal(b.s[i].started, b.s[i].stopped);
        assert_int_equal(targets_at(&b.g.targets, i)->running, 0);
    }
    scripted_gateway_close(&b.g);
    scripted_client_done(&b.client);
    buf_done(&b.ledger);
    arena_done(&b.arena);
}

static void ask(bool stream)
{
    char body[200];
    snprintf(
        body, sizeof body,
        "{\"model\":\"r\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":%s}",
        stream ? "true" : "false");
    scripted_client_ask(&b.client, &b.g, &chat, str_of(body));
}

static bool says(const char *text)
{
    return strstr(buf_cstr(&b.client.body), text) != NULL;
}

static void ledger_is(const char *wanted)
{
    assert_string_equal(buf_cstr(&b.ledger), wanted);
}

// --- Fallback and retry

static void what_fails_at_the_start_is_answered_by_the_next(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        set_up(3);
        b.s[0].fail_start = API_UPSTREAM_UNREACHABLE;
        b.s[1].fail_start = API_UPSTREAM_DENIED;
        open_gateway();
        ask(stream);
        assert_true(over() && b.client.status == 200);
        assert_true(says("C1") && says("C2") && !says("A1"));
        ledger_is("a:first:transient b:fallback:hard_down c:fallback:-");
        tear_down();
    }
}

static void what_breaks_before_it_said_anything_is_not_seen(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        set_up(2);
        b.s[0].error_after = 1; // after BEGIN
        b.s[0].error_code = API_UPSTREAM_CUT;
        open_gateway();
        ask(stream);
        assert_int_equal(b.client.status, 200);
        assert_true(says("B1") && says("B2"));
        ledger_is("a:first:truncated b:fallback:-");
        tear_down();
    }
}

static void a_whole_answer_is_tried_again_however_far_it_came(void **state)
{
    (void)state;
    set_up(2);
    b.s[0].error_after = 3;
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(false);
    assert_int_equal(b.client.status, 200);
    assert_true(says("B1B2") && !says("A1"));
    tear_down();
}

static void the_clients_own_fault_is_told_at_once(void **state)
{
    (void)state;
    set_up(3);
    b.s[0].fail_start = API_INVALID_VALUE;
    open_gateway();
    ask(true);
    assert_int_equal(b.client.status, 400);
    ledger_is("a:first:client");
    tear_down();
}

static void one_target_is_asked_again_after_a_while(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].fail_start = API_UPSTREAM_FAILED;
    b.s[0].fail_starts = 2;
    b.s[0].retry_after_ms = 1;
    open_gateway();
    ask(true);
    assert_false(over());
    scripted_wait(&b.s[0], 60000);
    assert_int_equal(b.client.status, 200);
    ledger_is("a:first:transient a:retry:transient a:retry:-");
    tear_down();
}

static void retry_after_is_waited_for(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].fail_start = API_RATE_LIMITED;
    b.s[0].fail_starts = 1;
    b.s[0].retry_after_ms = 7000;
    open_gateway();
    ask(true);
    scripted_wait(&b.s[0], 6900);
    assert_false(over());
    scripted_wait(&b.s[0], 200);
    assert_true(over());
    assert_int_equal(b.client.status, 200);
    tear_down();
}

static void attempts_are_bounded_and_the_last_error_is_told(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].fail_start = API_UPSTREAM_FAILED;
    b.s[0].retry_after_ms = 1;
    open_gateway();
    ask(false);
    scripted_wait(&b.s[0], 600000);
    assert_int_equal(b.client.status, 502);
    assert_true(says("upstream_failed"));
    ledger_is("a:first:transient a:retry:transient a:retry:transient");
    tear_down();
}

static void a_client_that_goes_during_the_wait_ends_it(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].fail_start = API_UPSTREAM_FAILED;
    open_gateway();
    ask(true);
    call_step(b.client.call, CALL_GONE);
    assert_int_equal(b.g.calls_len, 0);
    scripted_wait(&b.s[0], 60000);
    tear_down();
}

static void after_a_byte_was_shown_the_error_is_an_event(void **state)
{
    (void)state;
    set_up(2);
    b.route.policy.rescue = false;
    b.s[0].free_running = false;
    b.s[0].error_after = 2;
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(true);
    scripted_release(&b.s[0], 2);
    assert_true(says("A1"));
    scripted_release(&b.s[0], 1);
    assert_true(b.client.aborted && says("upstream_cut") && !says("[DONE]"));
    assert_false(says("\"finish_reason\":\"stop\""));
    assert_int_equal(b.s[1].started, 0);
    tear_down();
}

static void a_prompt_too_long_goes_to_a_larger_model_only(void **state)
{
    (void)state;
    set_up(3);
    b.s[0].fail_prepare = API_CONTEXT_LENGTH;
    b.s[0].context_max = 4096;
    b.s[1].context_max = 2048;
    b.s[2].context_max = 8192;
    open_gateway();
    ask(false);
    assert_int_equal(b.client.status, 200);
    ledger_is("a:first:context_too_long c:fallback:-");
    tear_down();
}

static void the_cheapest_by_the_table_of_prices_is_asked_first(void **state)
{
    (void)state;
    static struct gateway_price prices[] = {
        {.model = STR("a"), .input = STR("3"), .output = STR("15")},
        {.model = STR("b"), .input = STR("0.1"), .output = STR("0.4")},
        {.model = STR("c"), .input = STR("1"), .output = STR("5")}};
    set_up(3);
    b.config.prices = (struct option_items){prices, ARRAY_LEN(prices)};
    b.route.strategy = BALANCE_CHEAPEST;
    b.s[1].fail_start = API_UPSTREAM_FAILED;
    open_gateway();
    ask(false);
    ledger_is("b:first:transient c:fallback:-");
    tear_down();
}

// --- Breakers

static void a_target_that_keeps_failing_is_left_alone(void **state)
{
    (void)state;
    set_up(2);
    b.s[0].fail_start = API_UPSTREAM_FAILED;
    open_gateway();
    for (int i = 0; i < 20; i++) {
        ask(false);
        assert_int_equal(b.client.status, 200);
    }
    ledger_is("b:first:-");
    b.s[0].fail_start = API_OK;
    scripted_wait(&b.s[0], 17000);
    ask(false);
    ledger_is("a:probe:-");
    ask(false);
    ledger_is("a:first:-");
    tear_down();
}

static void when_none_may_be_asked_it_is_503_with_a_time(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].fail_start = API_UPSTREAM_DENIED;
    open_gateway();
    ask(false);
    assert_int_equal(b.client.status, 502);
    ask(false);
    assert_int_equal(b.client.status, 503);
    assert_true(says("no_healthy_target"));
    assert_int_equal(b.s[0].started, 0);
    tear_down();
}

// --- Time-outs

static void a_silent_target_is_left_for_another(void **state)
{
    (void)state;
    set_up(2);
    b.route.policy.first_token_timeout_ms = 2000;
    b.s[0].free_running = false;
    open_gateway();
    ask(true);
    scripted_release(&b.s[0], 1); // BEGIN is no token
    scripted_wait(&b.s[0], 1900);
    assert_false(over());
    scripted_wait(&b.s[0], 200);
    assert_int_equal(b.client.status, 200);
    ledger_is("a:first:first_token_timeout b:fallback:-");
    tear_down();
}

static void a_stream_that_falls_silent_ends_with_an_error(void **state)
{
    (void)state;
    set_up(2);
    b.route.policy.idle_timeout_ms = 3000;
    b.route.policy.rescue = false;
    b.s[0].free_running = false;
    open_gateway();
    ask(true);
    scripted_release(&b.s[0], 2);
    scripted_wait(&b.s[0], 2900);
    assert_false(over());
    scripted_wait(&b.s[0], 200);
    assert_true(b.client.aborted && says("A1") && says("upstream_timeout"));
    ledger_is("a:first:idle_timeout");
    tear_down();
}

static void the_whole_request_has_a_time(void **state)
{
    (void)state;
    set_up(1);
    b.s[0].free_running = false;
    open_gateway();
    ask(false);
    scripted_wait(&b.s[0], (uint64_t)b.config.limits.request_timeout_ms + 10);
    assert_int_equal(b.client.status, 504);
    assert_true(says("\"code\":\"timeout\""));
    tear_down();
}

static void a_silent_stream_shows_signs_of_life(void **state)
{
    (void)state;
    set_up(2);
    b.s[0].free_running = false;
    open_gateway();
    ask(true);
    scripted_wait(&b.s[0], 14900);
    assert_false(b.client.begun);
    scripted_wait(&b.s[0], 200);
    assert_string_equal(buf_cstr(&b.client.body), ": ping\n\n");
    scripted_wait(&b.s[0], 15000);
    assert_string_equal(buf_cstr(&b.client.body), ": ping\n\n: ping\n\n");
    b.s[0].error_after = 1;
    b.s[0].error_code = API_UPSTREAM_CUT;
    scripted_release(&b.s[0], 2); // even now another may answer
    assert_true(says("B1") && says("[DONE]") && !b.client.aborted);
    tear_down();
}

// --- Rescue of a stream that broke off

static const char *const letters[] = {"O", "n", "c", "e", " ", "u", "\xc3\xa9", "!", NULL};

// The text of the chunks, put together; "" also for a body of another kind.
static void chunks_text(struct buf *out)
{
    str body = buf_str(&b.client.body), line;
    while (str_split(&body, '\n', &line)) {
        struct json_doc doc;
        if (!str_starts(line, STR("data: {")))
            continue;
        assert_int_equal(json_parse(&doc, str_sub(line, 6, SIZE_MAX), JSON_LIMITS_DEFAULT, NULL),
                         ERR_OK);
        yyjson_val *choice = yyjson_arr_get_first(json_get(doc.root, "choices"));
        (void)buf_append_str(out, json_str(json_get(json_get(choice, "delta"), "content")));
        json_done(&doc);
    }
}

static void break_the_first(size_t events)
{
    b.s[0].texts = b.s[1].texts = letters;
    b.s[0].free_running = false;
    b.s[0].error_after = events;
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(true);
    scripted_release(&b.s[0], events); // the client sees this part
    if (!over() && b.s[0].attempt)
        scripted_release(&b.s[0], 1);
}

static void text_is(const char *wanted)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    chunks_text(&text);
    assert_string_equal(buf_cstr(&text), wanted);
    buf_done(&text);
}

static void a_broken_stream_goes_on_elsewhere_at_every_cut(void **state)
{
    (void)state;
    for (size_t cut = 1; cut <= ARRAY_LEN(letters); cut++)
        for (size_t repeats = 0; repeats < 3; repeats++) {
            set_up(2);
            b.s[1].continues = true;
            b.s[1].repeats = repeats;
            break_the_first(cut);
            assert_true(over() && !b.client.aborted && says("[DONE]"));
            text_is("Once u\xc3\xa9!");
            ledger_is(cut < 2 ? "a:first:truncated b:fallback:-" : "a:first:truncated b:rescue:-");
            assert_int_equal(strstr(buf_cstr(&b.client.body), "\"role\":\"assistant\"") != NULL, 1);
            tear_down();
        }
}

static void the_same_model_says_it_again_and_is_held_to_it(void **state)
{
    (void)state;
    for (size_t cut = 2; cut <= ARRAY_LEN(letters); cut++) {
        set_up(2);
        b.s[0].root = b.s[1].root = "same";
        break_the_first(cut);
        assert_true(over() && !b.client.aborted && says("[DONE]"));
        text_is("Once u\xc3\xa9!");
        tear_down();
    }
    static const char *const otherwise[] = {"On", "ly", NULL};
    set_up(2);
    b.s[0].root = b.s[1].root = "same";
    b.s[1].texts = otherwise;
    b.route.policy.attempts_max = 2;
    b.s[0].texts = letters;
    b.s[0].free_running = false;
    b.s[0].error_after = 4;
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(true);
    scripted_release(&b.s[0], 4);
    scripted_release(&b.s[0], 1);
    assert_true(over() && b.client.aborted && says("\"error\":{") && !says("[DONE]"));
    text_is("Onc");
    tear_down();
}

static void the_target_itself_may_say_it_again(void **state)
{
    (void)state;
    set_up(1);
    break_the_first(4);
    b.s[0].free_running = true;
    b.s[0].error_after = 0;
    scripted_wait(&b.s[0], 10000);
    assert_true(over() && !b.client.aborted && says("[DONE]"));
    text_is("Once u\xc3\xa9!");
    ledger_is("a:first:truncated a:rescue:-");
    tear_down();
}

// An attempt that broke off has cost something, and that may be all that the request may cost.
static void what_attempts_may_cost_is_bounded(void **state)
{
    (void)state;
    static struct gateway_price prices[] = {
        {.model = STR("*"), .input = STR("100"), .output = STR("100")}};
    static const str bounds[] = {STR("0.00000001"), STR("100")};
    for (size_t i = 0; i < ARRAY_LEN(bounds); i++) {
        set_up(2);
        b.config.prices = (struct option_items){prices, ARRAY_LEN(prices)};
        b.s[0].root = b.s[1].root = "same";
        b.route.policy.attempts_cost = bounds[i];
        break_the_first(4);
        assert_int_equal(b.s[1].started, i);
        assert_true(over() && b.client.aborted == (i == 0) && says("[DONE]") == (i == 1));
        tear_down();
    }
}

static void without_another_attempt_it_ends_with_an_error(void **state)
{
    (void)state;
    set_up(2);
    b.route.policy.attempts_max = 1;
    break_the_first(4);
    assert_true(over() && b.client.aborted && says("upstream_cut") && !says("[DONE]"));
    assert_int_equal(b.s[1].started, 0);
    text_is("Onc");
    tear_down();
}

// --- Hedges

// The first target has been quick so far.
static void hedge_after(uint64_t usual_ms)
{
    b.route.policy.hedge_quantile = 0.95;
    open_gateway();
    for (int i = 0; i < 20; i++)
        target_first_output(targets_at(&b.g.targets, 0), usual_ms, 1);
}

static void a_slow_target_is_overtaken_by_a_second(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        set_up(2);
        b.s[0].free_running = false;
        hedge_after(300);
        ask(stream);
        scripted_release(&b.s[0], 1);
        scripted_wait(&b.s[0], 290);
        assert_int_equal(b.s[1].started, 0);
        b.s[1].free_running = false;
        scripted_wait(&b.s[0], 20);
        assert_int_equal(b.s[1].started, 1);
        assert_int_equal(b.s[0].stopped, 0); // both run
        scripted_release(&b.s[1], 2);
        assert_int_equal(b.s[0].stopped, 1); // the loser, at once
        scripted_release(&b.s[1], 9);
        assert_int_equal(b.client.status, 200);
        assert_true(says("B1") && says("B2") && !says("A1"));
        ledger_is("a:first:- b:hedge:-");
        tear_down();
    }
}

static void the_first_may_still_win(void **state)
{
    (void)state;
    set_up(2);
    b.s[0].free_running = b.s[1].free_running = false;
    hedge_after(300);
    ask(true);
    scripted_wait(&b.s[0], 310);
    scripted_release(&b.s[1], 1); // BEGIN says nothing yet
    scripted_release(&b.s[0], 2);
    assert_int_equal(b.s[1].stopped, 1);
    scripted_release(&b.s[0], 9);
    assert_true(says("A1") && says("A2") && !says("B1") && says("[DONE]"));
    assert_int_equal(strstr(strstr(buf_cstr(&b.client.body), "\"role\"") + 1, "\"role\"") != NULL,
                     0);
    tear_down();
}

static void when_one_of_two_fails_the_other_goes_on(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        set_up(2);
        b.s[0].free_running = b.s[1].free_running = false;
        hedge_after(300);
        ask(true);
        scripted_wait(&b.s[0], 310);
        b.s[who].error_after = 1;
        b.s[who].error_code = API_UPSTREAM_CUT;
        scripted_release(&b.s[who], 2);
        assert_false(over());
        scripted_release(&b.s[1 - who], 9);
        assert_true(says(who ? "A1" : "B1") && says("[DONE]") && !says(who ? "B1" : "A1"));
        ledger_is(who ? "a:first:- b:hedge:truncated" : "a:first:truncated b:hedge:-");
        tear_down();
    }
}

static void a_client_that_goes_stops_both(void **state)
{
    (void)state;
    set_up(2);
    b.s[0].free_running = b.s[1].free_running = false;
    hedge_after(300);
    ask(true);
    scripted_wait(&b.s[0], 310);
    assert_int_equal(b.s[1].running, 1);
    call_step(b.client.call, CALL_GONE);
    tear_down();
}

// --- All of it, at random

static enum api_error_code random_failure(struct random *r)
{
    static const enum api_error_code codes[] = {
        API_UPSTREAM_UNREACHABLE, API_UPSTREAM_FAILED,   API_UPSTREAM_CUT,   API_RATE_LIMITED,
        API_UPSTREAM_MALFORMED,   API_UPSTREAM_DENIED,   API_CONTENT_POLICY, API_CONTEXT_LENGTH,
        API_UPSTREAM_TIMEOUT,     API_TOOLS_UNSUPPORTED,
    };
    return codes[random_next(r) % ARRAY_LEN(codes)];
}

static void script(struct scripted *s, struct random *r)
{
    s->fail_prepare = s->fail_start = API_OK;
    s->error_after = 0;
    s->fail_starts = random_next(r) % 3;
    s->retry_after_ms = (uint32_t)(1 + random_next(r) % 3000);
    switch (random_next(r) % 5) {
    case 0:
        s->fail_start = random_failure(r);
        break;
    case 1:
        s->fail_prepare = API_CONTEXT_LENGTH;
        break;
    case 2:
        s->error_after = 1 + random_next(r) % 5;
        s->error_code = random_failure(r);
        break;
    default:
        break;
    }
}

// Whatever fails: a whole answer or a clear error, in bounded time and attempts, nothing left over.
static void every_request_ends_whole_or_with_an_error(void **state)
{
    (void)state;
    struct random r;
    size_t whole = 0, refused = 0;
    log_configure(LOG_ERROR, LOG_LOGFMT);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        random_seed(&r, seed);
        set_up(1 + random_next(&r) % TARGETS);
        b.route.strategy = (int64_t)(random_next(&r) % 7);
        b.route.policy.rescue = random_next(&r) % 2;
        b.route.policy.hedge_quantile = random_next(&r) % 2 ? 0.5 : 0;
        b.config.routing.breaker.hard_down_ms = b.config.routing.breaker.open_ms = 200;
        b.route.policy.first_token_timeout_ms = random_next(&r) % 2 ? 500 : 0;
        open_gateway();
        for (int i = 0; i < 8; i++) {
            for (size_t k = 0; k < TARGETS; k++)
                script(&b.s[k], &r);
            bool stream = random_next(&r) % 2;
            uint64_t began = b.s[0].now_us;
            ask(stream);
            for (int turn = 0; turn < 700 && !over(); turn++)
                scripted_wait(&b.s[0], 100);
            if (!over())
                fail_msg("seed %llu: no answer", (unsigned long long)seed);
            assert_true(b.s[0].now_us - began <= 61u * 1000000);
            bool complete = says("\"finish_reason\":\"stop\"");
            bool error = says("\"error\":{");
            assert_true(complete != error);
            assert_true(!stream || b.client.status != 200 || says("[DONE]") == complete);
            whole += complete;
            refused += error;
        }
        tear_down();
    }
    print_message("whole %zu, refused %zu\n", whole, refused);
    assert_true(whole > refused && refused > SEEDS / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_at_the_start_is_answered_by_the_next),
        cmocka_unit_test(what_breaks_before_it_said_anything_is_not_seen),
        cmocka_unit_test(a_whole_answer_is_tried_again_however_far_it_came),
        cmocka_unit_test(the_clients_own_fault_is_told_at_once),
        cmocka_unit_test(one_target_is_asked_again_after_a_while),
        cmocka_unit_test(retry_after_is_waited_for),
        cmocka_unit_test(attempts_are_bounded_and_the_last_error_is_told),
        cmocka_unit_test(a_client_that_goes_during_the_wait_ends_it),
        cmocka_unit_test(after_a_byte_was_shown_the_error_is_an_event),
        cmocka_unit_test(a_prompt_too_long_goes_to_a_larger_model_only),
        cmocka_unit_test(the_cheapest_by_the_table_of_prices_is_asked_first),
        cmocka_unit_test(a_target_that_keeps_failing_is_left_alone),
        cmocka_unit_test(when_none_may_be_asked_it_is_503_with_a_time),
        cmocka_unit_test(a_silent_target_is_left_for_another),
        cmocka_unit_test(a_stream_that_falls_silent_ends_with_an_error),
        cmocka_unit_test(the_whole_request_has_a_time),
        cmocka_unit_test(a_silent_stream_shows_signs_of_life),
        cmocka_unit_test(a_broken_stream_goes_on_elsewhere_at_every_cut),
        cmocka_unit_test(the_same_model_says_it_again_and_is_held_to_it),
        cmocka_unit_test(the_target_itself_may_say_it_again),
        cmocka_unit_test(what_attempts_may_cost_is_bounded),
        cmocka_unit_test(without_another_attempt_it_ends_with_an_error),
        cmocka_unit_test(a_slow_target_is_overtaken_by_a_second),
        cmocka_unit_test(the_first_may_still_win),
        cmocka_unit_test(when_one_of_two_fails_the_other_goes_on),
        cmocka_unit_test(a_client_that_goes_stops_both),
        cmocka_unit_test(every_request_ends_whole_or_with_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
