// Calls under guards, in virtual time: attempts that fail, race and are gone on with elsewhere must
// neither let anything through nor lose a character, wherever the answer is cut.
// REQ: GUARD-1 GUARD-3 PROMPT-2 ROUTE-7
#include <stdio.h>

#include "base/mem.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "support/scripted.h"
#include "support/scripted_client.h"
#include "support/unit.h"

enum { TARGETS = 2 };
static const char *const names[TARGETS] = {"a", "b"};
static const struct call_kind chat = {.endpoint = "chat", .dialect = &dialect_openai_chat};

static str secret[] = {{"secret word", 11}}, mild[] = {{"darn", 4}};
static str mails[] = {{"email", 5}}, used[] = {{"s", 1}};

static struct {
    struct scripted s[TARGETS];
    struct gateway g;
    struct gateway_shared shared;
    struct gateway_config config;
    struct gateway_route route;
    struct gateway_target targets[TARGETS];
    struct guard_rule_text rules[3];
    struct gateway_guard set;
    struct arena arena;
    struct scripted_client client;
} b;

static bool over(void)
{
    return scripted_client_over(&b.client);
}

static void set_up(const char *const *texts)
{
    memset(&b, 0, sizeof b);
    arena_init(&b.arena, 1 << 20);
    assert_int_equal(option_defaults(gateway_config_table, &b.config, &b.arena, NULL), ERR_OK);
    static str all[] = {STR("error"), STR("timeout")};
    for (size_t i = 0; i < TARGETS; i++) {
        b.targets[i] = (struct gateway_target){str_of(names[i]), 1};
        b.s[i].texts = texts;
        b.s[i].free_running = b.s[i].remote = true;
    }
    b.route = (struct gateway_route){.name = STR("r"),
                                     .targets = {b.targets, TARGETS},
                                     .fallback_on = {all, ARRAY_LEN(all)},
                                     .guards = {used, 1},
                                     .policy = b.config.routing.policy};
    b.config.routes = (struct option_items){&b.route, 1};
    b.rules[0] = (struct guard_rule_text){
        .name = STR("leak"), .action = GUARD_BLOCK, .patterns = {secret, 1}};
    b.rules[1] = (struct guard_rule_text){
        .name = STR("mail"), .action = GUARD_MASK, .direction = GUARD_INPUT, .pii = {mails, 1}};
    b.rules[2] =
        (struct guard_rule_text){.name = STR("mild"), .action = GUARD_TAG, .patterns = {mild, 1}};
    b.set = (struct gateway_guard){.name = STR("s"), .rules = {b.rules, 3}};
    b.config.guards = (struct option_items){&b.set, 1};
    b.config.store.path = STR("off");
    scripted_client_init(&b.client);
}

static void open_gateway(void)
{
    struct diag d = {0};
    if (model_routes_check(&b.config, &d) != ERR_OK || guards_check(&b.config, &d) != ERR_OK)
        fail_msg("%s", d.text);
    scripted_gateway_open(&b.g, &b.shared, &b.config, b.s, names, TARGETS);
}

static void tear_down(void)
{
    assert_int_equal(b.g.calls_len, 0);
    for (size_t i = 0; i < TARGETS; i++) {
        assert_int_equal(b.s[i].running, 0);
        assert_int_equal(b.s[i].started, b.s[i].stopped);
    }
    scripted_gateway_close(&b.g);
    scan_scratch_done(&b.g.guard_scratch);
    scripted_client_done(&b.client);
    arena_done(&b.arena);
}

static void ask(const char *content, const char *more)
{
    char body[400];
    snprintf(body, sizeof body,
             "{\"model\":\"r\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}", content,
             more);
    scripted_client_ask(&b.client, &b.g, &chat, str_of(body));
}

#define STREAM ",\"stream\":true"

static bool says(const char *text)
{
    return strstr(buf_cstr(&b.client.body), text) != NULL;
}

// All pieces of content put together, choice by choice where asked.
static void text_is(const char *wanted)
{
    struct buf text;
    buf_init(&text, 1 << 16);
    const char *at = buf_cstr(&b.client.body);
    while ((at = strstr(at, "\"content\":\""))) {
        at += 11;
        for (; *at != '"'; at++)
            (void)buf_append_char(&text, *at);
    }
    assert_string_equal(buf_cstr(&text), wanted);
    buf_done(&text);
}

