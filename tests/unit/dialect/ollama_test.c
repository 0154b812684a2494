// REQ: API-5 API-10 API-11
// Ollama's protocol: what requests say, how wrong ones are refused, what answers and each line of a
// stream look like.
#include "dialect/ollama_common.h"
#include "dialect/ollama_models.h"
#include "support/dialects.h"
#include "support/unit.h"

#define CHAT     &dialect_ollama_chat
#define GENERATE &dialect_ollama_generate
#define EMBED    &dialect_ollama_embed
#define HELLO    "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

// --- Reading

static void a_chat_is_read_whole(void **state)
{
    (void)state;
    struct read r;
    read_body(
        &r, CHAT,
        "{\"model\":\"m:latest\",\"keep_alive\":\"5m\",\"think\":\"high\",\"format\":\"json\","
        "\"logprobs\":true,\"top_logprobs\":2,\"options\":{\"temperature\":0.5,\"top_k\":4,"
        "\"top_p\":0.5,\"min_p\":0.1,\"repeat_penalty\":1.1,\"seed\":7,\"num_predict\":9,"
        "\"stop\":[\"X\"],\"num_thread\":4,\"mirostat\":1},\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]," HELLO "}");
    const struct exchange_request *q = &r.request;
    assert_true(r.ok && q->stream && !q->nothing && q->logprobs);
    assert_true(str_eq_z(q->model, "m") && str_eq_z(q->reasoning_effort, "high"));
    assert_int_equal(q->format, EXCHANGE_FORMAT_JSON);
    assert_true(q->temperature == 0.5 && q->top_k == 4 && q->top_p == 0.5 && q->min_p == 0.1);
    assert_true(q->repetition_penalty == 1.1 && q->seed == 7 && q->tokens_max == 9);
    assert_int_equal(q->stops_len, 1);
    assert_int_equal(q->tools_len, 1);
    assert_int_equal(q->ignored_len, 1);
    assert_true(str_eq_z(q->ignored[0], "options.mirostat"));
    read_done(&r);
}

static void numbers_below_zero_mean_no_limit_and_no_seed(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, CHAT, "{" HELLO ",\"options\":{\"num_predict\":-1,\"seed\":-1}}");
    assert_true(r.ok && r.request.given == 0);
    read_done(&r);
    read_body(&r, CHAT,
              "{" HELLO ",\"stream\":false,\"think\":false,\"options\":{\"num_predict\":0}}");
    assert_true(r.ok && r.request.given == 0 && !r.request.stream);
    assert_true(str_eq_z(r.request.reasoning_effort, "none"));
    read_done(&r);
}

static void results_find_their_calls(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, CHAT,
              "{\"messages\":[{\"role\":\"user\",\"content\":\"w\",\"images\":[\"/9j/AAAA\"]},"
              "{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\",\"tool_calls\":["
              "{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}},"
              "{\"function\":{\"name\":\"g\",\"arguments\":{}}},"
              "{\"id\":\"own\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
              "{\"role\":\"tool\",\"tool_name\":\"g\",\"content\":\"2\"},"
              "{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":\"1\"},"
              "{\"role\":\"tool\",\"content\":\"3\"}]}");
    const struct exchange_message *m = r.request.messages;
    assert_true(r.ok);
    assert_int_equal(r.request.messages_len, 5);
    assert_true(str_eq_z(m[0].parts[1].url, "data:image/jpeg;base64,/9j/AAAA"));
    assert_int_equal(m[1].parts[0].type, EXCHANGE_PART_THINKING);
    assert_true(str_eq_z(m[1].calls[0].arguments, "{\"x\":1}"));
    assert_true(str_eq(m[2].tool_call_id, m[1].calls[1].id) && m[2].tool_call_id.len > 0);
    assert_true(str_eq(m[3].tool_call_id, m[1].calls[0].id));
    assert_true(str_eq_z(m[4].tool_call_id, "own"));
    read_done(&r);
}

static void a_prompt_is_a_turn_or_goes_as_it_is(void **state)
{
    (void)state;
    struct read r;
    read_body(&r, GENERATE, "{\"prompt\":\"hi\",\"system\":\"s\",\"images\":[\"iVBORw\"]}");
    assert_true(r.ok && r.request.kind == EXCHANGE_CHAT);
    assert_int_equal(r.request.messages_len, 2);
    assert_int_equal(r.request.messages[1].parts_len, 2);
    read_done(&r);
    read_body(&r, GENERATE, "{\"prompt\":\"hi\",\"system\":\"s\",\"raw\":true}");
    assert_true(r.ok && r.request.kind == EXCHANGE_COMPLETION);
    assert_true(str_eq_z(r.request.prompts[0].text, "hi"));
    read_done(&r);
    read_body(&r, GENERATE, "{\"model\":\"m\"}");
    assert_true(r.ok && r.request.nothing);
    read_done(&r);
    read_body(&r, CHAT, "{\"model\":\"m\",\"messages\":[]}");
    assert_true(r.ok && r.request.nothing);
    read_done(&r);
}

struct refusal {
    const struct dialect *dialect;
    const char *body, *code, *param;
};

