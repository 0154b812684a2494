// Chat messages to prompt text by the model's own template, recognised by family (nothing from a
// model file is executed): ChatML (with and without a default system message, as SmolLM2's; with
// tools, as Qwen's), llama-2, llama-3 (with tools from 3.1 on), mistral (with tools from its v3
// tokenizer on), zephyr, phi-3, gemma, role tags, plain. An unknown template is refused by name;
// the configuration may name a family instead. Immutable; any thread.
//
// The text has no bos token: tokenise it with TOKENIZE_BOS | TOKENIZE_SPECIAL.
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum chat_family {
    CHAT_NONE,
    CHAT_CHATML,
    CHAT_LLAMA2,
    CHAT_LLAMA3,
    CHAT_MISTRAL,
    CHAT_ZEPHYR,
    CHAT_PHI3,
    CHAT_GEMMA,
    CHAT_PLAIN,
    CHAT_ROLETAG // <|role|>content<|end|>
};

// How tools, calls and results are written, by the template and by the model.
enum chat_tools {
    CHAT_TOOLS_NONE,
    CHAT_TOOLS_HERMES, // Qwen 2.5, Qwen 3, Hermes: <tool_call>{"name":…, "arguments":…}</tool_call>
    CHAT_TOOLS_LLAMA3, // {"name":…, "parameters":…}, perhaps after <|python_tag|>
    CHAT_TOOLS_MISTRAL // [TOOL_CALLS] [{"name":…, "arguments":…}, …]
};

// Slices point into the template's source, which must outlive it, or at constants.
struct chat_template {
    enum chat_family family;
    str default_system; // what the template itself adds when no system message is given; may be
                        // empty
    enum chat_tools tools;
    str system_lead; // what stands before any system message (llama-3.1's dates); may be empty
    str eos;         // the text that ends an assistant's turn, where families differ in it
    unsigned blanks; // mistral: where its template writes them (chat_render.h)
    bool system_tag; // mistral: [SYSTEM_PROMPT], else the text stands in the first turn
};

struct chat_message {
    str role;            // system, developer, user, assistant, tool
    str content;         // text parts joined
    str tool_calls_json; // assistant: OpenAI's array [{"id","function":{"name","arguments"}}],
                         // arguments as an object or as its text; or empty
    str name;
    str tool_call_id; // tool: the call that this is the result of
};

// source: vocab.chat_template; family_override: NULL or "chatml" … (from configuration;
// "chatml-tools" is ChatML with tools, and so "llama3-tools" and "mistral-tools"). An empty source
// without override gives CHAT_NONE.
enum err chat_template_detect(str source, const char *family_override, struct chat_template *ret,
                              struct diag *d) MUST_USE;
const char *chat_family_name(enum chat_family f);
// Renders messages and, if add_generation, the opening of the assistant's turn. tools_json: the
// request's tools array or empty (ERR_UNSUPPORTED when the template knows none; so for CHAT_NONE).
// Roles or orders that the family does not know: ERR_INVALID with the remedy. ERR_LIMIT: `out` is
// full.
// What clients wrote stands between marks (engine/text/literal.h); tokenizer_encode takes them out.
enum err chat_template_render(const struct chat_template *t, const struct chat_message *messages,
                              size_t n, str tools_json, bool add_generation, struct buf *out,
                              struct diag *d) MUST_USE;
// Strings at which a turn of this family ends although they may not be single tokens (NULL-ended
// list).
const char *const *chat_template_stops(const struct chat_template *t);