static const char *const clean[] = {"A ",  "sec",  "ret",   " wo", "rk, d",
                                    "arn", " <EM", "AIL_1", ">!",  NULL};
#define CLEAN_EVENTS (ARRAY_LEN(clean) - 1)
#define CLEAN_TEXT   "A secret work, darn a@b.org!"

static const char *const dirty[] = {"A ", "sec", "ret", " wo", "rd", " is out", NULL};

// The first target breaks off after so many events, and the client has seen what came before.
static void break_after(size_t events, const char *content)
{
    b.s[0].free_running = false;
    b.s[0].error_after = events;
    b.s[0].error_code = API_UPSTREAM_CUT;
    open_gateway();
    ask(content, STREAM);
    scripted_release(&b.s[0], events);
    if (!over() && b.s[0].attempt)
        scripted_release(&b.s[0], 1);
}

static void a_stream_that_breaks_goes_on_through_the_same_rules(void **state)
{
    (void)state;
    for (size_t cut = 1; cut <= CLEAN_EVENTS + 1; cut++)
        for (size_t repeats = 0; repeats < 3; repeats++)
            for (int same = 0; same < 2; same++) {
                set_up(clean);
                b.s[0].root = same ? "one" : NULL;
                b.s[1].root = same ? "one" : NULL;
                b.s[1].continues = !same;
                b.s[1].repeats = repeats;
                break_after(cut, "I am a@b.org");
                assert_true(over() && !b.client.aborted && says("[DONE]"));
                text_is(CLEAN_TEXT);
                assert_int_equal(b.s[1].started, 1);
                tear_down();
            }
}

static void a_match_across_the_break_is_still_one(void **state)
{
    (void)state;
    for (size_t cut = 2; cut < ARRAY_LEN(dirty) - 1; cut++) {
        set_up(dirty);
        b.s[1].continues = true;
        break_after(cut, "hi");
        assert_true(over() && !b.client.aborted && says("content_filter") && says("[DONE]"));
        text_is("A ");
        tear_down();
    }
}

static void a_stopped_answer_ends_and_lets_its_provider_go(void **state)
{
    (void)state;
    for (int stream = 0; stream < 2; stream++) {
        set_up(dirty);
        b.s[0].free_running = false;
        open_gateway();
        ask("hi", stream ? STREAM : "");
        scripted_release(&b.s[0], 7); // BEGIN and all texts: its own FINISH never comes
        assert_true(over() && b.client.status == 200 && says("content_filter"));
        text_is("A ");
        assert_int_equal(b.s[0].stopped, 1);
        if (!stream)
            assert_non_null(strstr(buf_cstr(&b.client.headers), "x-weir-guard: s.leak=block"));
        tear_down();
    }
}

static void what_a_failed_attempt_said_is_forgotten(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < ARRAY_LEN(dirty) - 1; cut++) {
        set_up(clean);
        b.s[0].texts = dirty;
        b.s[0].error_after = cut; // "… secret wo" of it was said, and is not what the next one says
        b.s[0].error_code = API_UPSTREAM_CUT;
        static const char *const rest[] = {"rd of honour", NULL};
        b.s[1].texts = rest;
        open_gateway();
        ask("hi", "");
        assert_true(over() && b.client.status == 200);
        text_is("rd of honour");
        assert_false(says("content_filter"));
        tear_down();
    }
}

static void the_loser_of_a_race_does_not_disturb_the_winner(void **state)
{
    (void)state;
    set_up(clean);
    b.route.policy.hedge_quantile = 0.95;
    b.s[0].free_running = b.s[1].free_running = false;
    open_gateway();
    for (int i = 0; i < 20; i++)
        target_first_output(targets_at(&b.g.targets, 0), 300, 1);
    ask("I am a@b.org", STREAM);
    scripted_release(&b.s[0], 1);
    scripted_wait(&b.s[0], 320);
    assert_int_equal(b.s[1].started, 1);
    scripted_release(&b.s[1], 3); // BEGIN, "A ", "sec": the last one is held back
    assert_int_equal(b.s[0].stopped, 1);
    text_is("A ");
    scripted_release(&b.s[1], 20);
    text_is(CLEAN_TEXT);
    assert_true(over() && says("[DONE]"));
    tear_down();
}

