// REQ: API-5 API-10 API-11
// Anthropic's Messages: what a request says, how a wrong one is refused, what an answer and each
// stream look like, and the words of errors.
#include "dialect/anthropic_common.h"
#include "support/dialects.h"
#include "support/unit.h"

#define MESSAGES &dialect_anthropic_messages
#define HELLO    "\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

// --- Reading

static void a_conversation_is_read_whole(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, MESSAGES,
        "{\"model\":\"m\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"Be\"},"
        "{\"type\":\"text\",\"text\":\"brief\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"look\"},"
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
        "\"data\":\"AAAA\"}},{\"type\":\"document\",\"source\":{\"type\":\"text\","
        "\"media_type\":\"text/plain\",\"data\":\"page\"}}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\","
        "\"signature\":\"s1\"},{\"type\":\"redacted_thinking\",\"data\":\"s2\"},"
        "{\"type\":\"text\",\"text\":\"calling\"},{\"type\":\"tool_use\",\"id\":\"a\","
        "\"name\":\"f\",\"input\":{\"x\":1.50}},{\"type\":\"tool_use\",\"id\":\"b\","
        "\"name\":\"g\",\"input\":{}}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"a\","
        "\"content\":\"4\"},{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"is_error\":true,"
        "\"content\":[{\"type\":\"text\",\"text\":\"no\"}]},{\"type\":\"text\",\"text\":"
        "\"and?\"}]}]}");
    const struct exchange_message *m = r.request.messages;
    static const enum exchange_role roles[] = {EXCHANGE_SYSTEM, EXCHANGE_USER, EXCHANGE_ASSISTANT,
                                               EXCHANGE_TOOL,   EXCHANGE_TOOL, EXCHANGE_USER};
    assert_true(r.ok);
    assert_int_equal(r.request.messages_len, ARRAY_LEN(roles));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        assert_int_equal(m[i].role, roles[i]);
    assert_true(str_eq_z(m[0].parts[0].text, "Be\nbrief"));
    assert_int_equal(m[1].parts_len, 3);
    assert_true(str_eq_z(m[1].parts[1].url, "data:image/png;base64,AAAA"));
    assert_true(str_eq_z(m[1].parts[2].text, "page"));
    assert_int_equal(m[2].parts_len, 3);
    assert_true(str_eq_z(m[2].parts[0].signature, "s1") && str_eq_z(m[2].parts[0].text, "hm"));
    assert_true(!m[2].parts[1].text.len && str_eq_z(m[2].parts[1].signature, "s2"));
    assert_int_equal(m[2].calls_len, 2);
    assert_true(str_eq_z(m[2].calls[0].arguments, "{\"x\":1.50}"));
    assert_true(str_eq_z(m[3].tool_call_id, "a") && !m[3].is_error);
    assert_true(str_eq_z(m[4].tool_call_id, "b") && m[4].is_error);
    assert_true(str_eq_z(m[4].parts[0].text, "no"));
    read_done(&r);
}

static void the_members_have_their_places(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, MESSAGES,
        "{" HELLO ",\"stream\":true,\"temperature\":0.5,\"top_k\":5,\"top_p\":0.9,"
        "\"stop_sequences\":[\"X\",\"Y\"],\"metadata\":{\"user_id\":\"u\"},"
        "\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\","
        "\"oneOf\":[]}},{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}],"
        "\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\",\"disable_parallel_tool_use\":true},"
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048},"
        "\"output_config\":{\"effort\":\"max\",\"format\":{\"type\":\"json_schema\","
        "\"schema\":{\"type\":\"object\"}}},\"mcp_servers\":[]}");
    const struct exchange_request *q = &r.request;
    assert_true(r.ok && q->stream && q->temperature == 0.5 && q->top_k == 5 && q->top_p == 0.9);
    assert_int_equal(q->tokens_max, 9);
    assert_int_equal(q->stops_len, 2);
    assert_true(str_eq_z(q->user, "u"));
    assert_int_equal(q->tools_len, 2);
    assert_non_null(json_get(q->tools[0].parameters, "oneOf"));
    assert_true(!q->tools[0].builtin && q->tools[1].builtin && !q->tools_raw);
    assert_int_equal(q->tool_choice, EXCHANGE_TOOLS_NAMED);
    assert_true(str_eq_z(q->tool_name, "f") && !q->parallel_tool_calls);
    assert_int_equal(q->thinking_tokens_max, 2048);
    assert_true(str_eq_z(q->reasoning_effort, "xhigh"));
    assert_int_equal(q->format, EXCHANGE_FORMAT_SCHEMA);
    assert_non_null(json_get(q->schema, "type"));
    assert_int_equal(q->ignored_len, 1);
    read_done(&r);
    read_body(&r, MESSAGES,
              "{" HELLO
              ",\"output_config\":{\"effort\":\"low\"},\"thinking\":{\"type\":\"disabled\"}}");
    assert_true(r.ok && str_eq_z(r.request.reasoning_effort, "none"));
    read_done(&r);
}

