// REQ: API-1 API-2 API-4 API-10
// What a request body says in OpenAI's three shapes, and how each wrong one is refused: with which
// code, naming which member.
#include "dialect/dialect.h"
#include "support/dialects.h"
#include "support/unit.h"

struct refusal {
    const struct dialect *dialect;
    const char *body, *code, *param;
};

#define CHAT  &dialect_openai_chat
#define TEXT  &dialect_openai_completions
#define EMBED &dialect_openai_embeddings
#define HELLO "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct refusal refusals[] = {
    {CHAT, "{}", "missing_required_parameter", "messages"},
    {CHAT, "{\"messages\":null}", "missing_required_parameter", "messages"},
    {CHAT, "{\"messages\":\"hi\"}", "invalid_type", "messages"},
    {CHAT, "{\"messages\":[]}", "empty_array", "messages"},
    {CHAT, "{\"messages\":[7]}", "invalid_type", "messages[0]"},
    {CHAT, "{\"messages\":[{}]}", "missing_required_parameter", "messages[0].role"},
    {CHAT, "{\"messages\":[{\"role\":\"user\"}]}", "missing_required_parameter",
     "messages[0].content"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":null}]}", "invalid_type",
     "messages[0].content"},
    {CHAT,
     "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":5}]}",
     "invalid_type", "messages[1].content"},
    {CHAT, "{\"messages\":[{\"role\":\"owner\",\"content\":\"a\"}]}", "invalid_value",
     "messages[0].role"},
    {CHAT, "{\"messages\":[{\"role\":1,\"content\":\"a\"}]}", "invalid_type", "messages[0].role"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "empty_array",
     "messages[0].content"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}]}",
     "missing_required_parameter", "messages[0].content[0].text"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"poem\"}]}]}",
     "invalid_value", "messages[0].content[0].type"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{}]}]}", "missing_required_parameter",
     "messages[0].content[0].type"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[\"a\"]}]}", "invalid_type",
     "messages[0].content[0]"},
    {CHAT,
     "{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
     "\"url\":\"data:\"}}]}]}",
     "invalid_value", "messages[0].content[0].type"},
    {CHAT, "{\"messages\":[{\"role\":\"tool\",\"content\":\"4\"}]}", "missing_required_parameter",
     "messages[0].tool_call_id"},
    {CHAT, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "invalid_type",
     "messages[0].tool_calls[0].function"},
    {CHAT,
     "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
     "\"arguments\":{}}}]}]}",
     "invalid_type", "messages[0].tool_calls[0].function.arguments"},
    {CHAT, "{" HELLO ",\"temperature\":\"hot\"}", "invalid_type", "temperature"},
    {CHAT, "{" HELLO ",\"temperature\":2.1}", "above_max_value", "temperature"},
    {CHAT, "{" HELLO ",\"temperature\":-1e308}", "below_min_value", "temperature"},
    {CHAT, "{" HELLO ",\"temperature\":1e999}", "invalid_value", "temperature"},
    {CHAT, "{" HELLO ",\"top_p\":1.5}", "above_max_value", "top_p"},
    {CHAT, "{" HELLO ",\"max_tokens\":0}", "below_min_value", "max_tokens"},
    {CHAT, "{" HELLO ",\"max_tokens\":-5}", "below_min_value", "max_tokens"},
    {CHAT, "{" HELLO ",\"max_tokens\":1.5}", "invalid_type", "max_tokens"},
    {CHAT, "{" HELLO ",\"max_tokens\":\"9\"}", "invalid_type", "max_tokens"},
    {CHAT, "{" HELLO ",\"max_completion_tokens\":1e30}", "above_max_value",
     "max_completion_tokens"},
    {CHAT, "{" HELLO ",\"max_completion_tokens\":[]}", "invalid_type", "max_completion_tokens"},
    {CHAT, "{" HELLO ",\"n\":0}", "below_min_value", "n"},
    {CHAT, "{" HELLO ",\"n\":129}", "above_max_value", "n"},
    {CHAT, "{" HELLO ",\"seed\":1.25}", "invalid_type", "seed"},
    {CHAT, "{" HELLO ",\"seed\":99999999999999999999}", "above_max_value", "seed"},
    {CHAT, "{" HELLO ",\"stop\":7}", "invalid_type", "stop"},
    {CHAT, "{" HELLO ",\"stop\":\"\"}", "invalid_value", "stop"},
    {CHAT, "{" HELLO ",\"stop\":[\"a\",7]}", "invalid_type", "stop[1]"},
    {CHAT,
     "{" HELLO ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"a\",\"b\",\"c\","
     "\"d\",\"e\",\"f\",\"g\",\"h\"]}",
     "array_above_max_length", "stop"},
    {CHAT, "{" HELLO ",\"logprobs\":5}", "invalid_type", "logprobs"},
    {CHAT, "{" HELLO ",\"top_logprobs\":5}", "invalid_value", "top_logprobs"},
    {CHAT, "{" HELLO ",\"logprobs\":true,\"top_logprobs\":21}", "above_max_value", "top_logprobs"},
    {CHAT, "{" HELLO ",\"logit_bias\":[]}", "invalid_type", "logit_bias"},
    {CHAT, "{" HELLO ",\"logit_bias\":{\"x\":1}}", "invalid_value", "logit_bias"},
    {CHAT, "{" HELLO ",\"logit_bias\":{\"5\":101}}", "above_max_value", "logit_bias"},
    {CHAT, "{" HELLO ",\"stream\":\"yes\"}", "invalid_type", "stream"},
    {CHAT, "{" HELLO ",\"stream_options\":{\"include_usage\":true}}", "invalid_value",
     "stream_options"},
    {CHAT, "{" HELLO ",\"stream\":true,\"stream_options\":7}", "invalid_type", "stream_options"},
    {CHAT, "{" HELLO ",\"stream\":true,\"stream_options\":{\"include_usage\":1}}", "invalid_type",
     "stream_options.include_usage"},
    {CHAT, "{" HELLO ",\"tools\":{}}", "invalid_type", "tools"},
    {CHAT,
     "{" HELLO ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"
     "{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
     "invalid_value", "tools"},
    {CHAT, "{" HELLO ",\"guided_regex\":\"\"}", "invalid_value", "guided_regex"},
    {CHAT, "{" HELLO ",\"grammar\":[]}", "invalid_type", "grammar"},
    {CHAT, "{" HELLO ",\"tools\":[{\"type\":\"retrieval\"}]}", "invalid_value", "tools[0].type"},
    {CHAT, "{" HELLO ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"two words\"}}]}",
     "invalid_value", "tools[0].function.name"},
    {CHAT,
     "{" HELLO
     ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":3}}]}",
     "invalid_type", "tools[0].function.parameters"},
    {CHAT, "{" HELLO ",\"tool_choice\":\"perhaps\"}", "invalid_value", "tool_choice"},
    {CHAT, "{" HELLO ",\"tool_choice\":\"required\"}", "invalid_value", "tool_choice"},
    {CHAT, "{" HELLO ",\"tool_choice\":{\"type\":\"function\"}}", "missing_required_parameter",
     "tool_choice.function.name"},
    {CHAT, "{" HELLO ",\"response_format\":\"json\"}", "invalid_type", "response_format"},
    {CHAT, "{" HELLO ",\"response_format\":{\"type\":\"xml\"}}", "invalid_value",
     "response_format.type"},
    {CHAT, "{" HELLO ",\"response_format\":{\"type\":\"json_schema\"}}",
     "missing_required_parameter", "response_format.json_schema"},
    {CHAT, "{" HELLO ",\"response_format\":{\"type\":\"json_object\",\"schema\":[]}}",
     "invalid_type", "response_format.schema"},
    {CHAT, "{" HELLO ",\"functions\":[{}]}", "unsupported_parameter", "functions"},
    {CHAT, "{" HELLO ",\"modalities\":[\"audio\"]}", "unsupported_parameter", "modalities"},
    {CHAT, "{" HELLO ",\"prediction\":\"x\"}", "invalid_type", "prediction"},
    {CHAT, "{" HELLO ",\"prediction\":{\"content\":\"x\"}}", "invalid_value", "prediction.type"},
    {CHAT, "{" HELLO ",\"prediction\":{\"type\":\"content\"}}", "missing_required_parameter",
     "prediction.content"},
    {CHAT, "{" HELLO ",\"prediction\":{\"type\":\"content\",\"content\":3}}", "invalid_type",
     "prediction.content"},
    {CHAT, "{" HELLO ",\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"file\"}]}}",
     "invalid_value", "prediction.content[0].type"},
    {CHAT, "{" HELLO ",\"model\":5}", "invalid_type", "model"},
    {TEXT, "{}", "missing_required_parameter", "prompt"},
    {TEXT, "{\"prompt\":{}}", "invalid_type", "prompt"},
    {TEXT, "{\"prompt\":[]}", "empty_array", "prompt"},
    {TEXT, "{\"prompt\":[[]]}", "empty_array", "prompt[0]"},
    {TEXT, "{\"prompt\":[1,\"a\"]}", "invalid_type", "prompt[1]"},
    {TEXT, "{\"prompt\":[1,-1]}", "invalid_value", "prompt[1]"},
    {TEXT, "{\"prompt\":[\"a\",true]}", "invalid_type", "prompt[1]"},
    {TEXT, "{\"prompt\":\"a\",\"suffix\":\"b\"}", "unsupported_parameter", "suffix"},
    {TEXT, "{\"prompt\":\"a\",\"best_of\":3}", "unsupported_parameter", "best_of"},
    {TEXT, "{\"prompt\":\"a\",\"logprobs\":21}", "above_max_value", "logprobs"},
    {TEXT, "{\"prompt\":\"a\",\"logprobs\":-1}", "below_min_value", "logprobs"},
    {TEXT, "{\"prompt\":\"a\",\"max_tokens\":0}", "below_min_value", "max_tokens"},
    {EMBED, "{}", "missing_required_parameter", "input"},
    {EMBED, "{\"input\":\"\"}", "invalid_value", "input"},
    {EMBED, "{\"input\":[\"\"]}", "invalid_value", "input"},
    {EMBED, "{\"input\":[]}", "empty_array", "input"},
    {EMBED, "{\"input\":\"a\",\"encoding_format\":\"int8\"}", "invalid_value", "encoding_format"},
    {EMBED, "{\"input\":\"a\",\"dimensions\":0}", "below_min_value", "dimensions"},
};

