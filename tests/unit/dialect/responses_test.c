// REQ: API-6 API-10 API-11
// OpenAI's Responses: what a request's items become, how wrong ones are refused, and that a
// stream's events are in order, numbered, and say at the end what they said on the way.
#include "dialect/openai_responses.h"
#include "support/dialects.h"
#include "support/unit.h"

#define RESPONSES &dialect_openai_responses

// --- Reading

static void items_of_one_turn_are_one_message(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, RESPONSES,
        "{\"instructions\":\"Be brief\",\"input\":[{\"role\":\"user\",\"content\":["
        "{\"type\":\"input_text\",\"text\":\"look\"},{\"type\":\"input_image\",\"image_url\":"
        "\"data:image/png;base64,AA\"}]},"
        "{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[{\"type\":\"summary_text\",\"text\":"
        "\"hm\"}],\"encrypted_content\":\"seal\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"calling\",\"annotations\":[]}]},"
        "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"g\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"4\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"b\",\"output\":[{\"type\":"
        "\"input_text\",\"text\":\"5\"}]},"
        "{\"type\":\"web_search_call\",\"id\":\"ws\"},"
        "{\"role\":\"developer\",\"content\":\"So?\"}]}");
    static const enum exchange_role roles[] = {EXCHANGE_SYSTEM,   EXCHANGE_USER, EXCHANGE_ASSISTANT,
                                               EXCHANGE_TOOL,     EXCHANGE_TOOL, EXCHANGE_ASSISTANT,
                                               EXCHANGE_DEVELOPER};
    const struct exchange_message *m = r.request.messages;
    if (!r.ok)
        fail_msg("%s", r.error.message);
    assert_int_equal(r.request.messages_len, ARRAY_LEN(roles));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        assert_int_equal(m[i].role, roles[i]);
    assert_true(str_eq_z(m[1].parts[1].url, "data:image/png;base64,AA"));
    assert_int_equal(m[2].parts_len, 2);
    assert_true(str_eq_z(m[2].parts[0].text, "hm") && str_eq_z(m[2].parts[0].signature, "seal"));
    assert_int_equal(m[2].calls_len, 2);
    assert_true(str_eq_z(m[2].calls[1].id, "b"));
    assert_true(str_eq_z(m[4].tool_call_id, "b") && str_eq_z(m[4].parts[0].text, "5"));
    assert_int_equal(m[5].parts[0].type, EXCHANGE_PART_OTHER);
    read_done(&r);
}

static void the_members_have_their_places(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, RESPONSES,
        "{\"model\":\"m\",\"input\":\"hi\",\"max_output_tokens\":9,\"temperature\":0.5,"
        "\"top_p\":0.9,\"stream\":true,\"parallel_tool_calls\":false,\"store\":true,"
        "\"include\":[\"message.output_text.logprobs\"],\"top_logprobs\":2,"
        "\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"},\"truncation\":\"soon\","
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"strict\":true,"
        "\"schema\":{\"type\":\"object\"}},\"verbosity\":\"low\"},"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"d\",\"parameters\":{},"
        "\"strict\":true},{\"type\":\"web_search\"}],"
        "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}");
    const struct exchange_request *q = &r.request;
    assert_true(r.ok && q->stream && q->logprobs && q->top_logprobs == 2 && q->tokens_max == 9);
    assert_true(q->temperature == 0.5 && q->top_p == 0.9 && !q->parallel_tool_calls);
    assert_true(str_eq_z(q->reasoning_effort, "low") && str_eq_z(q->schema_name, "n"));
    assert_true(q->format == EXCHANGE_FORMAT_SCHEMA && q->schema_strict);
    assert_true(!q->tools[0].builtin && q->tools[0].strict && q->tools[1].builtin);
    assert_true(q->tool_choice == EXCHANGE_TOOLS_NAMED && str_eq_z(q->tool_name, "f"));
    assert_int_equal(q->ignored_len, 3); // store, truncation, text.verbosity
    read_done(&r);
}

