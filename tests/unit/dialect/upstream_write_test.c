// REQ: PROV-2 PROV-3 PROV-4 PROV-5 PROV-6
// A client's request as a provider of another format gets it, and what is lost on the way by name;
// the same format travels as it came, but for what changes.
#include <stdio.h>

#include "dialect/upstream.h"
#include "support/unit.h"

#define CHAT      &dialect_openai_chat
#define COMPLETE  &dialect_openai_completions
#define EMBED     &dialect_openai_embeddings
#define MESSAGES  &dialect_anthropic_messages
#define OPENAI    &upstream_openai_chat
#define ANTHROPIC &upstream_anthropic_messages
#define OLLAMA    &upstream_ollama_chat
#define HELLO     "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

struct row {
    const char *what;
    const struct dialect *client;
    const struct upstream_dialect *upstream;
    const char *request;
    const char *expected; // NULL: refused
    const char *losses;   // "a,b"; of a refusal: "code param"
};

static const struct row rows[] = {
    // --- the same format
    {"spliced: the model alone changes", CHAT, OPENAI,
     "{ \"model\" : "
     "\"up/x\",\"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069\"}],\"zebra\":1e2 }",
     "{ \"model\" : "
     "\"M\",\"messages\":[{\"role\":\"user\",\"content\":\"h\\u0069\"}],\"zebra\":1e2 }",
     ""},
    {"spliced: a stream asks for usage", CHAT, OPENAI, "{" HELLO ",\"stream\":true}",
     "{" HELLO ",\"stream\":true,\"model\":\"M\",\"stream_options\":{\"include_usage\":true}}", ""},
    {"spliced: other stream options stay", CHAT, OPENAI,
     "{" HELLO ",\"stream\":true,\"model\":\"x\",\"stream_options\":{\"include_obfuscation\":false,"
     "\"include_usage\":false}}",
     "{" HELLO ",\"stream\":true,\"model\":\"M\",\"stream_options\":{\"include_obfuscation\":false,"
     "\"include_usage\":true}}",
     ""},
    {"spliced: Anthropic's own", MESSAGES, ANTHROPIC,
     "{\"model\":\"x\",\"max_tokens\":5," HELLO ",\"system\":[{\"type\":\"text\",\"text\":\"s\","
     "\"cache_control\":{\"type\":\"ephemeral\"}}]}",
     "{\"model\":\"M\",\"max_tokens\":5," HELLO ",\"system\":[{\"type\":\"text\",\"text\":\"s\","
     "\"cache_control\":{\"type\":\"ephemeral\"}}]}",
     ""},
    {"spliced: Ollama's own", &dialect_ollama_chat, OLLAMA,
     "{\"model\":\"x\"," HELLO
     ",\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":9,\"num_predict\":3}}",
     "{\"model\":\"M\"," HELLO
     ",\"keep_alive\":\"5m\",\"options\":{\"num_ctx\":9,\"num_predict\":3}}",
     ""},
    // --- OpenAI's chat to Anthropic
    {"system prompts apart, results merged, roles alternate", CHAT, ANTHROPIC,
     "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"},"
     "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":null,\"tool_"
     "calls\":["
     "{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\": "
     "1}\"}},"
     "{\"id\":\"2\",\"type\":\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}]},"
     "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\"},{\"role\":\"tool\",\"tool_call_"
     "id\":\"2\","
     "\"content\":\"q\"},{\"role\":\"developer\",\"content\":\"t\"},{\"role\":\"user\",\"content\":"
     "\"c\"}]}",
     "{\"model\":\"M\",\"max_tokens\":99,\"system\":\"s\\nt\",\"messages\":[{\"role\":\"user\","
     "\"content\":["
     "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":"
     "\"assistant\",\"content\":["
     "{\"type\":\"tool_use\",\"id\":\"1\",\"name\":\"f\",\"input\":{\"x\": 1}},"
     "{\"type\":\"tool_use\",\"id\":\"2\",\"name\":\"g\",\"input\":{}}]},{\"role\":\"user\","
     "\"content\":["
     "{\"type\":\"tool_result\",\"tool_use_id\":\"1\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"r\"}]},"
     "{\"type\":\"tool_result\",\"tool_use_id\":\"2\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"q\"}]},"
     "{\"type\":\"text\",\"text\":\"c\"}]}]}",
     ""},
    {"images and files, empty texts left out", CHAT, ANTHROPIC,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},{\"type\":"
     "\"image_url\","
     "\"image_url\":{\"url\":\"data:image/"
     "png;base64,QQ==\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
     "\"https://e.org/x\"}},{\"type\":\"file\",\"file\":{\"file_data\":\"data:application/"
     "pdf;base64,Qg==\"}},"
     "{\"type\":\"input_audio\",\"input_audio\":{}}]}]}",
     "{\"model\":\"M\",\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"image\","
     "\"source\":{\"type\":\"base64\",\"media_type\":\"image/"
     "png\",\"data\":\"QQ==\"}},{\"type\":\"image\","
     "\"source\":{\"type\":\"url\",\"url\":\"https://e.org/"
     "x\"}},{\"type\":\"document\",\"source\":{\"type\":"
     "\"base64\",\"media_type\":\"application/pdf\",\"data\":\"Qg==\"}}]}]}",
     "messages[0].content[4]"},
    {"sampling, and what has no word", CHAT, ANTHROPIC,
     "{" HELLO
     ",\"temperature\":1.5,\"top_p\":0.5,\"top_k\":7,\"seed\":3,\"presence_penalty\":1,\"stop\":["
     "\"x\",\" \"],\"user\":\"u\",\"max_completion_tokens\":12,\"logprobs\":true,\"stream\":true}",
     "{\"model\":\"M\",\"max_tokens\":12,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":"
     "\"hi\"}]}],\"top_p\":0.5,\"top_k\":7,\"stop_sequences\":[\"x\"],\"metadata\":{\"user_id\":"
     "\"u\"},\"stream\":"
     "true,\"temperature\":1.0}",
     "temperature,stop[1],presence_penalty,seed,logprobs"},
    {"effort becomes a budget within a limit", CHAT, ANTHROPIC,
     "{" HELLO ",\"reasoning_effort\":\"medium\",\"prediction\":{\"type\":\"content\","
     "\"content\":\"x\"}}",
     "{\"model\":\"M\",\"max_tokens\":4195,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":"
     "\"hi\"}]}],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":4096}}",
     "prediction"},
    {"tools, one at a time", CHAT, ANTHROPIC,
     "{" HELLO ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":"
     "\"d\",\"parameters\":"
     "{\"type\":\"object\",\"oneOf\":[{}]},\"strict\":true}},{\"type\":\"function\",\"function\":{"
     "\"name\":\"g\"}}],"
     "\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
     "{\"model\":\"M\",\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":"
     "\"hi\"}]}],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":"
     "\"object\",\"oneOf\":[{}]},"
     "\"strict\":true},{\"name\":\"g\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}],"
     "\"tool_choice\":{"
     "\"type\":\"any\",\"disable_parallel_tool_use\":true}}",
     ""},
    {"a schema for the answer", CHAT, ANTHROPIC,
     "{" HELLO ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
     "\"schema\":{\"type\":"
     "\"object\"}}}}",
     "{\"model\":\"M\",\"max_tokens\":99,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":"
     "\"hi\"}]}],\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\":"
     "\"object\"}}}}",
     ""},
    {"arguments that are no object", CHAT, ANTHROPIC,
     "{\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\","
     "\"function\":{\"name\":"
     "\"f\",\"arguments\":\"{oops\"}}]}]}",
     NULL, "invalid_value messages[0].tool_calls[0].function.arguments"},
    {"several choices", CHAT, ANTHROPIC, "{" HELLO ",\"n\":2}", NULL, "unsupported_parameter n"},
    // --- OpenAI's chat to Ollama
    {"a conversation with tools", CHAT, OLLAMA,
     "{\"messages\":[{\"role\":\"developer\",\"content\":\"s\"},{\"role\":\"assistant\","
     "\"content\":null,"
     "\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"\"}}]},{\"role\":"
     "\"tool\",\"tool_call_id\":\"1\",\"content\":\"r\"}],\"tools\":[{\"type\":\"function\","
     "\"function\":{\"name\":\"f\"}}],"
     "\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"stream\":true}",
     "{\"model\":\"M\",\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":"
     "\"assistant\",\"content\":\"\","
     "\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":{}}}]},{\"role\":"
     "\"tool\",\"content\":\"r\","
     "\"tool_name\":\"f\",\"tool_call_id\":\"1\"}],\"tools\":[{\"type\":\"function\",\"function\":{"
     "\"name\":\"f\","
     "\"description\":\"\"}}],\"stream\":true,\"options\":{}}",
     "tool_choice,parallel_tool_calls"},
    {"options, format, effort", CHAT, OLLAMA,
     "{" HELLO ",\"temperature\":0.5,\"top_k\":3,\"repetition_penalty\":1.5,\"seed\":-4,\"max_"
     "tokens\":9,\"stop\":\"x\","
     "\"response_format\":{\"type\":\"json_object\"},\"reasoning_effort\":\"minimal\",\"user\":"
     "\"u\",\"min_tokens\":2}",
     "{\"model\":\"M\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"format\":\"json\","
     "\"think\":\"low\","
     "\"stream\":false,\"options\":{\"temperature\":0.5,\"repeat_penalty\":1.5,\"top_k\":3,"
     "\"seed\":-4,\"num_predict\":9,"
     "\"stop\":[\"x\"]}}",
     "user,min_tokens"},
    {"an image", CHAT, OLLAMA,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
     "\"image_url\","
     "\"image_url\":{\"url\":\"data:image/png;base64,QQ==\"}}]}]}",
     "{\"model\":\"M\",\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"images\":[\"QQ==\"]}],"
     "\"stream\":false,"
     "\"options\":{}}",
     ""},
    {"an image elsewhere", CHAT, OLLAMA,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
     "\"url\":"
     "\"https://e.org/x\"}}]}]}",
     NULL, "images_unsupported messages[0].content[0]"},
    {"a completion", COMPLETE, &upstream_ollama_generate,
     "{\"prompt\":\"x\",\"max_tokens\":4,\"echo\":true}",
     "{\"model\":\"M\",\"prompt\":\"x\",\"raw\":true,\"stream\":false,\"options\":{\"num_predict\":"
     "4}}",
     "echo"},
    {"a completion of token ids", COMPLETE, &upstream_ollama_generate, "{\"prompt\":[1,2]}", NULL,
     "operation_unsupported prompt"},
    {"embeddings", EMBED, &upstream_ollama_embed, "{\"input\":\"x\",\"dimensions\":8}",
     "{\"model\":\"M\",\"input\":[\"x\"],\"dimensions\":8}", ""},
    // --- Anthropic's Messages to OpenAI
    {"blocks become messages", MESSAGES, OPENAI,
     "{\"model\":\"x\",\"max_tokens\":7,\"system\":\"s\",\"top_k\":4,\"stop_sequences\":[\"z\"],"
     "\"messages\":[{\"role\":"
     "\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image\",\"source\":{"
     "\"type\":\"base64\","
     "\"media_type\":\"image/"
     "png\",\"data\":\"QQ==\"}}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
     "\"id\":\"1\",\"name\":\"f\",\"input\":{\"x\":1}}]},{\"role\":\"user\",\"content\":[{\"type\":"
     "\"tool_result\","
     "\"tool_use_id\":\"1\",\"is_error\":true,\"content\":\"no\"}]}]}",
     "{\"model\":\"M\",\"max_tokens\":7,\"stop\":[\"z\"],\"top_k\":4.0,\"messages\":[{\"role\":"
     "\"system\",\"content\":\"s\"},"
     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\","
     "\"image_url\":{\"url\":"
     "\"data:image/"
     "png;base64,QQ==\"}}]},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\","
     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}}]},{"
     "\"role\":\"tool\","
     "\"tool_call_id\":\"1\",\"content\":\"no\"}]}",
     "messages[3].is_error"},
};