static void every_wrong_member_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *t = &refusals[i];
        struct read r;
        read_body(&r, t->dialect, t->body);
        if (r.ok)
            fail_msg("taken: %s", t->body);
        const char *code = api_error_row(r.error.code)->name;
        if (strcmp(code, t->code) != 0 || strcmp(r.error.param, t->param) != 0)
            fail_msg("%s: %s %s (%s), not %s %s", t->body, code, r.error.param, r.error.message,
                     t->code, t->param);
        assert_true(strlen(r.error.message) > 10);
        read_done(&r);
    }
}

static void a_chat_is_read_whole(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, CHAT,
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},"
        "{\"role\":\"user\",\"name\":\"ann\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y.png\"}}]},"
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"add\",\"arguments\":\"{}\"}}]},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"4\"}],"
        "\"temperature\":0,\"top_p\":0.5,\"top_k\":40,\"min_p\":0.1,\"seed\":-7,\"n\":2,"
        "\"stop\":[\"x\",\"yy\"],\"logprobs\":true,\"top_logprobs\":3,"
        "\"logit_bias\":{\"17\":-100,\"3\":2.5},\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"max_tokens\":9,"
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"description\":"
        "\"adds\",\"parameters\":{\"type\":\"object\"}}}],\"tool_choice\":\"auto\","
        "\"prediction\":{\"type\":\"content\",\"content\":[{\"type\":\"text\",\"text\":\"may\"},"
        "{\"type\":\"text\",\"text\":\" be\"}]},"
        "\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"store\":false,\"frobnicate\":1}");
    assert_true(r.ok);
    const struct exchange_request *q = &r.request;
    assert_int_equal(q->messages_len, 4);
    assert_int_equal(q->messages[1].parts_len, 2);
    assert_true(str_eq(q->messages[1].name, STR("ann")));
    assert_int_equal(q->messages[1].parts[1].type, EXCHANGE_PART_IMAGE);
    assert_true(str_eq(q->messages[1].parts[1].url, STR("https://x/y.png")));
    assert_true(str_eq(q->messages[2].calls[0].name, STR("add")));
    assert_true(str_eq(q->messages[3].tool_call_id, STR("c1")));
    assert_true(q->temperature == 0 && q->top_p == 0.5 && q->min_p == 0.1);
    assert_int_equal(q->top_k, 40);
    assert_true(str_eq(q->prediction, STR("may be")));
    assert_int_equal(q->seed, -7);
    assert_int_equal(q->n, 2);
    assert_int_equal(q->stops_len, 2);
    assert_int_equal(q->top_logprobs, 3);
    assert_int_equal(q->bias_len, 2);
    assert_int_equal(q->bias[0].token, 17);
    assert_true(q->bias[1].bias == 2.5f);
    assert_true(q->stream && q->include_usage && q->logprobs);
    assert_int_equal(q->tokens_max, 9);
    assert_int_equal(q->tools_len, 1);
    assert_true(q->given & EXCHANGE_HAS_TEMPERATURE);
    assert_false(q->given & EXCHANGE_HAS_PRESENCE);
    assert_int_equal(q->ignored_len, 1);
    assert_true(str_eq(q->ignored[0], STR("frobnicate")));
    assert_int_equal(exchange_choices(q), 2);
    read_done(&r);
}