struct refusal {
    const char *body, *code, *param;
};

#define ITEM(item) "{\"input\":[" item "]}"

static const struct refusal refusals[] = {
    {"{}", "missing_required_parameter", "input"},
    {"{\"input\":[]}", "empty_array", "input"},
    {"{\"input\":7}", "invalid_type", "input"},
    {ITEM("7"), "invalid_type", "input[0]"},
    {ITEM("{}"), "missing_required_parameter", "input[0].role"},
    {ITEM("{\"role\":\"owner\",\"content\":\"x\"}"), "invalid_value", "input[0].role"},
    {ITEM("{\"role\":\"user\"}"), "missing_required_parameter", "input[0].content"},
    {ITEM("{\"role\":\"user\",\"content\":7}"), "invalid_type", "input[0].content"},
    {ITEM("{\"role\":\"user\",\"content\":[7]}"), "invalid_type", "input[0].content[0]"},
    {ITEM("{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}"),
     "missing_required_parameter", "input[0].content[0].text"},
    {ITEM("{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"\"}"),
     "missing_required_parameter", "input[0].call_id"},
    {ITEM("{\"type\":\"function_call_output\",\"call_id\":\"a\"}"), "missing_required_parameter",
     "input[0].output"},
    {ITEM("{\"type\":\"item_reference\",\"id\":\"a\"}"), "unsupported_parameter", "input[0].type"},
    {"{\"input\":\"x\",\"previous_response_id\":\"r\"}", "unsupported_parameter",
     "previous_response_id"},
    {"{\"input\":\"x\",\"conversation\":\"c\"}", "unsupported_parameter", "conversation"},
    {"{\"input\":\"x\",\"background\":true}", "unsupported_parameter", "background"},
    {"{\"input\":\"x\",\"instructions\":7}", "invalid_type", "instructions"},
    {"{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"xml\"}}}", "invalid_value",
     "text.format.type"},
    {"{\"input\":\"x\",\"text\":{\"format\":{\"type\":\"json_schema\"}}}",
     "missing_required_parameter", "text.format.schema"},
    {"{\"input\":\"x\",\"tools\":[{\"name\":\"f\"}]}", "missing_required_parameter",
     "tools[0].type"},
    {"{\"input\":\"x\",\"tools\":[{\"type\":\"function\",\"name\":\"a b\"}]}", "invalid_value",
     "tools[0].name"},
    {"{\"input\":\"x\",\"tool_choice\":\"required\"}", "invalid_value", "tool_choice"},
    {"{\"input\":\"x\",\"tool_choice\":{\"type\":\"mcp\"}}", "unsupported_parameter",
     "tool_choice.type"},
    {"{\"input\":\"x\",\"top_logprobs\":3}", "invalid_value", "top_logprobs"},
    {"{\"input\":\"x\",\"store\":1}", "invalid_type", "store"},
};

static void every_wrong_member_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct read r;
        read_body(&r, RESPONSES, refusals[i].body);
        if (r.ok)
            fail_msg("taken: %s", refusals[i].body);
        assert_string_equal(api_error_row(r.error.code)->name, refusals[i].code);
        assert_string_equal(r.error.param, refusals[i].param);
        read_done(&r);
    }
}

// --- Writing

static const struct exchange_event script[] = {
    {.type = EXCHANGE_EVENT_BEGIN},
    {.type = EXCHANGE_EVENT_THINKING, .text = {"hm", 2}},
    {.type = EXCHANGE_EVENT_THINKING, .signature = {"sg", 2}},
    {.type = EXCHANGE_EVENT_TEXT, .text = {"H", 1}},
    {.type = EXCHANGE_EVENT_TEXT, .text = {"i", 1}},
    {.type = EXCHANGE_EVENT_CALL, .call = {.id = {"t1", 2}, .name = {"f", 1}}},
    {.type = EXCHANGE_EVENT_ARGUMENTS, .text = {"{\"x\":1}", 7}},
    {.type = EXCHANGE_EVENT_FINISH, .finish = EXCHANGE_FINISH_TOOL_CALLS},
    {.type = EXCHANGE_EVENT_END,
     .usage = {.prompt_tokens = 9, .cached_tokens = 2, .completion_tokens = 5}},
};

