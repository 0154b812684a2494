// REQ: PROV-3 PROV-5 ROUTE-2
// A provider's refusal in every shape that is seen becomes a code, a failure class and a time to
// wait; its own words are handed on, but never those that may repeat a key.
#include "dialect/upstream.h"
#include "support/unit.h"

struct row {
    int status; // 0: an object inside a stream
    const char *body, *code;
    enum failure failure;
    const char *says; // somewhere in the message
};

static const struct row rows[] = {
    {400,
     "{\"error\":{\"message\":\"bad "
     "thing\",\"type\":\"invalid_request_error\",\"param\":\"x\",\"code\":null}}",
     "bad_request", FAILURE_CLIENT, "bad thing"},
    {400, "{\"error\":{\"message\":\"m\",\"code\":\"unsupported_parameter\"}}",
     "unsupported_parameter", FAILURE_CLIENT, NULL},
    {400,
     "{\"error\":{\"message\":\"This model's maximum context length is 8192 "
     "tokens\",\"code\":\"context_length_exceeded\"}}",
     "context_length_exceeded", FAILURE_CONTEXT, NULL},
    {400,
     "{\"object\":\"error\",\"message\":\"This model's maximum context length is "
     "10.\",\"type\":\"BadRequestError\",\"code\":400}",
     "context_length_exceeded", FAILURE_CONTEXT, NULL},
    {400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is "
     "too long: 9 > 8\"}}",
     "context_length_exceeded", FAILURE_CONTEXT, NULL},
    {400, "{\"error\":{\"code\":400,\"message\":\"m\",\"type\":\"exceed_context_size_error\"}}",
     "context_length_exceeded", FAILURE_CONTEXT, NULL},
    {400,
     "{\"error\":{\"message\":\"The response was "
     "filtered\",\"code\":\"content_filter\",\"innererror\":{\"code\":"
     "\"ResponsibleAIPolicyViolation\"}}}",
     "content_policy_violation", FAILURE_CONTENT_POLICY, "filtered"},
    {400,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit "
     "balance is too low\"}}",
     "insufficient_quota", FAILURE_HARD_DOWN, NULL},
    {401,
     "{\"error\":{\"message\":\"Incorrect API key provided: "
     "sk-SECRET\",\"code\":\"invalid_api_key\"}}",
     "upstream_denied", FAILURE_HARD_DOWN, "credentials"},
    {403, "Forbidden", "upstream_denied", FAILURE_HARD_DOWN, NULL},
    {404, "{\"error\":{\"message\":\"The model `x` does not exist\",\"code\":\"model_not_found\"}}",
     "model_not_found", FAILURE_HARD_DOWN, NULL},
    {404, "{\"error\":\"model 'x' not found\"}", "model_not_found", FAILURE_HARD_DOWN, "model 'x'"},
    {404, "{\"detail\":\"Not Found\"}", "bad_request", FAILURE_CLIENT, "Not Found"},
    {413, "{\"type\":\"error\",\"error\":{\"type\":\"request_too_large\",\"message\":\"m\"}}",
     "body_too_large", FAILURE_CLIENT, NULL},
    {422, "{\"detail\":[{\"msg\":\"field required\"}]}", "bad_request", FAILURE_CLIENT, "422"},
    {429, "{\"error\":{\"message\":\"slow\",\"code\":\"rate_limit_exceeded\"}}",
     "rate_limit_exceeded", FAILURE_RATE_LIMITED, "slow"},
    {429,
     "{\"error\":{\"message\":\"m\",\"type\":\"insufficient_quota\",\"code\":\"insufficient_"
     "quota\"}}",
     "insufficient_quota", FAILURE_HARD_DOWN, NULL},
    {500, "", "upstream_failed", FAILURE_TRANSIENT, "500"},
    {500, "{\"error\":{\"code\":500,\"message\":\"image input is not supported - hint: x\"}}",
     "images_unsupported", FAILURE_UNSUITED, "hint"},
    {500, "{\"error\":{\"code\":500,\"message\":\"audio input is not supported\"}}",
     "operation_unsupported", FAILURE_UNSUITED, NULL},
    {500, "{\"error\":{\"code\":500,\"message\":\"tools param requires --jinja flag\"}}",
     "tools_unsupported", FAILURE_UNSUITED, NULL},
    {501, "{\"error\":{\"message\":\"This server does not support embeddings.\"}}",
     "operation_unsupported", FAILURE_UNSUITED, "embeddings"},
    {502, "<html><h1>Bad Gateway</h1>", "upstream_failed", FAILURE_TRANSIENT, "502"},
    {503, "{}", "overloaded", FAILURE_TRANSIENT, NULL},
    {504, "", "upstream_timeout", FAILURE_TRANSIENT, NULL},
    {529,
     "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     "overloaded", FAILURE_TRANSIENT, "Overloaded"},
    {307, "", "upstream_failed", FAILURE_HARD_DOWN, "307"},
    {0, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
     "overloaded", FAILURE_TRANSIENT, NULL},
    {0, "{\"error\":{\"message\":\"m\",\"code\":429}}", "rate_limit_exceeded", FAILURE_RATE_LIMITED,
     NULL},
    {0, "{\"error\":{\"message\":\"m\",\"type\":\"authentication_error\"}}", "upstream_denied",
     FAILURE_HARD_DOWN, NULL},
    {0, "{\"error\":\"an ollama said so\"}", "upstream_failed", FAILURE_TRANSIENT, "ollama"},
};

static void read_row(const struct row *r, struct api_error *e)
{
    struct upstream_answer a = {.status = r->status};
    struct json_doc doc;
    struct diag d;
    if (r->status) {
        upstream_error_of_answer(&a, STR("p"), str_of(r->body), e);
        return;
    }
    assert_int_equal(json_parse(&doc, str_of(r->body), JSON_LIMITS_DEFAULT, &d), ERR_OK);
    upstream_error_of_object(doc.root, STR("p"), e);
    json_done(&doc);
}

static void refusals_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct api_error e;
        read_row(&rows[i], &e);
        if (strcmp(api_error_row(e.code)->name, rows[i].code) != 0 || e.failure != rows[i].failure)
            fail_msg("%d %s: %s, %s", rows[i].status, rows[i].body, api_error_row(e.code)->name,
                     failure_name(e.failure));
        if (rows[i].says && !strstr(e.message, rows[i].says))
            fail_msg("'%s' is not in: %s", rows[i].says, e.message);
        assert_non_null(strstr(e.message, "'p'"));
        assert_null(strstr(e.message, "sk-SECRET"));
    }
}