static void the_newer_name_of_the_limit_wins_in_any_order(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, CHAT, "{" HELLO ",\"max_tokens\":5,\"max_completion_tokens\":9}");
    assert_int_equal(r.request.tokens_max, 9);
    read_done(&r);
    read_body(&r, CHAT, "{" HELLO ",\"max_completion_tokens\":9,\"max_tokens\":5}");
    assert_int_equal(r.request.tokens_max, 9);
    read_done(&r);
    read_body(&r, CHAT, "{" HELLO "}");
    assert_false(r.request.given & EXCHANGE_HAS_TOKENS_MAX);
    read_done(&r);
}

static void what_nobody_reads_is_named(void **state)
{
    static const struct {
        const char *members, *ignored;
    } rows[] = {
        {"\"response_format\":{\"type\":\"text\"}", NULL},
        {"\"response_format\":{\"type\":\"json_object\",\"depth\":1}", "response_format.depth"},
        {"\"response_format\":{\"type\":\"text\",\"schema\":{}}", "response_format.schema"},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
         "\"strict\":true,\"schema\":{}}}",
         NULL},
        {"\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"shape\":{}}}",
         "response_format.json_schema.shape"},
        {"\"structured_outputs\":{\"regex\":\"a\",\"whitespace_pattern\":\"b\"}",
         "structured_outputs.whitespace_pattern"},
        {"\"web_search_options\":{}", "web_search_options"},
        {"\"audio\":{}", "audio"},
        {"\"functions\":[]", NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct read r;
        char body[256];
        snprintf(body, sizeof body, "{" HELLO ",%s}", rows[i].members);
        read_body(&r, CHAT, body);
        if (!r.ok)
            fail_msg("%s: %s", body, r.error.message);
        assert_int_equal(r.request.ignored_len, rows[i].ignored ? 1 : 0);
        if (rows[i].ignored && !str_eq_z(r.request.ignored[0], rows[i].ignored))
            fail_msg("%s: " STR_FMT, body, STR_ARG(r.request.ignored[0]));
        read_done(&r);
    }
}