struct written {
    struct arena arena;
    struct json_doc doc;
    struct exchange_request request;
    struct exchange_losses losses;
    struct api_error error;
    str body;
    bool ok;
};

static void write_row(const struct row *r, bool own_only, struct written *ret)
{
    struct diag d = {0};
    *ret = (struct written){.ok = false};
    arena_init(&ret->arena, 1 << 20);
    ret->losses.arena = &ret->arena;
    if (json_parse(&ret->doc, str_of(r->request), JSON_LIMITS_DEFAULT, &d) != ERR_OK)
        fail_msg("%s: %s", r->what, d.text);
    if (!r->client->read(ret->doc.root, &ret->arena, &ret->request, &ret->error))
        fail_msg("%s: %s", r->what, ret->error.message);
    ret->request.spoken = r->client;
    ret->request.root = ret->doc.root;
    ret->request.body = str_of(r->request);
    const struct upstream_target target = {
        .provider = STR("p"), .model = STR("M"), .own_only = own_only, .tokens_max_default = 99};
    struct upstream_writing w = {&target, &ret->request, &ret->arena, &ret->losses, &ret->error};
    ret->ok = upstream_body(r->upstream, &w, &ret->body);
}

static void written_done(struct written *w)
{
    json_done(&w->doc);
    arena_done(&w->arena);
}

