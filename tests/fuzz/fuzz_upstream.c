// REQ: SEC-4 PROV-2 PROV-3 PROV-4
// Any bytes as a provider's answer: every cutting gives the same events, and one END or ERROR ends
// them (upstream_log sees to that). The first byte says what is spoken, the second how it ends.
#include <stdlib.h>

#include "support/upstream_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HELLO "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define OWN                                                                                        \
    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static const struct upstream_case cases[] = {
    {&upstream_openai_chat, &dialect_openai_chat, HELLO ",\"stream\":true}", false},
    {&upstream_openai_chat, &dialect_openai_chat, HELLO "}", false},
    {&upstream_openai_chat, &dialect_anthropic_messages, OWN ",\"stream\":true}", false},
    {&upstream_openai_completions, &dialect_openai_completions,
     "{\"prompt\":[\"a\",\"b\"],\"n\":2,\"stream\":true}", false},
    {&upstream_openai_embeddings, &dialect_openai_embeddings, "{\"input\":[\"a\",\"b\"]}", false},
    {&upstream_anthropic_messages, &dialect_openai_chat, HELLO ",\"stream\":true}", false},
    {&upstream_anthropic_messages, &dialect_anthropic_messages, OWN ",\"stream\":true}", false},
    {&upstream_anthropic_messages, &dialect_openai_chat, HELLO "}", false},
    {&upstream_ollama_chat, &dialect_openai_chat, HELLO ",\"stream\":true}", false},
    {&upstream_ollama_chat, &dialect_openai_chat, HELLO "}", false},
    {&upstream_ollama_generate, &dialect_openai_completions, "{\"prompt\":\"a\",\"stream\":true}",
     false},
    {&upstream_ollama_embed, &dialect_openai_embeddings, "{\"input\":[\"a\",\"b\"]}", false},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, cut;
    if (size < 2 || size > 20000)
        return 0;
    struct upstream_case c = cases[data[0] % ARRAY_LEN(cases)];
    c.broken = data[1] & 1;
    str bytes = str_slice((const char *)data + 2, size - 2);
    buf_init(&whole, 64 << 20);
    buf_init(&cut, 64 << 20);
    upstream_log(&c, bytes, 0, 0, &whole);
    upstream_log(&c, bytes, data[1] % size, 1 + data[1] % 13, &cut);
    if (!str_eq(buf_str(&whole), buf_str(&cut)))
        abort();
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