static const struct refusal refusals[] = {
    {CHAT, "{\"model\":7}", "invalid_type", "model"},
    {CHAT, "{\"messages\":{}}", "invalid_type", "messages"},
    {CHAT, "{\"messages\":[7]}", "invalid_type", "messages[0]"},
    {CHAT, "{\"messages\":[{}]}", "missing_required_parameter", "messages[0].role"},
    {CHAT, "{\"messages\":[{\"role\":\"owner\"}]}", "invalid_value", "messages[0].role"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[]}]}", "invalid_type",
     "messages[0].content"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":\"x\"}]}", "invalid_type",
     "messages[0].images"},
    {CHAT, "{\"messages\":[{\"role\":\"user\",\"images\":[7]}]}", "invalid_type",
     "messages[0].images"},
    {CHAT, "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{}]}]}", "invalid_type",
     "messages[0].tool_calls[0].function"},
    {CHAT,
     "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
     "\"arguments\":[]}}]}]}",
     "invalid_type", "messages[0].tool_calls[0].function.arguments"},
    {CHAT, "{" HELLO ",\"options\":[]}", "invalid_type", "options"},
    {CHAT, "{" HELLO ",\"options\":{\"temperature\":9}}", "above_max_value", "options.temperature"},
    {CHAT, "{" HELLO ",\"options\":{\"stop\":7}}", "invalid_type", "options.stop"},
    {CHAT, "{" HELLO ",\"options\":{\"seed\":\"x\"}}", "invalid_type", "options.seed"},
    {CHAT, "{" HELLO ",\"format\":\"yaml\"}", "invalid_value", "format"},
    {CHAT, "{" HELLO ",\"think\":\"hard\"}", "invalid_value", "think"},
    {CHAT, "{" HELLO ",\"top_logprobs\":2}", "invalid_value", "top_logprobs"},
    {CHAT, "{" HELLO ",\"stream\":1}", "invalid_type", "stream"},
    {GENERATE, "{\"prompt\":7}", "invalid_type", "prompt"},
    {GENERATE, "{\"prompt\":\"x\",\"suffix\":\"y\"}", "unsupported_parameter", "suffix"},
    {GENERATE, "{\"prompt\":\"x\",\"context\":[1]}", "unsupported_parameter", "context"},
    {GENERATE, "{\"prompt\":\"x\",\"template\":\"y\"}", "unsupported_parameter", "template"},
    {GENERATE, "{\"prompt\":\"x\",\"images\":7}", "invalid_type", "images"},
    {EMBED, "{}", "missing_required_parameter", "input"},
    {EMBED, "{\"input\":[]}", "empty_array", "input"},
    {&dialect_ollama_embeddings, "{\"prompt\":[\"x\"]}", "invalid_type", "prompt"},
    {&dialect_ollama_show, "{\"name\":7}", "invalid_type", "model"},
};

static void every_wrong_member_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct read r;
        read_body(&r, refusals[i].dialect, refusals[i].body);
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
    {.type = EXCHANGE_EVENT_TEXT, .text = {"Hi", 2}},
    {.type = EXCHANGE_EVENT_CALL, .call = {.id = {"t1", 2}, .name = {"f", 1}}},
    {.type = EXCHANGE_EVENT_ARGUMENTS, .text = {"{\"x\"", 4}},
    {.type = EXCHANGE_EVENT_ARGUMENTS, .text = {":1}", 3}},
    {.type = EXCHANGE_EVENT_FINISH, .finish = EXCHANGE_FINISH_TOOL_CALLS},
    {.type = EXCHANGE_EVENT_END, .usage = {.prompt_tokens = 9, .completion_tokens = 5}},
};

#define HEAD "{\"model\":\"m\",\"created_at\":\"2023-11-14T22:13:20.000Z\","
#define CALLS                                                                                      \
    "\"tool_calls\":[{\"id\":\"t1\",\"function\":{\"index\":0,\"name\":\"f\",\"arguments\":{"      \
    "\"x\":1}}}]"
#define LAST                                                                                       \
    "\"done\":true,\"done_reason\":\"stop\",\"total_duration\":4000000,\"load_duration\":0,"       \
    "\"prompt_eval_count\":9,\"prompt_eval_duration\":1000000,\"eval_count\":5,"                   \
    "\"eval_duration\":2000000}"

static void a_stream_is_a_line_an_event(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_stream(CHAT, &q, script, ARRAY_LEN(script), &out);
    assert_string_equal(
        buf_cstr(&out), HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}"
        "\n" HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\"," CALLS "},\"done\":false}\n" HEAD
        "\"message\":{\"role\":\"assistant\",\"content\":\"\"}," LAST "\n");
    buf_done(&out);
}

static void a_whole_answer_is_one_object(void **state)
{
    (void)state;
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    dialects_whole(CHAT, &q, script, ARRAY_LEN(script), &out);
    assert_string_equal(buf_cstr(&out),
                        HEAD "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\","
                             "\"thinking\":\"hm\"," CALLS "}," LAST);
    buf_done(&out);
    dialects_whole(GENERATE, &q, script, 3, &out);
    assert_non_null(
        strstr(buf_cstr(&out), HEAD "\"response\":\"Hi\",\"thinking\":\"hm\",\"done\":true"));
    buf_done(&out);
}