static const char output[] =
    "\"output\":[{\"id\":\"rs_1_0\",\"type\":\"reasoning\",\"status\":\"completed\",\"summary\":[],"
    "\"content\":[{\"type\":\"reasoning_text\",\"text\":\"hm\"}],\"encrypted_content\":\"sg\"},"
    "{\"id\":\"msg_1_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\","
    "\"content\":[{\"type\":\"output_text\",\"text\":\"Hi\",\"annotations\":[],\"logprobs\":[]}]},"
    "{\"id\":\"fc_1_2\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"t1\","
    "\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}]";

// A stream's documents one by one: their types in `types`, the last one in *last.
static void documents(str stream, struct buf *types, struct json_doc *last)
{
    str line;
    int64_t expected = 0, number;
    *last = (struct json_doc){0};
    while (str_split(&stream, '\n', &line)) {
        if (!str_starts(line, STR("data: ")))
            continue;
        json_done(last);
        assert_int_equal(json_parse(last, str_sub(line, 6, SIZE_MAX), JSON_LIMITS_DEFAULT, NULL),
                         ERR_OK);
        assert_true(json_is_int(json_get(last->root, "sequence_number"), &number));
        assert_int_equal(number, expected++);
        (void)buf_append_str(types, json_str(json_get(last->root, "type")));
        (void)buf_append_char(types, '\n');
    }
}

static void a_stream_opens_grows_and_closes_each_item(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out, types;
    struct json_doc last;
    exchange_request_init(&q, EXCHANGE_CHAT);
    buf_init(&types, 1 << 20);
    dialects_stream(RESPONSES, &q, script, ARRAY_LEN(script), &out);
    documents(buf_str(&out), &types, &last);
    assert_string_equal(buf_cstr(&types), "response.created\nresponse.in_progress\n"
                                          "response.output_item.added\n"
                                          "response.content_part.added\n"
                                          "response.reasoning_text.delta\n"
                                          "response.reasoning_text.done\n"
                                          "response.content_part.done\n"
                                          "response.output_item.done\n"
                                          "response.output_item.added\n"
                                          "response.content_part.added\n"
                                          "response.output_text.delta\n"
                                          "response.output_text.delta\n"
                                          "response.output_text.done\n"
                                          "response.content_part.done\n"
                                          "response.output_item.done\n"
                                          "response.output_item.added\n"
                                          "response.function_call_arguments.delta\n"
                                          "response.function_call_arguments.done\n"
                                          "response.output_item.done\n"
                                          "response.completed\n");
    assert_non_null(strstr(buf_cstr(&out), output));
    json_done(&last);
    buf_done(&types);
    buf_done(&out);
}

static void a_whole_answer_has_the_same_output(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_whole(RESPONSES, &q, script, ARRAY_LEN(script), &out);
    assert_non_null(strstr(buf_cstr(&out), output));
    assert_non_null(strstr(buf_cstr(&out), "\"status\":\"completed\""));
    assert_non_null(strstr(buf_cstr(&out),
                           "\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{"
                           "\"cached_tokens\":2,\"cache_write_tokens\":0},"));
    buf_done(&out);
}