static void each_choice_is_a_text_of_its_own(void **state)
{
    (void)state;
    set_up(dirty);
    open_gateway();
    ask("hi", ",\"n\":3");
    assert_int_equal(b.client.status, 200);
    text_is("A A A ");
    tear_down();
    set_up(clean);
    open_gateway();
    ask("I am a@b.org", ",\"n\":2");
    text_is(CLEAN_TEXT CLEAN_TEXT);
    assert_non_null(strstr(buf_cstr(&b.client.headers), "x-weir-guard: s.mail=mask, s.mild=tag"));
    tear_down();
}

static void what_is_refused_asks_nobody(void **state)
{
    (void)state;
    set_up(clean);
    open_gateway();
    ask("the secret word", STREAM);
    assert_true(over() && b.client.status == 400 && says("guard_blocked"));
    assert_int_equal(b.s[0].prepared + b.s[1].prepared, 0);
    tear_down();
}

static void nothing_is_looked_at_where_no_rule_is_for_it(void **state)
{
    (void)state;
    set_up(dirty);
    b.set.everywhere = false;
    open_gateway();
    char body[] =
        "{\"model\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"the secret word\"}]}";
    scripted_client_ask(&b.client, &b.g, &chat, str_of(body));
    assert_true(over() && b.client.status == 200);
    text_is("A secret word is out");
    tear_down();
}

// The next one would go on from words that the client has not got.
static void what_a_mask_has_changed_is_not_gone_on_with(void **state)
{
    (void)state;
    for (size_t cut = 2; cut <= CLEAN_EVENTS + 1; cut++) {
        set_up(clean);
        b.rules[2].action = GUARD_MASK;
        b.s[1].continues = true;
        break_after(cut, "I am a@b.org");
        bool masked = cut > 7; // "darn" is whole once a blank has come
        assert_int_equal(over() && !b.client.aborted && says("[DONE]"), !masked);
        assert_int_equal(says("upstream_cut"), masked);
        if (!masked)
            text_is("A secret work, [mild] a@b.org!");
        tear_down();
    }
}

// What was left out for one target does not disturb the rescue by another.
static void a_request_that_was_cut_is_gone_on_with(void **state)
{
    (void)state;
    char turns[300];
    snprintf(turns, sizeof turns,
             "%060d\"},{\"role\":\"assistant\",\"content\":\"y\"},{\"role\":\"user\","
             "\"content\":\"I am a@b.org",
             0);
    for (size_t cut = 2; cut <= CLEAN_EVENTS + 1; cut++) {
        set_up(clean);
        b.route.policy.context_policy = CONTEXT_TRUNCATE_OLDEST;
        b.route.policy.context_max = 60;
        b.s[1].continues = true;
        break_after(cut, turns);
        assert_true(over() && !b.client.aborted && says("[DONE]"));
        text_is(CLEAN_TEXT);
        assert_non_null(strstr(buf_cstr(&b.client.headers),
                               "x-weir-context: truncate_oldest; messages=2; "
                               "tokens=61\n"));
        tear_down();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_that_breaks_goes_on_through_the_same_rules),
        cmocka_unit_test(a_match_across_the_break_is_still_one),
        cmocka_unit_test(a_stopped_answer_ends_and_lets_its_provider_go),
        cmocka_unit_test(what_a_failed_attempt_said_is_forgotten),
        cmocka_unit_test(the_loser_of_a_race_does_not_disturb_the_winner),
        cmocka_unit_test(what_a_mask_has_changed_is_not_gone_on_with),
        cmocka_unit_test(a_request_that_was_cut_is_gone_on_with),
        cmocka_unit_test(each_choice_is_a_text_of_its_own),
        cmocka_unit_test(what_is_refused_asks_nobody),
        cmocka_unit_test(nothing_is_looked_at_where_no_rule_is_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
