// The families' ways to write messages, shared inside this room. Each appends to out; ERR_INVALID
// comes with its sentence, and a full buf is found by the caller.
#pragma once

#include "engine/text/chat_template.h"
#include "engine/text/literal.h"

enum {                           // struct chat_template's blanks
    CHAT_BLANK_OPEN = 1u << 0,   // after [INST]
    CHAT_BLANK_CLOSE = 1u << 1,  // before [/INST]
    CHAT_BLANK_ANSWER = 1u << 2, // before an assistant's text
    CHAT_BLANK_SYSTEM = 1u << 3, // after [SYSTEM_PROMPT]
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

// Qwen's and Hermes' conventions. A JSON value as Python's json.dumps writes it (", " and ": "), as
// the models have seen it in training.
enum err chat_tools_block(str tools_json, struct buf *out, struct diag *d) MUST_USE;
enum err chat_tools_calls(const struct chat_turns *c, size_t i, struct buf *out,
                          struct diag *d) MUST_USE;
