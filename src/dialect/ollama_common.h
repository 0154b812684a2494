// What Ollama's chat, generate and embeddings share: options, formats, names, times, errors. Pure;
// any thread.
#pragma once

#include "dialect/dialect.h"
#include "dialect/field.h"

// Readers for FIELD_CUSTOM rows.
bool ollama_read_model(struct reader *r, yyjson_val *v);   // "name:latest" is "name"
bool ollama_read_options(struct reader *r, yyjson_val *v); // `options`, sampling and the like
bool ollama_read_format(struct reader *r, yyjson_val *v);  // "json", or a schema
bool ollama_read_think(struct reader *r, yyjson_val *v);
bool ollama_read_messages(struct reader *r, yyjson_val *v);
// The strings of base64 in `images` behind the parts of m, which has room for them.
bool ollama_read_images(struct reader *r, yyjson_val *v, struct exchange_message *m);

// Rows that chat and generate share.
#define OLLAMA_AT(member) offsetof(struct exchange_request, member)
// clang-format off
#define OLLAMA_FIELDS                                                                              \
    {"model", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_model, NULL},                                  \
    {"stream", FIELD_BOOL, OLLAMA_AT(stream), 0, 0, 0, NULL, NULL},                                \
    {"options", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_options, NULL},                              \
    {"format", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_format, NULL},                                \
    {"think", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_think, NULL},                                  \
    {"logprobs", FIELD_BOOL, OLLAMA_AT(logprobs), 0, 0, 0, NULL, NULL},                            \
    {"top_logprobs", FIELD_INT, OLLAMA_AT(top_logprobs), 0, 0, EXCHANGE_TOP_LOGPROBS_MAX, NULL, NULL}, \
    {"keep_alive", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL} /* models stay */
// clang-format on

// --- Writing
// `"model":…,"created_at":…` of an open object.
void ollama_write_head(struct json_writer *w, const struct exchange_head *h);
// `"total_duration":…` and the like, in nanoseconds, with the counts of tokens.
void ollama_write_times(struct json_writer *w, const struct exchange_times *t,
                        const struct exchange_usage *u);

// Pieces of chat's and generate's answers (ollama_chat.c): a line's head, what the model said as a
// message or as members of their own, and the members of the last line.
void ollama_line_begin(struct json_writer *w, const struct exchange_head *h, struct buf *out);
void ollama_said_begin(struct json_writer *w, bool chat, str text, str thinking);
void ollama_said_end(struct json_writer *w, bool chat);
void ollama_write_call(struct json_writer *w, size_t index, str id, str name, str arguments);
void ollama_write_logprobs(struct json_writer *w, const struct exchange_token *tokens, size_t len);
void ollama_write_done(struct json_writer *w, const struct exchange_head *h,
                       enum exchange_finish finish, const struct exchange_usage *u);
void ollama_chat_event(struct dialect_stream *s, const struct exchange_event *e, struct buf *out);
void ollama_generate_event(struct dialect_stream *s, const struct exchange_event *e,
                           struct buf *out);
void ollama_stream_done(struct dialect_stream *s);

void ollama_error(const struct api_error *e, str request_id, struct buf *out);
void ollama_stream_error(struct dialect_stream *s, const struct api_error *e, str request_id,
                         struct buf *out);
