// What everything that speaks Anthropic's Messages API shares, towards clients and towards the
// provider: stop reasons, usage, error objects, content blocks of a request. Pure; any thread.
#pragma once

#include "dialect/dialect.h"
#include "dialect/field.h"

// "end_turn", "stop_sequence", "max_tokens", "tool_use", "refusal".
const char *anthropic_stop_reason(enum exchange_finish f, str stop_matched);
// False: a reason that is not known here (it is taken for a plain end).
bool anthropic_finish(str stop_reason, enum exchange_finish *ret);

// Members of an open usage object. Anthropic counts what came from a cache apart.
void anthropic_write_usage(struct json_writer *w, const struct exchange_usage *u);
// What a usage object says; members that are absent leave *u as it was (all are totals).
void anthropic_read_usage(yyjson_val *usage, struct exchange_usage *u);

// {"type":"error","error":{"type","message","details":{"error_code"}},"request_id"}
void anthropic_error(const struct api_error *e, str request_id, struct buf *out);
void anthropic_stream_error(struct dialect_stream *s, const struct api_error *e, str request_id,
                            struct buf *out);
int anthropic_status(const struct api_error *e);

// --- Parts of the request (anthropic_read.c, anthropic_content.c)
// `system` and `messages` of the root, in one go: the system prompt is the first message.
bool anthropic_read_conversation(struct reader *r, yyjson_val *root);
bool anthropic_read_tools(struct reader *r, yyjson_val *v);
bool anthropic_read_tool_choice(struct reader *r, yyjson_val *v);
bool anthropic_read_request(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                            struct api_error *ret_error);
bool anthropic_read_count(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                          struct api_error *ret_error);

// --- The answer (anthropic_messages.c): its content blocks, and members of an open object.
void anthropic_write_text(struct json_writer *w, str text);
void anthropic_write_thinking(struct json_writer *w, str text, str signature, bool redacted);
void anthropic_write_tool_use(struct json_writer *w, str id, str name, str arguments);
void anthropic_write_stop(struct json_writer *w, enum exchange_finish finish, str stop_matched);
void anthropic_write_head(struct json_writer *w, const struct exchange_head *h);
// … as a stream (anthropic_stream.c)
void anthropic_event(struct dialect_stream *s, const struct exchange_event *e, struct buf *out);
void anthropic_stream_done(struct dialect_stream *s);