static void what_was_cut_is_incomplete(void **state)
{
    (void)state;
    static const struct exchange_event events[] = {
        {.type = EXCHANGE_EVENT_TEXT, .text = {"H", 1}},
        {.type = EXCHANGE_EVENT_FINISH, .finish = EXCHANGE_FINISH_LENGTH},
        {.type = EXCHANGE_EVENT_END},
    };
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    for (int whole = 0; whole < 2; whole++) {
        if (whole)
            dialects_whole(RESPONSES, &q, events, 3, &out);
        else
            dialects_stream(RESPONSES, &q, events, 3, &out);
        assert_non_null(
            strstr(buf_cstr(&out), "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"));
        assert_non_null(strstr(buf_cstr(&out), "\"type\":\"message\",\"status\":\"incomplete\""));
        assert_true(!whole == (strstr(buf_cstr(&out), "event: response.incomplete\n") != NULL));
        buf_done(&out);
    }
}

static void an_error_in_a_stream_fails_the_response(void **state)
{
    (void)state;
    struct exchange_request q;
    struct api_error e;
    struct buf out, types;
    struct json_doc last;
    exchange_request_init(&q, EXCHANGE_CHAT);
    buf_init(&out, 1 << 20);
    buf_init(&types, 1 << 20);
    struct dialect_stream s = {.request = &q, .head = &dialects_head};
    for (size_t i = 0; i < 4; i++)
        dialect_openai_responses.event(&s, &script[i], &out);
    api_error_set(&e, API_UPSTREAM_CUT, NULL, "it broke off");
    dialect_openai_responses.stream_error(&s, &e, STR("req_1"), &out);
    documents(buf_str(&out), &types, &last);
    assert_non_null(strstr(buf_cstr(&types), "error\nresponse.failed\n"));
    yyjson_val *response = json_get(last.root, "response");
    assert_true(str_eq_z(json_str(json_get(response, "status")), "failed"));
    assert_true(str_eq_z(json_str(json_get(json_get(response, "error"), "code")), "server_error"));
    assert_int_equal(yyjson_arr_size(json_get(response, "output")), 1); // the reasoning was done
    dialect_openai_responses.done(&s);
    json_done(&last);
    buf_done(&types);
    buf_done(&out);
}

// --- Any order of events

static void check_said(const struct events *e, yyjson_val *response)
{
    struct buf want, got;
    yyjson_val *list = json_get(response, "output"), *item;
    size_t i, max, calls = 0;
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    for (i = 0; i < e->len; i++)
        if (e->items[i].type == EXCHANGE_EVENT_TEXT)
            (void)buf_append_str(&want, e->items[i].text);
    yyjson_arr_foreach(list, i, max, item)
    {
        yyjson_val *part = yyjson_arr_get_first(json_get(item, "content"));
        if (yyjson_equals_str(json_get(item, "type"), "message"))
            (void)buf_append_str(&got, json_str(json_get(part, "text")));
        calls += yyjson_equals_str(json_get(item, "type"), "function_call");
    }
    assert_int_equal(calls, e->calls);
    assert_true(str_eq(buf_str(&want), buf_str(&got)));
    buf_done(&want);
    buf_done(&got);
}

static void any_order_of_events_gives_a_response_that_says_it_all(void **state)
{
    (void)state;
    static struct events e;
    struct exchange_request q;
    exchange_request_init(&q, EXCHANGE_CHAT);
    for (uint32_t seed = 0; seed < 2000; seed++) {
        struct buf out, types;
        struct json_doc last;
        buf_init(&types, 1 << 20);
        events_draw(&e, seed);
        dialects_stream(RESPONSES, &q, e.items, e.len, &out);
        documents(buf_str(&out), &types, &last);
        check_said(&e, json_get(last.root, "response"));
        json_done(&last);
        buf_done(&types);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_of_one_turn_are_one_message),
        cmocka_unit_test(the_members_have_their_places),
        cmocka_unit_test(every_wrong_member_is_refused_by_name),
        cmocka_unit_test(a_stream_opens_grows_and_closes_each_item),
        cmocka_unit_test(a_whole_answer_has_the_same_output),
        cmocka_unit_test(what_was_cut_is_incomplete),
        cmocka_unit_test(an_error_in_a_stream_fails_the_response),
        cmocka_unit_test(any_order_of_events_gives_a_response_that_says_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