static void the_member_at_fault_is_named(void **state)
{
    (void)state;
    struct api_error e;
    read_row(&rows[0], &e);
    assert_string_equal(e.param, "x");
}

struct wait {
    struct upstream_answer answer;
    uint32_t ms;
};

static void the_time_to_wait_is_read_in_all_spellings(void **state)
{
    (void)state;
    const uint64_t now = 784111777000; // 06 Nov 1994 08:49:37
    const struct wait waits[] = {
        {{.status = 429}, 0},
        {{.status = 429, .retry_after = STR("2")}, 2000},
        {{.status = 429, .retry_after = STR("0.5")}, 500},
        {{.status = 429, .retry_after = STR(" 7 ")}, 7000},
        {{.status = 429, .retry_after_ms = STR("150")}, 150},
        {{.status = 429, .retry_after_ms = STR("150.2"), .retry_after = STR("9")}, 151},
        {{.status = 429, .x_ms_retry_after_ms = STR("80"), .retry_after = STR("1")}, 80},
        {{.status = 429, .retry_after = STR("Sun, 06 Nov 1994 08:49:47 GMT")}, 10000},
        {{.status = 429, .retry_after = STR("Sun, 06 Nov 1994 08:49:27 GMT")}, 0},
        {{.status = 429, .retry_after = STR("Mon, 06 Nov 2094 08:49:27 GMT")}, 86400000},
        {{.status = 429, .retry_after = STR("99999999999999999999")}, 86400000},
        {{.status = 429, .retry_after = STR("-3")}, 0},
        {{.status = 429, .retry_after = STR("soon")}, 0},
        {{.status = 429, .retry_after_ms = STR("x"), .retry_after = STR("3")}, 3000},
    };
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        struct upstream_answer a = waits[i].answer;
        struct api_error e;
        a.wall_ms = now;
        assert_int_equal(upstream_retry_after_ms(&a), waits[i].ms);
        upstream_error_of_answer(&a, STR("p"), STR("{}"), &e);
        assert_int_equal(e.retry_after_ms, waits[i].ms);
        assert_int_equal(e.failure, FAILURE_RATE_LIMITED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_are_understood),
        cmocka_unit_test(the_member_at_fault_is_named),
        cmocka_unit_test(the_time_to_wait_is_read_in_all_spellings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
