// What OpenAI's upstream dialects share. Pure; any thread.
#pragma once

#include "dialect/upstream_reader.h"

// Members of chat and completions alike: sampling, limits, stream. Losses are noted.
void upstream_openai_write_common(struct upstream_writing *w, struct json_writer *j);
// The edits of a spliced body: usage is always asked for, a limit that was changed is told.
bool upstream_openai_splice(struct upstream_writing *w, struct upstream_edits *edits);
// `prompt` or `input`.
void upstream_openai_write_prompts(const struct exchange_request *r, struct json_writer *j,
                                   const char *name);
void upstream_openai_read_usage(struct upstream_reader *r, yyjson_val *usage);
// What of a frame is not for a client that did not ask for usage.
void upstream_openai_hide_usage(struct upstream_reader *r, yyjson_val *root, str data);
// The chunk that a client waits for which asked for usage.
void upstream_openai_usage_frame(struct upstream_reader *r, struct json_writer *j);
// upstream_openai_messages.c
bool upstream_openai_write_messages(struct upstream_writing *w, struct json_writer *j);
bool upstream_openai_write_tools(struct upstream_writing *w, struct json_writer *j);
