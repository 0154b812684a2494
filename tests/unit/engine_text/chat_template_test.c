// Templates are recognised by their text and render what their own Jinja would.
// REQ: ENG-2 API-1
#include <string.h>

#include "engine/text/chat_template.h"
#include "engine/text/literal.h"
#include "support/unit.h"

// Templates as the models' files carry them (some cut after what tells the family).
static const char smollm2[] =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
    "Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";
static const char qwen25[] =
    "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- if messages[0]['role'] == "
    "'system' %}\n        {{- messages[0]['content'] }}\n    {%- else %}\n        {{- 'You are "
    "Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}\n    {%- endif %}\n    {{- "
    "\"\\n\\n# Tools\\n\\nYou may call one or more functions to assist with the user "
    "query.\\n\\nYou are provided with function signatures within <tools></tools> XML "
    "tags:\\n<tools>\" }}{%- for tool in tools %}{{- \"\\n\" }}{{- tool | tojson }}{%- endfor "
    "%}{{- \"\\n</tools>\\n\\nFor each function call, return a json object with function name and "
    "arguments within <tool_call></tool_call> XML tags:\\n<tool_call>\\n{\\\"name\\\": "
    "<function-name>, \\\"arguments\\\": <args-json-object>}\\n</tool_call><|im_end|>\\n\" }}\n{%- "
    "else %}{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\\n' + "
    "messages[0]['content'] + '<|im_end|>\\n' }}{%- else %}{{- '<|im_start|>system\\nYou are Qwen, "
    "created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}{%- endif %}{%- endif "
    "%}…";
static const char plain_chatml[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] "
    "+ '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\\n' }}{% endif %}";
static const char llama2[] =
    "{% for message in loop_messages %}{% if loop.index0 == 0 and system_message != false %}{% set "
    "content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% endif "
    "%}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' "
    "}}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% "
    "endif %}{% endfor %}";
static const char llama3[] =
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ "
    "'<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ "
    "content }}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
static const char llama31[] = "{{- \"<|start_header_id|>system<|end_header_id|>\\n\\n\" }}{{- "
                              "\"Cutting Knowledge Date: December 2023\\n\" }}{{- \"Today Date: \" "
                              "+ date_string + \"\\n\\n\" }}{{- system_message }}{{- "
                              "\"<|eot_id|>\" }}…";
static const char mistral02[] =
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + "
    "message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ "
    "message['content'] + eos_token}}{% endif %}{% endfor %}";
static const char mistral03[] =
    "{{- \"[AVAILABLE_TOOLS] [\" }}…{{- \"[INST] \" + message[\"content\"] + \"[/INST]\" }}…{{- \" "
    "\" + message[\"content\"]|trim + eos_token}}";
static const char mistral_small[] =
    "{{- '[SYSTEM_PROMPT]' + system_message + '[/SYSTEM_PROMPT]' }}…{{- '[INST]' + "
    "message['content'] + '[/INST]' }}…{{- message['content'] + eos_token }}";
static const char tinyllama[] =
    "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + "
    "message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' "
    "+ "
    "message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ "
    "'<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and "
    "add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}";
static const char phi3[] =
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + "
    "message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + "
    "message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' "
    "%}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}";
static const char gemma[] =
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + role + '\\n' + "
    "message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}";
static const char roletag[] =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if "
    "add_generation_prompt %}<|assistant|>{% endif %}";

