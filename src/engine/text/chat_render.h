// The families' ways to write messages, shared inside this room. Each appends to out; ERR_INVALID
// comes with its sentence, and a full buf is found by the caller.
#pragma once

#include "base/json.h"
#include "engine/text/chat_template.h"
#include "engine/text/literal.h"

enum {                           // struct chat_template's blanks
    CHAT_BLANK_OPEN = 1u << 0,   // after [INST]
    CHAT_BLANK_CLOSE = 1u << 1,  // before [/INST]
    CHAT_BLANK_ANSWER = 1u << 2, // before an assistant's text
    CHAT_BLANK_SYSTEM = 1u << 3, // after [SYSTEM_PROMPT]
    CHAT_BLANK_TOOLS = 1u << 4,  // after [AVAILABLE_TOOLS], [TOOL_CALLS], [TOOL_RESULTS]
    CHAT_BLANK_CALLS = 1u << 5,
    CHAT_BLANK_RESULTS = 1u << 6,
    CHAT_TRIM_ANSWER = 1u << 7, // an assistant's text
    CHAT_SYSTEM_LAST = 1u << 8, // the system's text goes before the last user's, not the first
};

struct chat_turns {
    const struct chat_template *t;
    const struct chat_message *messages;
    size_t n;
    str tools_json;
    bool add_generation;
};

enum err chat_render_chatml(const struct chat_turns *c, struct buf *out, struct diag *d) MUST_USE;
enum err chat_render_bracketed(const struct chat_turns *c, struct buf *out,
                               struct diag *d) MUST_USE; // llama-2, mistral
enum err chat_render_llama3(const struct chat_turns *c, struct buf *out, struct diag *d) MUST_USE;
enum err chat_render_tagged(const struct chat_turns *c, struct buf *out,
                            struct diag *d) MUST_USE; // zephyr, phi-3, role tags
enum err chat_render_gemma(const struct chat_turns *c, struct buf *out, struct diag *d) MUST_USE;
enum err chat_render_plain(const struct chat_turns *c, struct buf *out, struct diag *d) MUST_USE;

enum chat_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_COUNT };
// developer is system. ERR_INVALID, naming the message, for roles not in the set `allowed` (1u <<
// enum chat_role).
enum err chat_role_of(const struct chat_turns *c, size_t i, unsigned allowed, enum chat_role *ret,
                      struct diag *d) MUST_USE;
void chat_put(struct buf *out, const char *text);
enum { // roles a family may know
    CHAT_TALK = 1u << ROLE_SYSTEM | 1u << ROLE_USER | 1u << ROLE_ASSISTANT,
    CHAT_TALK_AND_TOOLS = CHAT_TALK | 1u << ROLE_TOOL,
};
static inline unsigned chat_roles(const struct chat_turns *c)
{
    return c->t->tools ? CHAT_TALK_AND_TOOLS : CHAT_TALK;
}
// What a client said, marked as literal.
void chat_put_content(struct buf *out, str s);
enum err chat_refuse_calls(const struct chat_turns *c, size_t i, struct diag *d);

// --- chat_json.c: JSON as Python's json.dumps(…, ensure_ascii=False) writes it, as the models have
// seen it in training: on one line (", " and ": "), or with `indent` blanks a level (0: one line).
// Not marked as literal.
void chat_dump(struct buf *out, yyjson_val *v, unsigned indent);
void chat_dump_str(struct buf *out, str s);
// Arguments come as an object, or as its text; text that is no JSON stays a string.
void chat_dump_arguments(struct buf *out, yyjson_val *arguments);
// The array of a request's tools, or of message i's calls (at least one).
enum err chat_parse_tools(const struct chat_turns *c, struct json_doc *ret,
                          struct diag *d) MUST_USE;
enum err chat_parse_calls(const struct chat_turns *c, size_t i, struct json_doc *ret,
                          struct diag *d) MUST_USE;
// The "function" of a tool or a call, where it has one, else itself.
yyjson_val *chat_function(yyjson_val *v);

// Qwen's and Hermes' conventions.
enum err chat_tools_block(const struct chat_turns *c, struct buf *out, struct diag *d) MUST_USE;
enum err chat_tools_calls(const struct chat_turns *c, size_t i, struct buf *out,
                          struct diag *d) MUST_USE;
