// REQ: API-1 API-10 API-11 SEC-3
// A call through its phases with a scripted provider, virtual time and no socket: whole answers,
// streams, refusals, a client that does not read, one that goes at any moment, long work elsewhere.
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/gateway_internal.h"
#include "support/scripted.h"
#include "support/scripted_client.h"
#include "support/unit.h"

static const char *const words[] = {"Hel", "lo", NULL};
static const struct call_kind chat = {.endpoint = "chat", .dialect = &dialect_openai_chat};

struct bench {
    struct scripted s;
    struct gateway g;
    struct gateway_shared shared;
    struct gateway_config config;
    struct arena arena;
    struct scripted_client client;
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    arena_init(&b->arena, 1 << 20);
    assert_int_equal(option_defaults(gateway_config_table, &b->config, &b->arena, NULL), ERR_OK);
    b->s.texts = words;
    scripted_gateway_open(&b->g, &b->shared, &b->config, &b->s, (const char *const[]){"m"}, 1);
    scripted_client_init(&b->client);
}

static void bench_done(struct bench *b)
{
    assert_int_equal(b->g.calls_len, 0);
    assert_int_equal(b->s.running, 0);
    assert_int_equal(b->s.started, b->s.stopped);
    scripted_gateway_close(&b->g);
    scripted_client_done(&b->client);
    arena_done(&b->arena);
}

static void ask_kind(struct bench *b, const struct call_kind *kind, str body)
{
    scripted_client_ask(&b->client, &b->g, kind, body);
}

static void ask(struct bench *b, const char *body)
{
    ask_kind(b, &chat, str_of(body));
}

static const char *said(struct bench *b)
{
    return buf_cstr(&b->client.body);
}

#define HELLO  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define STREAM "{" HELLO ",\"stream\":true}"

static void an_answer_is_the_fold_of_its_events(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    ask(&b, "{" HELLO ",\"zebra\":1}");
    assert_false(b.client.responded);
    scripted_release(&b.s, 2);
    scripted_release(&b.s, 9);
    assert_int_equal(b.client.status, 200);
    assert_non_null(strstr(said(&b), "\"content\":\"Hello\""));
    assert_non_null(strstr(said(&b), "\"prompt_tokens\":7"));
    assert_non_null(strstr(said(&b), "\"cached_tokens\":2"));
    assert_non_null(strstr(buf_cstr(&b.client.headers), "x-weir-ignored-fields: zebra"));
    assert_non_null(strstr(buf_cstr(&b.client.headers), "x-weir-seed: 42"));
    bench_done(&b);
}

static void a_stream_has_role_text_finish_usage_and_done_in_order(void **state)
{
    (void)state;
    static const char *const order[] = {"\"role\":\"assistant\"",
                                        "\"content\":\"Hel\"",
                                        "\"content\":\"lo\"",
                                        "\"finish_reason\":\"stop\"",
                                        "\"usage\":{\"prompt_tokens\":7",
                                        "data: [DONE]\n\n"};
    struct bench b;
    bench_init(&b);
    ask(&b, "{" HELLO ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
    scripted_release(&b.s, 99);
    str rest = buf_str(&b.client.body);
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        size_t at = str_find(rest, str_of(order[i]));
        if (at == SIZE_MAX)
            fail_msg("%s is not in " STR_FMT, order[i], STR_ARG(rest));
        rest = str_sub(rest, at + 1, SIZE_MAX);
    }
    assert_true(b.client.ended);
    bench_done(&b);
}

static void usage_is_not_streamed_unasked(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    ask(&b, STREAM);
    scripted_release(&b.s, 99);
    assert_null(strstr(said(&b), "usage"));
    assert_non_null(strstr(said(&b), "[DONE]"));
    bench_done(&b);
}