static void join_losses(const struct written *w, struct buf *out)
{
    buf_init(out, 4096);
    for (size_t i = 0; i < w->losses.len; i++)
        (void)buf_printf(out, "%s" STR_FMT, i ? "," : "", STR_ARG(w->losses.names[i]));
}

// As values, whatever the order of members; numbers as they are written.
static bool same_json(str a, str b)
{
    yyjson_doc *x = yyjson_read(a.ptr, a.len, 0), *y = yyjson_read(b.ptr, b.len, 0);
    bool same = x && y && yyjson_equals(yyjson_doc_get_root(x), yyjson_doc_get_root(y));
    yyjson_doc_free(x);
    yyjson_doc_free(y);
    return same;
}

static void check_refusal(const struct row *r, const struct written *w)
{
    char said[160];
    snprintf(said, sizeof said, "%s %s", api_error_row(w->error.code)->name, w->error.param);
    if (w->ok || strcmp(said, r->losses) != 0)
        fail_msg("%s: %s", r->what, said);
    enum failure f = w->error.failure;
    assert_true(f == (w->error.code == API_INVALID_VALUE ? FAILURE_CLIENT : FAILURE_UNSUITED));
}

static void requests_are_carried_over_and_losses_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct written w;
        struct buf losses;
        write_row(r, false, &w);
        if (!r->expected) {
            check_refusal(r, &w);
            written_done(&w);
            continue;
        }
        if (!w.ok)
            fail_msg("%s: %s", r->what, w.error.message);
        bool spliced = upstream_is_spliced(r->upstream, &w.request);
        if (spliced ? !str_eq_z(w.body, r->expected) : !same_json(w.body, str_of(r->expected)))
            fail_msg("%s:\n" STR_FMT "\nexpected:\n%s", r->what, STR_ARG(w.body), r->expected);
        join_losses(&w, &losses);
        if (!str_eq_z(buf_str(&losses), r->losses))
            fail_msg("%s: lost '%s'", r->what, buf_cstr(&losses));
        buf_done(&losses);
        written_done(&w);
    }
}