static void a_schema_may_stand_in_the_form_itself(void **state)
{
    (void)state;
    struct read r;
    static const char *const types[] = {"json_object", "json_schema"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{" HELLO ",\"response_format\":{\"type\":\"%s\",\"schema\":{\"type\":\"null\"}}}",
                 types[i]);
        read_body(&r, CHAT, body);
        assert_int_equal(r.request.format, EXCHANGE_FORMAT_SCHEMA);
        assert_true(yyjson_equals_str(json_get(r.request.schema, "type"), "null"));
        assert_int_equal(r.request.ignored_len, 0);
        read_done(&r);
    }
    read_body(&r, CHAT, "{" HELLO ",\"response_format\":{\"type\":\"json_object\",\"schema\":{}}}");
    assert_int_equal(r.request.format, EXCHANGE_FORMAT_JSON);
    read_done(&r);
}

static void null_is_absent(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, CHAT,
              "{" HELLO ",\"temperature\":null,\"stop\":null,\"tools\":null,\"logit_bias\":null,"
              "\"response_format\":null,\"max_tokens\":null,\"logprobs\":null,\"functions\":null}");
    assert_true(r.ok);
    assert_int_equal(r.request.given, 0);
    assert_int_equal(r.request.ignored_len, 0);
    read_done(&r);
}

