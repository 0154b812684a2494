// What a client asked the scripted provider: as much of a request as the answer depends on, read
// leniently from any of the protocols, and apart from the gateway's dialects, so that a mistake
// there meets an independent reading here. Owner: the call; texts live in the document or the
// arena. One thread.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"

enum ask_operation {
    ASK_CHAT,
    ASK_COMPLETION,
    ASK_GENERATE,
    ASK_EMBEDDING,
    ASK_COUNT_TOKENS,
    ASK_OPERATIONS
};

enum ask_choice { ASK_TOOLS_AUTO, ASK_TOOLS_NONE, ASK_TOOLS_ANY, ASK_TOOLS_NAMED };

struct ask {
    enum ask_operation operation;
    str model;
    bool stream, usage; // usage: stream_options.include_usage
    bool continues;     // continue_final_message
    int64_t tokens_max; // 0: not said
    int64_t choices;    // of a whole answer, all alike: one for each prompt; streams have one
    int64_t dimensions;
    bool base64;
    // The conversation without a trailing assistant message: "ROLE\ntext…" in one text that is the
    // same in every protocol.
    struct buf heard;
    str trailing; // the trailing assistant message
    bool has_trailing;
    bool after_tool;   // the last message is a tool's result
    yyjson_val *tools; // the array as it came
    enum ask_choice choice;
    str tool;          // NAMED
    yyjson_val *input; // EMBEDDING: a string or an array
};

struct ask_reader {
    struct ask *ask;
    struct arena *arena;
    const char *role; // of what was heard last
};

void ask_init(struct ask *a, enum ask_operation operation, size_t bytes_max);
void ask_done(struct ask *a);
// What every protocol calls the same: model, stream, tools.
void ask_read_common(struct ask *a, yyjson_val *root);
// A message that was said. Pieces of one role in a row are joined by line breaks. The text of an
// assistant that nothing follows becomes `trailing`.
void ask_hear(struct ask_reader *r, const char *role, str text);
// The text of a message's content: a string, or the texts of its parts joined by line breaks.
str ask_text(struct arena *arena, yyjson_val *content);
// Call it when all was heard.
void ask_heard_all(struct ask_reader *r);