static void a_client_that_goes_stops_the_work_at_every_moment(void **state)
{
    (void)state;
    for (size_t events = 0; events < 6; events++) {
        struct bench b;
        bench_init(&b);
        ask(&b, STREAM);
        if (events)
            scripted_release(&b.s, events);
        if (b.g.calls_len)
            call_step(b.client.call, CALL_GONE);
        assert_int_equal(b.s.stopped, 1);
        bench_done(&b);
    }
}

static void a_client_that_goes_inside_a_write_is_survived(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.client.write_says = ERR_CLOSED;
    ask(&b, STREAM);
    scripted_release(&b.s, 99);
    assert_false(b.client.ended);
    bench_done(&b);
}

static void a_client_that_does_not_read_stops_the_polling(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.client.write_says = ERR_AGAIN;
    ask(&b, STREAM);
    scripted_release(&b.s, 2);
    size_t len = b.client.body.len;
    scripted_release(&b.s, 99);
    assert_int_equal(b.client.body.len, len);
    b.client.write_says = ERR_OK;
    call_step(b.client.call, CALL_DRAINED);
    assert_true(b.client.ended);
    bench_done(&b);
}

static void a_failure_inside_a_stream_is_an_event_and_a_cut(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.s.error_after = 2;
    ask(&b, STREAM);
    scripted_release(&b.s, 2);
    scripted_release(&b.s, 99);
    assert_int_equal(b.client.status, 200);
    assert_non_null(strstr(said(&b), "data: {\"error\":{\"message\":\"scripted failure\""));
    assert_null(strstr(said(&b), "[DONE]"));
    assert_null(strstr(said(&b), "\"finish_reason\":\"stop\""));
    assert_true(b.client.aborted && !b.client.ended);
    bench_done(&b);
}

static void a_failure_before_the_first_byte_is_a_status(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.s.error_after = 2;
    ask(&b, "{" HELLO "}");
    scripted_release(&b.s, 99);
    assert_int_equal(b.client.status, 500);
    assert_non_null(strstr(said(&b), "\"code\":\"engine_error\""));
    bench_done(&b);
}

static void a_full_queue_is_429_with_when_to_come_back(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.s.fail_start = API_QUEUE_FULL;
    ask(&b, STREAM);
    assert_int_equal(b.client.status, 429);
    assert_non_null(strstr(said(&b), "\"code\":\"queue_full\""));
    assert_non_null(strstr(buf_cstr(&b.client.headers), "Retry-After: 2"));
    assert_non_null(strstr(buf_cstr(&b.client.headers), "x-should-retry: true"));
    bench_done(&b);
}

static void a_large_body_is_read_elsewhere(void **state)
{
    (void)state;
    struct bench b;
    struct buf body;
    bench_init(&b);
    buf_init(&body, 1 << 20);
    (void)buf_append_str(&body, STR("{\"messages\":[{\"role\":\"user\",\"content\":\""));
    for (int i = 0; i < 20000; i++)
        (void)buf_append_char(&body, 'x');
    (void)buf_append_str(&body, STR("\"}]}"));
    b.s.free_running = true;
    ask_kind(&b, &chat, buf_str(&body));
    assert_int_equal(b.s.prepared, 0);
    assert_non_null(b.s.offloaded);
    memset(body.mem + body.off, 'z', body.len); // the connection's memory may be gone by then
    scripted_work(&b.s);                        // to read it
    assert_int_equal(b.s.prepared, 0);
    scripted_work(&b.s); // to prepare it
    assert_int_equal(b.client.status, 200);
    buf_done(&body);
    bench_done(&b);
}

static void a_client_may_go_while_its_body_is_read_elsewhere(void **state)
{
    (void)state;
    struct bench b;
    char body[10000];
    bench_init(&b);
    snprintf(body, sizeof body, "%-9999s", STREAM);
    ask(&b, body);
    call_step(b.client.call, CALL_GONE);
    assert_int_equal(b.g.calls_len, 1);
    scripted_work(&b.s);
    assert_int_equal(b.s.started, 0);
    bench_done(&b);
}