static void prompts_come_as_text_or_ids_alone_or_in_lists(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, TEXT, "{\"prompt\":\"once\"}");
    assert_true(r.ok && r.request.prompts_len == 1 && !r.request.prompts[0].is_ids);
    read_done(&r);
    read_body(&r, TEXT, "{\"prompt\":[\"a\",\"b\"],\"n\":3}");
    assert_int_equal(exchange_choices(&r.request), 6);
    read_done(&r);
    read_body(&r, TEXT, "{\"prompt\":[5,6,7]}");
    assert_true(r.ok && r.request.prompts_len == 1 && r.request.prompts[0].is_ids);
    assert_int_equal(r.request.prompts[0].ids[2], 7);
    read_done(&r);
    read_body(&r, TEXT, "{\"prompt\":[[5],[6,7]],\"echo\":true,\"max_tokens\":0,\"logprobs\":1}");
    assert_true(r.ok && r.request.prompts_len == 2);
    assert_int_equal(r.request.prompts[1].ids_len, 2);
    assert_true(r.request.echo && r.request.logprobs && r.request.top_logprobs == 1);
    read_done(&r);
}

static void a_code_is_found_by_its_name_and_every_row_is_filled(void **state)
{
    (void)state;
    for (int code = API_OK + 1; code < API_ERROR_COUNT; code++) {
        const struct api_error_row *row = api_error_row((enum api_error_code)code);
        assert_non_null(row->name);
        assert_true(row->status >= 400 && row->status < 600);
        assert_int_equal(api_error_find(row->name, 0), code);
    }
    assert_int_equal(api_error_find("something_new", 404), API_MODEL_NOT_FOUND);
    assert_int_equal(api_error_find("something_new", 418), API_BAD_REQUEST);
    assert_int_equal(api_error_find("something_new", 599), API_INTERNAL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_wrong_member_is_refused_by_name),
        cmocka_unit_test(a_chat_is_read_whole),
        cmocka_unit_test(the_newer_name_of_the_limit_wins_in_any_order),
        cmocka_unit_test(what_nobody_reads_is_named),
        cmocka_unit_test(a_schema_may_stand_in_the_form_itself),
        cmocka_unit_test(null_is_absent),
        cmocka_unit_test(prompts_come_as_text_or_ids_alone_or_in_lists),
        cmocka_unit_test(a_code_is_found_by_its_name_and_every_row_is_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