static void openai_itself_takes_its_own_members_only(void **state)
{
    (void)state;
    const struct row r = {"own",  MESSAGES,
                          OPENAI, "{\"model\":\"x\",\"max_tokens\":7,\"top_k\":4," HELLO "}",
                          NULL,   NULL};
    struct written w;
    struct buf losses;
    write_row(&r, true, &w);
    assert_true(w.ok);
    assert_true(str_find(w.body, STR("\"max_completion_tokens\":7")) != SIZE_MAX);
    assert_true(str_find(w.body, STR("top_k")) == SIZE_MAX);
    join_losses(&w, &losses);
    assert_string_equal(buf_cstr(&losses), "top_k");
    buf_done(&losses);
    written_done(&w);
}

// The gateway lowers limits to what it has reserved.
static void a_changed_limit_goes_where_the_clients_own_stands(void **state)
{
    (void)state;
    const struct {
        const struct row row;
        const char *expected;
    } cases[] = {
        {{"newer", CHAT, OPENAI, "{\"max_completion_tokens\":50," HELLO "}", NULL, NULL},
         "{\"max_completion_tokens\":5," HELLO ",\"model\":\"M\"}"},
        {{"older", CHAT, OPENAI, "{\"max_tokens\":50,\"model\":\"x\"," HELLO "}", NULL, NULL},
         "{\"max_tokens\":5,\"model\":\"M\"," HELLO "}"},
        {{"none", CHAT, OPENAI, "{\"model\":\"x\"," HELLO "}", NULL, NULL},
         "{\"model\":\"M\"," HELLO ",\"max_tokens\":5}"},
        {{"anthropic", MESSAGES, ANTHROPIC, "{\"model\":\"x\",\"max_tokens\":50," HELLO "}", NULL,
          NULL},
         "{\"model\":\"M\",\"max_tokens\":5," HELLO "}"},
        {{"ollama", &dialect_ollama_chat, OLLAMA,
          "{\"model\":\"x\",\"options\":{\"num_predict\":50,\"num_ctx\":9}," HELLO "}", NULL, NULL},
         "{\"model\":\"M\",\"options\":{\"num_ctx\":9,\"num_predict\":5}," HELLO "}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct upstream_target target = {.provider = STR("p"), .model = STR("M")};
        struct written w;
        write_row(&cases[i].row, false, &w);
        w.request.tokens_max = 5;
        w.request.given |= EXCHANGE_HAS_TOKENS_MAX;
        struct upstream_writing u = {&target, &w.request, &w.arena, &w.losses, &w.error};
        assert_true(upstream_body(cases[i].row.upstream, &u, &w.body));
        if (!str_eq_z(w.body, cases[i].expected))
            fail_msg("%s: " STR_FMT, cases[i].row.what, STR_ARG(w.body));
        written_done(&w);
    }
}

// A stream's body is given up while it runs; another attempt writes the document out again.
static void without_its_text_a_body_is_written_from_its_document(void **state)
{
    (void)state;
    struct written w;
    write_row(&rows[0], false, &w);
    const struct upstream_target target = {.provider = STR("p"), .model = STR("M")};
    struct upstream_writing u = {&target, &w.request, &w.arena, &w.losses, &w.error};
    w.request.body = STR_NONE;
    assert_true(upstream_body(OPENAI, &u, &w.body));
    assert_true(same_json(w.body, str_of(rows[0].expected)));
    assert_true(str_find(w.body, STR("1e2")) != SIZE_MAX);
    written_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_carried_over_and_losses_named),
        cmocka_unit_test(openai_itself_takes_its_own_members_only),
        cmocka_unit_test(a_changed_limit_goes_where_the_clients_own_stands),
        cmocka_unit_test(without_its_text_a_body_is_written_from_its_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