struct refusal {
    const char *body, *code, *param;
};

#define ROLE(content)                                                                              \
    "{\"max_tokens\":1,\"messages\":[{\"role\":\"user\",\"content\":" content "}]}"
#define BLOCK(members) ROLE("[{" members "}]")

static const struct refusal refusals[] = {
    {"{}", "missing_required_parameter", "messages"},
    {"{\"messages\":[]}", "empty_array", "messages"},
    {"{\"messages\":7}", "invalid_type", "messages"},
    {"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", "missing_required_parameter",
     "max_tokens"},
    {"{\"messages\":[{\"content\":\"hi\"}]}", "missing_required_parameter", "messages[0].role"},
    {"{\"messages\":[{\"role\":\"owner\",\"content\":\"hi\"}]}", "invalid_value",
     "messages[0].role"},
    {"{\"messages\":[{\"role\":\"user\"}]}", "missing_required_parameter", "messages[0].content"},
    {ROLE("5"), "invalid_type", "messages[0].content"},
    {ROLE("[5]"), "invalid_type", "messages[0].content[0]"},
    {BLOCK(""), "missing_required_parameter", "messages[0].content[0].type"},
    {BLOCK("\"type\":\"text\""), "missing_required_parameter", "messages[0].content[0].text"},
    {BLOCK("\"type\":\"image\""), "missing_required_parameter", "messages[0].content[0].source"},
    {BLOCK("\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\"}"),
     "missing_required_parameter", "messages[0].content[0].source.data"},
    {BLOCK("\"type\":\"tool_result\",\"content\":\"x\""), "missing_required_parameter",
     "messages[0].content[0].tool_use_id"},
    {BLOCK("\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"is_error\":1"), "invalid_type",
     "messages[0].content[0].is_error"},
    {"{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"a\","
     "\"name\":\"f\",\"input\":\"{}\"}]}]}",
     "invalid_type", "messages[0].content[0].input"},
    {"{" HELLO ",\"system\":7}", "invalid_type", "system"},
    {"{" HELLO ",\"system\":[{\"type\":\"text\"}]}", "missing_required_parameter",
     "system[0].text"},
    {"{" HELLO ",\"temperature\":1.5}", "above_max_value", "temperature"},
    {"{" HELLO ",\"stop_sequences\":\"x\"}", "invalid_type", "stop_sequences"},
    {"{" HELLO ",\"stop_sequences\":[\"\"]}", "invalid_value", "stop_sequences[0]"},
    {"{" HELLO ",\"tools\":[{\"name\":\"f\"}]}", "missing_required_parameter",
     "tools[0].input_schema"},
    {"{" HELLO ",\"tools\":[{\"name\":\"two words\",\"input_schema\":{}}]}", "invalid_value",
     "tools[0].name"},
    {"{" HELLO ",\"tool_choice\":{\"type\":\"any\"}}", "invalid_value", "tool_choice"},
    {"{" HELLO ",\"tool_choice\":{\"type\":\"some\"}}", "invalid_value", "tool_choice.type"},
    {"{" HELLO ",\"tool_choice\":{\"type\":\"tool\"}}", "missing_required_parameter",
     "tool_choice.name"},
    {"{" HELLO
     ",\"tools\":[{\"name\":\"f\",\"input_schema\":{}}],\"tool_choice\":{\"type\":\"tool\","
     "\"name\":\"g\"}}",
     "invalid_value", "tool_choice.name"},
    {"{" HELLO ",\"thinking\":{\"type\":\"enabled\"}}", "missing_required_parameter",
     "thinking.budget_tokens"},
    {"{" HELLO ",\"thinking\":{\"type\":\"loud\"}}", "invalid_value", "thinking.type"},
    {"{" HELLO ",\"output_config\":{\"effort\":\"huge\"}}", "invalid_value",
     "output_config.effort"},
    {"{" HELLO ",\"output_config\":{\"format\":{\"type\":\"json_schema\"}}}",
     "missing_required_parameter", "output_config.format.schema"},
    {"{" HELLO ",\"metadata\":{\"user_id\":7}}", "invalid_type", "metadata.user_id"},
};