static void a_score_goes_out_with_its_text_or_alone(void **state)
{
    (void)state;
    static const struct exchange_token token = {
        .bytes = {"H", 1}, .logprob = -0.5f, .scored = true};
    static const struct exchange_event events[] = {
        {.type = EXCHANGE_EVENT_TEXT, .text = {"H", 1}, .tokens = &token, .tokens_len = 1},
        {.type = EXCHANGE_EVENT_TEXT, .tokens = &token, .tokens_len = 1},
    };
    struct exchange_request q;
    struct buf out;
    exchange_request_init(&q, EXCHANGE_CHAT);
    q.logprobs = true;
    dialects_stream(CHAT, &q, events, 2, &out);
    const char *logprobs = "\"logprobs\":[{\"token\":\"H\",\"logprob\":-0.5,\"bytes\":[72],"
                           "\"top_logprobs\":[]}],\"done\":false}\n";
    const char *first = strstr(buf_cstr(&out), logprobs);
    assert_non_null(first);
    assert_non_null(strstr(first + 1, logprobs));
    buf_done(&out);
}

// --- Any order of events

static void check_line(str text, bool last, struct buf *said, size_t *calls)
{
    struct json_doc doc;
    assert_int_equal(json_parse(&doc, text, JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    yyjson_val *message = json_get(doc.root, "message");
    yyjson_val *list = json_get(message, "tool_calls");
    assert_true(yyjson_get_bool(json_get(doc.root, "done")) == last);
    (void)buf_append_str(said, json_str(json_get(message, "content")));
    for (size_t i = 0; i < yyjson_arr_size(list); i++)
        assert_true(
            yyjson_is_obj(json_get(json_get(yyjson_arr_get(list, i), "function"), "arguments")));
    *calls += yyjson_arr_size(list);
    json_done(&doc);
}

static void any_order_of_events_gives_whole_lines(void **state)
{
    (void)state;
    static struct events e;
    struct exchange_request q;
    exchange_request_init(&q, EXCHANGE_CHAT);
    for (uint32_t seed = 0; seed < 2000; seed++) {
        struct buf out, want, said;
        size_t calls = 0;
        str text;
        buf_init(&want, 1 << 20);
        buf_init(&said, 1 << 20);
        events_draw(&e, seed);
        for (size_t i = 0; i < e.len; i++)
            if (e.items[i].type == EXCHANGE_EVENT_TEXT)
                (void)buf_append_str(&want, e.items[i].text);
        dialects_stream(CHAT, &q, e.items, e.len, &out);
        str rest = buf_str(&out);
        while (str_split(&rest, '\n', &text))
            check_line(text, !rest.len, &said, &calls);
        assert_int_equal(calls, e.calls);
        assert_true(str_eq(buf_str(&want), buf_str(&said)));
        buf_done(&out);
        buf_done(&want);
        buf_done(&said);
    }
}

// --- Models

static void a_model_is_told_with_its_facts(void **state)
{
    (void)state;
    static const struct ollama_model m = {.name = {"a", 1},
                                          .root = {"b", 1},
                                          .modified_s = 1700000000,
                                          .context_max = 512,
                                          .architecture = {"llama", 5},
                                          .quantization = {"Q4_1", 4},
                                          .parameters = 135000000,
                                          .bytes = 98,
                                          .tools = true};
    struct buf out;
    struct json_doc doc;
    buf_init(&out, 65536);
    ollama_models_list(&m, 1, &out);
    assert_int_equal(json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    yyjson_val *item = yyjson_arr_get_first(json_get(doc.root, "models"));
    assert_int_equal(json_str(json_get(item, "digest")).len, 64);
    assert_true(str_eq_z(json_str(json_get(json_get(item, "details"), "parameter_size")), "135M"));
    assert_true(str_eq_z(json_str(json_get(json_get(item, "details"), "parent_model")), "b"));
    json_done(&doc);
    buf_clear(&out);
    ollama_models_show(&m, &out);
    assert_non_null(strstr(buf_cstr(&out), "\"llama.context_length\":512"));
    assert_non_null(
        strstr(buf_cstr(&out), "\"capabilities\":[\"completion\",\"tools\",\"embedding\"]"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chat_is_read_whole),
        cmocka_unit_test(numbers_below_zero_mean_no_limit_and_no_seed),
        cmocka_unit_test(results_find_their_calls),
        cmocka_unit_test(a_prompt_is_a_turn_or_goes_as_it_is),
        cmocka_unit_test(every_wrong_member_is_refused_by_name),
        cmocka_unit_test(a_stream_is_a_line_an_event),
        cmocka_unit_test(a_whole_answer_is_one_object),
        cmocka_unit_test(a_score_goes_out_with_its_text_or_alone),
        cmocka_unit_test(any_order_of_events_gives_whole_lines),
        cmocka_unit_test(a_model_is_told_with_its_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