static struct chat_template detect(const char *source, const char *family)
{
    struct chat_template t;
    struct diag d = {0};
    if (chat_template_detect(str_of(source), family, &t, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return t;
}

static void check(const struct chat_template *t, const struct chat_message *m, size_t n,
                  const char *tools, const char *want)
{
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 1 << 16);
    if (chat_template_render(t, m, n, str_of(tools), true, &out, &d) != ERR_OK)
        fail_msg("%s", d.text);
    struct literal_text plain;
    assert_int_equal(literal_strip(buf_str(&out), &plain), ERR_OK);
    assert_string_equal(buf_cstr(&plain.text), want);
    literal_text_done(&plain);
    buf_done(&out);
}

#define SAY(r, c) ((struct chat_message){.role = STR(r), .content = STR(c)})

static void families_render_a_conversation(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        enum chat_family family;
        const char *want;
    } cases[] = {
        {smollm2, CHAT_CHATML,
         "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n Hi <|im_end|>\n"
         "<|im_start|>assistant\nHello<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
         "<|im_start|>assistant\n"},
        {llama2, CHAT_LLAMA2,
         "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]"},
        {llama3, CHAT_LLAMA3,
         "<|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n"},
        {llama31, CHAT_LLAMA3,
         "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
         "Today Date: 26 Jul 2024\n\nBe brief.<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
         "<|start_header_id|>assistant<|end_header_id|>\n\n"},
        {mistral02, CHAT_MISTRAL, "[INST] Be brief.\n\n Hi  [/INST]Hello</s>[INST] Bye [/INST]"},
        {mistral03, CHAT_MISTRAL, "[INST] Be brief.\n\n Hi [/INST] Hello</s>[INST] Bye[/INST]"},
        {mistral_small, CHAT_MISTRAL,
         "[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST] Hi [/INST]Hello</s>[INST]Bye[/INST]"},
        {tinyllama, CHAT_ZEPHYR,
         "<|system|>\nBe brief.</s>\n<|user|>\n Hi </s>\n<|assistant|>\nHello</s>\n"
         "<|user|>\nBye</s>\n<|assistant|>\n"},
        {phi3, CHAT_PHI3,
         "<|system|>\nBe brief.<|end|>\n<|user|>\n Hi <|end|>\n<|assistant|>\nHello<|end|>\n"
         "<|user|>\nBye<|end|>\n<|assistant|>\n"},
        {gemma, CHAT_GEMMA,
         "<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello"
         "<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
        {roletag, CHAT_ROLETAG,
         "<|system|>Be brief.<|end|><|user|> Hi <|end|><|assistant|>Hello<|end|>"
         "<|user|>Bye<|end|><|assistant|>"},
    };
    const struct chat_message talk[] = {SAY("system", "Be brief."), SAY("user", " Hi "),
                                        SAY("assistant", "Hello"), SAY("user", "Bye")};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct chat_template t = detect(cases[i].source, NULL);
        assert_int_equal(t.family, cases[i].family);
        check(&t, talk, ARRAY_LEN(talk), "", cases[i].want);
        assert_non_null(chat_template_stops(&t)[0]);
    }
}