static void every_wrong_member_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct read r;
        read_body(&r, MESSAGES, refusals[i].body);
        if (r.ok)
            fail_msg("taken: %s", refusals[i].body);
        assert_string_equal(api_error_row(r.error.code)->name, refusals[i].code);
        assert_string_equal(r.error.param, refusals[i].param);
        read_done(&r);
    }
}

static void a_count_needs_no_limit(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, &dialect_anthropic_count,
              "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}");
    assert_true(r.ok);
    read_done(&r);
}

// --- Writing

static const struct exchange_event script[] = {
    {.type = EXCHANGE_EVENT_BEGIN, .usage = {.prompt_tokens = 9, .cached_tokens = 2}},
    {.type = EXCHANGE_EVENT_THINKING, .text = {"hm", 2}},
    {.type = EXCHANGE_EVENT_THINKING, .signature = {"sg", 2}},
    {.type = EXCHANGE_EVENT_TEXT, .text = {"Hi", 2}},
    {.type = EXCHANGE_EVENT_CALL, .call_index = 0, .call = {.id = {"t1", 2}, .name = {"f", 1}}},
    {.type = EXCHANGE_EVENT_ARGUMENTS, .call_index = 0, .text = {"{\"x\":1}", 7}},
    {.type = EXCHANGE_EVENT_FINISH, .finish = EXCHANGE_FINISH_TOOL_CALLS},
    {.type = EXCHANGE_EVENT_END,
     .usage =
         {.prompt_tokens = 9, .cached_tokens = 2, .completion_tokens = 5, .reasoning_tokens = 1}},
};

#define START(index, block)                                                                        \
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":" index         \
    ",\"content_block\":" block "}\n\n"
#define DELTA(index, delta)                                                                        \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":" index         \
    ",\"delta\":" delta "}\n\n"
#define STOP(index)                                                                                \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":" index "}\n\n"
#define USAGE(out)                                                                                 \
    "\"usage\":{\"input_tokens\":7,\"cache_creation_input_tokens\":0,"                             \
    "\"cache_read_input_tokens\":2,\"output_tokens\":" out "}"

static void a_stream_is_anthropics(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_stream(MESSAGES, &q, script, ARRAY_LEN(script), &out);
    assert_string_equal(
        buf_cstr(&out),
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"id_1\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],"
        "\"stop_reason\":null,\"stop_sequence\":null," USAGE(
            "0") "}}\n\n"
                 "event: ping\ndata: {\"type\":\"ping\"}\n\n" START(
                     "0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
                     DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}") DELTA(
                         "0", "{\"type\":\"signature_delta\",\"signature\":\"sg\"}") STOP("0")
                         START("1", "{\"type\":\"text\",\"citations\":null,\"text\":\"\"}") DELTA(
                             "1", "{\"type\":\"text_delta\",\"text\":\"Hi\"}") STOP("1")
                             START("2", "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\","
                                        "\"input\":{}}") DELTA("2", "{\"type\":\"input_json_"
                                                                    "delta\",\"partial_json\":\"{"
                                                                    "\\\"x\\\":1}\"}")
                                 STOP("2") "event: message_delta\ndata: "
                                           "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
                                           "\"tool_use\",\"stop_sequence\":null}," USAGE(
                                               "5,\"output_tokens_details\":{"
                                               "\"thinking_tokens\":1}") "}\n\n"
                                                                         "event: "
                                                                         "message_stop\ndata: "
                                                                         "{\"type\":\"message_"
                                                                         "stop\"}"
                                                                         "\n\n");
    buf_done(&out);
}