static void no_room_for_long_work_is_503(void **state)
{
    (void)state;
    struct bench b;
    char body[10000];
    bench_init(&b);
    b.s.offload_full = true;
    snprintf(body, sizeof body, "%-9999s", STREAM);
    ask(&b, body);
    assert_int_equal(b.client.status, 503);
    assert_non_null(strstr(said(&b), "\"code\":\"overloaded\""));
    bench_done(&b);
}

struct refusal {
    const char *body;
    int status;
    const char *code;
};

static void bad_bodies_have_each_their_answer(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"", 400, "invalid_json"},
        {"{", 400, "invalid_json"},
        {"{\"a\":1,\"\\u0061\":2}", 400, "duplicate_member"},
        {"[]", 400, "invalid_type"},
        {"\"\xff\"", 400, "invalid_utf8"},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 400,
         "json_limit_exceeded"},
        {"{\"model\":\"nobody\"," HELLO "}", 404, "model_not_found"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct bench b;
        bench_init(&b);
        ask(&b, refusals[i].body);
        if (b.client.status != refusals[i].status || !strstr(said(&b), refusals[i].code))
            fail_msg("%s: %d %s", refusals[i].body, b.client.status, said(&b));
        bench_done(&b);
    }
}

static void a_refusal_of_the_provider_keeps_its_name(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.s.fail_prepare = API_CONTEXT_LENGTH;
    ask(&b, STREAM);
    assert_int_equal(b.client.status, 400);
    assert_non_null(strstr(said(&b), "\"param\":\"messages\""));
    assert_non_null(strstr(said(&b), "\"code\":\"context_length_exceeded\""));
    bench_done(&b);
}

static void before_the_first_model_has_loaded_it_is_503(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    atomic_store(&b.g.registry.len, 0);
    ask(&b, STREAM);
    assert_int_equal(b.client.status, 503);
    assert_non_null(strstr(said(&b), "\"code\":\"model_loading\""));
    assert_non_null(strstr(buf_cstr(&b.client.headers), "Retry-After: 1"));
    bench_done(&b);
}

static void n_choices_are_told_apart(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.s.free_running = true;
    ask(&b, "{" HELLO ",\"n\":3,\"logprobs\":true}");
    assert_non_null(strstr(said(&b), "\"index\":2"));
    assert_non_null(strstr(said(&b), "\"token\":\"lo\",\"logprob\":-0.5"));
    bench_done(&b);
}

static void an_answer_past_its_bound_is_refused(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    b.config.limits.answer_bytes_max = 4;
    b.s.free_running = true;
    ask(&b, "{" HELLO "}");
    assert_int_equal(b.client.status, 400);
    assert_non_null(strstr(said(&b), "\"code\":\"answer_too_large\""));
    bench_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_the_fold_of_its_events),
        cmocka_unit_test(a_stream_has_role_text_finish_usage_and_done_in_order),
        cmocka_unit_test(usage_is_not_streamed_unasked),
        cmocka_unit_test(a_client_that_goes_stops_the_work_at_every_moment),
        cmocka_unit_test(a_client_that_goes_inside_a_write_is_survived),
        cmocka_unit_test(a_client_that_does_not_read_stops_the_polling),
        cmocka_unit_test(a_failure_inside_a_stream_is_an_event_and_a_cut),
        cmocka_unit_test(a_failure_before_the_first_byte_is_a_status),
        cmocka_unit_test(a_full_queue_is_429_with_when_to_come_back),
        cmocka_unit_test(a_large_body_is_read_elsewhere),
        cmocka_unit_test(a_client_may_go_while_its_body_is_read_elsewhere),
        cmocka_unit_test(no_room_for_long_work_is_503),
        cmocka_unit_test(bad_bodies_have_each_their_answer),
        cmocka_unit_test(a_refusal_of_the_provider_keeps_its_name),
        cmocka_unit_test(before_the_first_model_has_loaded_it_is_503),
        cmocka_unit_test(n_choices_are_told_apart),
        cmocka_unit_test(an_answer_past_its_bound_is_refused),
    };
    log_configure(LOG_ERROR, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