static void default_system_message_is_the_templates_own(void **state)
{
    (void)state;
    const struct chat_message hi = SAY("user", "Hi"), rule = SAY("developer", "Rhyme.");
    struct chat_template t = detect(smollm2, NULL);
    assert_false(t.tools);
    check(&t, &hi, 1, "",
          "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
          "Face<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    check(&t, &rule, 1, "", "<|im_start|>system\nRhyme.<|im_end|>\n<|im_start|>assistant\n");
    t = detect(qwen25, NULL);
    assert_true(t.tools);
    check(&t, &hi, 1, "",
          "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
          "assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    t = detect(plain_chatml, NULL);
    assert_int_equal(t.default_system.len, 0);
    check(&t, &hi, 1, "", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    t = detect(llama31, NULL);
    check(&t, &hi, 1, "",
          "<|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023\n"
          "Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi"
          "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
}

// The text that Qwen 2.5's template makes of a round of tool use.
static void tools_are_written_as_qwen_was_taught(void **state)
{
    (void)state;
    static const char tools[] =
        "[{\"type\":\"function\",\"function\":{\"name\":\"add\",\"parameters\":{\"type\":"
        "\"object\",\"properties\":{\"a\":{\"type\":\"number\"}},\"required\":[\"a\",\"b\"]}}}]";
    struct chat_template t = detect(qwen25, NULL);
    struct chat_message m[] = {SAY("user", "2+3?"), SAY("assistant", ""), SAY("tool", "5"),
                               SAY("tool", "6"), SAY("assistant", "Five.")};
    m[1].tool_calls_json =
        STR("[{\"id\":\"x\",\"type\":\"function\",\"function\":{\"name\":\"add\",\"arguments\":"
            "\"{\\\"a\\\":2,\\\"b\\\":3.50,\\\"c\\\":\\\"é\\\\n\\\"}\"}},"
            "{\"function\":{\"name\":\"now\",\"arguments\":{}}}]");
    check(&t, m, ARRAY_LEN(m), tools,
          "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful "
          "assistant.\n\n# Tools\n\nYou may call one or more functions to assist with the user "
          "query.\n\nYou are provided with function signatures within <tools></tools> XML "
          "tags:\n<tools>\n{\"type\": \"function\", \"function\": {\"name\": \"add\", "
          "\"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"number\"}}, "
          "\"required\": [\"a\", \"b\"]}}}\n</tools>\n\nFor each function call, return a json "
          "object with function name and arguments within <tool_call></tool_call> XML "
          "tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
          "<args-json-object>}\n</tool_call><|im_end|>\n<|im_start|>user\n2+3?<|im_end|>\n"
          "<|im_start|>assistant\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2, "
          "\"b\": 3.50, \"c\": \"é\\n\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", "
          "\"arguments\": {}}\n</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\n5\n"
          "</tool_response>\n<tool_response>\n6\n</tool_response><|im_end|>\n"
          "<|im_start|>assistant\nFive.<|im_end|>\n<|im_start|>assistant\n");
    t = detect("", "chatml-tools");
    assert_true(t.tools);
    assert_int_equal(t.family, CHAT_CHATML);
}

static void refused(const struct chat_template *t, const struct chat_message *m, size_t n,
                    const char *tools, enum err want, const char *names)
{
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 1 << 16);
    assert_int_equal(chat_template_render(t, m, n, str_of(tools), true, &out, &d), want);
    if (!strstr(d.text, names))
        fail_msg("\"%s\" does not name %s", d.text, names);
    buf_done(&out);
}

static void what_a_family_cannot_say_is_refused(void **state)
{
    (void)state;
    struct chat_template t = detect(smollm2, NULL);
    struct chat_message m = SAY("tool", "5");
    refused(&t, &m, 1, "", ERR_INVALID, "\"tool\"");
    m = SAY("critic", "5");
    refused(&t, &m, 1, "", ERR_INVALID, "messages[0]");
    m = SAY("user", "5");
    refused(&t, &m, 1, "[]", ERR_UNSUPPORTED, "tools");
    m = SAY("assistant", "");
    m.tool_calls_json = STR("[]");
    refused(&t, &m, 1, "", ERR_UNSUPPORTED, "tool calls");
    t = detect(qwen25, NULL);
    m.tool_calls_json = STR("{}");
    refused(&t, &m, 1, "", ERR_INVALID, "array");
    m = SAY("user", "5");
    refused(&t, &m, 1, "{\"a\":", ERR_PARSE, "");
    t = detect("", NULL);
    assert_int_equal(t.family, CHAT_NONE);
    refused(&t, &m, 1, "", ERR_UNSUPPORTED, "no chat template");
    assert_null(chat_template_stops(&t)[0]);
    t = detect(gemma, NULL);
    m = SAY("system", "only");
    refused(&t, &m, 1, "", ERR_INVALID, "last message");
    t = detect(llama2, NULL);
    refused(&t, &m, 1, "", ERR_INVALID, "last message");
}

static void unknown_templates_are_refused_by_name(void **state)
{
    (void)state;
    struct chat_template t;
    struct diag d = {0};
    assert_int_equal(chat_template_detect(STR("{{ 'Human: ' + m }}"), NULL, &t, &d),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "Human:"));
    assert_non_null(strstr(d.text, "chatml"));
    assert_int_equal(chat_template_detect(STR(""), "klingon", &t, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "klingon"));
    // the configuration's word goes over the template's text
    t = detect("{{ 'Human: ' + m }}", "llama3");
    assert_int_equal(t.family, CHAT_LLAMA3);
    t = detect(smollm2, "plain");
    struct chat_message m = SAY("user", "Hi");
    check(&t, &m, 1, "", "User: Hi\nAssistant:");
}

static void every_family_has_a_name_that_selects_it(void **state)
{
    (void)state;
    for (enum chat_family f = CHAT_CHATML; f <= CHAT_ROLETAG; f++) {
        struct chat_template t = detect("", chat_family_name(f));
        assert_int_equal(t.family, f);
    }
    assert_string_equal(chat_family_name(CHAT_NONE), "none");
}

static void a_full_buffer_is_said(void **state)
{
    (void)state;
    struct chat_template t = detect(smollm2, NULL);
    struct chat_message m = SAY("user", "a text that is longer than the buffer takes");
    struct buf out;
    struct diag d = {0};
    buf_init(&out, 32);
    assert_int_equal(chat_template_render(&t, &m, 1, STR_NONE, true, &out, &d), ERR_LIMIT);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_render_a_conversation),
        cmocka_unit_test(default_system_message_is_the_templates_own),
        cmocka_unit_test(tools_are_written_as_qwen_was_taught),
        cmocka_unit_test(what_a_family_cannot_say_is_refused),
        cmocka_unit_test(unknown_templates_are_refused_by_name),
        cmocka_unit_test(every_family_has_a_name_that_selects_it),
        cmocka_unit_test(a_full_buffer_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