static void a_whole_answer_is_anthropics(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_whole(MESSAGES, &q, script, ARRAY_LEN(script), &out);
    assert_string_equal(
        buf_cstr(&out),
        "{\"id\":\"id_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":["
        "{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"sg\"},"
        "{\"type\":\"text\",\"citations\":null,\"text\":\"Hi\"},"
        "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{\"x\":1}}],"
        "\"stop_reason\":\"tool_use\",\"stop_sequence\":null," USAGE(
            "5,\"output_tokens_details\":{\"thinking_tokens\":1}") "}");
    buf_done(&out);
}

static void a_stop_string_is_named(void **state)
{
    (void)state;
    static const struct exchange_event events[] = {
        {.type = EXCHANGE_EVENT_FINISH, .stop_matched = {"END", 3}}, {.type = EXCHANGE_EVENT_END}};
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_whole(MESSAGES, &q, events, 2, &out);
    assert_non_null(
        strstr(buf_cstr(&out), "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\""));
    buf_done(&out);
    dialects_stream(MESSAGES, &q, events, 2, &out);
    assert_non_null(
        strstr(buf_cstr(&out), "\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"END\""));
    buf_done(&out);
}

static void arguments_that_are_no_object_are_not_lost(void **state)
{
    (void)state;
    struct json_writer w;
    struct buf out;
    buf_init(&out, 4096);
    jw_init(&w, &out);
    anthropic_write_tool_use(&w, STR("i"), STR("f"), STR("{\"x\": tru"));
    assert_non_null(strstr(buf_cstr(&out), "\"input\":{\"arguments\":\"{\\\"x\\\": tru\"}"));
    buf_done(&out);
}

// --- Any order of events: the stream's state machine

struct machine {
    bool open, stopped, delta;
    int64_t next;
    struct buf text;
};

static void check_event(struct machine *m, yyjson_val *v)
{
    str type = json_str(json_get(v, "type"));
    int64_t index = -1;
    assert_false(m->stopped);
    if (str_starts(type, STR("content_block_")))
        assert_true(json_is_int(json_get(v, "index"), &index) && !m->delta);
    if (str_eq_z(type, "content_block_start")) {
        assert_true(!m->open && index == m->next);
        m->open = true;
    } else if (str_eq_z(type, "content_block_delta")) {
        assert_true(m->open && index == m->next);
        (void)buf_append_str(&m->text, json_str(json_get(json_get(v, "delta"), "text")));
    } else if (str_eq_z(type, "content_block_stop")) {
        assert_true(m->open && index == m->next++);
        m->open = false;
    } else if (str_eq_z(type, "message_delta")) {
        assert_false(m->open || m->delta);
        m->delta = true;
    } else if (str_eq_z(type, "message_stop")) {
        assert_true(m->delta);
        m->stopped = true;
    }
}

static void check_stream(str stream, struct machine *m)
{
    str line;
    assert_true(str_starts(stream, STR("event: message_start\n")));
    while (str_split(&stream, '\n', &line)) {
        struct json_doc doc;
        if (!str_starts(line, STR("data: ")))
            continue;
        assert_int_equal(json_parse(&doc, str_sub(line, 6, SIZE_MAX), JSON_LIMITS_DEFAULT, NULL),
                         ERR_OK);
        check_event(m, doc.root);
        json_done(&doc);
    }
    assert_true(m->stopped);
}

static void any_order_of_events_gives_a_valid_stream(void **state)
{
    (void)state;
    static struct events e;
    struct exchange_request q;
    exchange_request_init(&q, EXCHANGE_CHAT);
    for (uint32_t seed = 0; seed < 2000; seed++) {
        struct machine m = {0};
        struct buf out, text;
        buf_init(&m.text, 1 << 20);
        buf_init(&text, 1 << 20);
        events_draw(&e, seed);
        dialects_stream(MESSAGES, &q, e.items, e.len, &out);
        check_stream(buf_str(&out), &m);
        for (size_t i = 0; i < e.len; i++)
            if (e.items[i].type == EXCHANGE_EVENT_TEXT)
                (void)buf_append_str(&text, e.items[i].text);
        assert_true(str_eq(buf_str(&text), buf_str(&m.text)));
        buf_done(&m.text);
        buf_done(&text);
        buf_done(&out);
    }
}

// --- Words

static void errors_have_anthropics_types_and_status(void **state)
{
    (void)state;
    static const struct {
        enum api_error_code code;
        int status;
        const char *type;
    } rows[] = {
        {API_INVALID_VALUE, 400, "invalid_request_error"},
        {API_INVALID_KEY, 401, "authentication_error"},
        {API_MODEL_NOT_ALLOWED, 403, "permission_error"},
        {API_MODEL_NOT_FOUND, 404, "not_found_error"},
        {API_BODY_TOO_LARGE, 413, "request_too_large"},
        {API_RATE_LIMITED, 429, "rate_limit_error"},
        {API_INTERNAL_ERROR, 500, "api_error"},
        {API_UPSTREAM_FAILED, 502, "api_error"},
        {API_TIMEOUT, 504, "timeout_error"},
        {API_OVERLOADED, 529, "overloaded_error"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct api_error e;
        struct buf out;
        struct json_doc doc;
        api_error_set(&e, rows[i].code, "x", "so");
        buf_init(&out, 4096);
        anthropic_error(&e, STR("req_1"), &out);
        assert_int_equal(json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
        yyjson_val *error = json_get(doc.root, "error");
        assert_true(str_eq_z(json_str(json_get(doc.root, "type")), "error"));
        assert_true(str_eq_z(json_str(json_get(doc.root, "request_id")), "req_1"));
        assert_true(str_eq_z(json_str(json_get(error, "type")), rows[i].type));
        assert_int_equal(dialect_status(MESSAGES, &e), rows[i].status);
        json_done(&doc);
        buf_done(&out);
    }
}

static void reasons_and_usage_come_back_as_they_went(void **state)
{
    (void)state;
    enum exchange_finish f;
    for (int i = EXCHANGE_FINISH_STOP; i <= EXCHANGE_FINISH_FILTER; i++) {
        const char *reason = anthropic_stop_reason((enum exchange_finish)i, STR_NONE);
        assert_true(anthropic_finish(str_of(reason), &f) && (int)f == i);
    }
    assert_false(anthropic_finish(STR("bored"), &f));
    struct exchange_usage in = {.prompt_tokens = 20,
                                .cached_tokens = 5,
                                .cache_write_tokens = 3,
                                .completion_tokens = 7,
                                .reasoning_tokens = 2},
                          back = {0};
    struct json_writer w;
    struct json_doc doc;
    struct buf out;
    buf_init(&out, 4096);
    jw_init(&w, &out);
    jw_object_begin(&w);
    anthropic_write_usage(&w, &in);
    jw_object_end(&w);
    assert_int_equal(json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    anthropic_read_usage(doc.root, &back);
    assert_memory_equal(&in, &back, sizeof in);
    json_done(&doc);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_is_read_whole),
        cmocka_unit_test(the_members_have_their_places),
        cmocka_unit_test(every_wrong_member_is_refused_by_name),
        cmocka_unit_test(a_count_needs_no_limit),
        cmocka_unit_test(a_stream_is_anthropics),
        cmocka_unit_test(a_whole_answer_is_anthropics),
        cmocka_unit_test(a_stop_string_is_named),
        cmocka_unit_test(arguments_that_are_no_object_are_not_lost),
        cmocka_unit_test(any_order_of_events_gives_a_valid_stream),
        cmocka_unit_test(errors_have_anthropics_types_and_status),
        cmocka_unit_test(reasons_and_usage_come_back_as_they_went),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
