// What OpenAI's chat, completions and embeddings share: rows of sampling fields, stops, biases,
// token names, usage, error objects. Pure; any thread.
#pragma once

#include "dialect/dialect.h"
#include "dialect/field.h"

// Readers for FIELD_CUSTOM rows.
bool openai_read_stop(struct reader *r, yyjson_val *v);
bool openai_read_stop_ids(struct reader *r, yyjson_val *v);
bool openai_read_bias(struct reader *r, yyjson_val *v);
bool openai_read_stream_options(struct reader *r, yyjson_val *v);
bool openai_read_messages(struct reader *r, yyjson_val *v); // openai_messages.c
bool openai_read_prediction(struct reader *r, yyjson_val *v);
bool openai_read_tools(struct reader *r, yyjson_val *v); // openai_tools.c
bool openai_read_tool_choice(struct reader *r, yyjson_val *v);
// `prompt` and `input`: a string, strings, token ids, or lists of token ids.
bool openai_read_prompts(struct reader *r, const char *name, yyjson_val *v);

// The answer's form (openai_format.c).
bool openai_read_format(struct reader *r, yyjson_val *v);
bool openai_read_grammar(struct reader *r, yyjson_val *v);
bool openai_read_json_schema(struct reader *r, yyjson_val *v);
bool openai_read_guided_json(struct reader *r, yyjson_val *v);
bool openai_read_guided_regex(struct reader *r, yyjson_val *v);
bool openai_read_guided_grammar(struct reader *r, yyjson_val *v);
bool openai_read_guided_choice(struct reader *r, yyjson_val *v);
bool openai_read_structured_outputs(struct reader *r, yyjson_val *v);

// Rows that chat and completions share.
#define OPENAI_AT(member) offsetof(struct exchange_request, member)
// clang-format off
#define OPENAI_SAMPLING_FIELDS                                                                         \
    {"model", FIELD_STRING, OPENAI_AT(model), 0, 0, 0, NULL, NULL},                                    \
    {"temperature", FIELD_FLOAT, OPENAI_AT(temperature), EXCHANGE_HAS_TEMPERATURE, 0, 2, NULL, NULL},  \
    {"top_p", FIELD_FLOAT, OPENAI_AT(top_p), EXCHANGE_HAS_TOP_P, 0, 1, NULL, NULL},                    \
    {"top_k", FIELD_INT, OPENAI_AT(top_k), EXCHANGE_HAS_TOP_K, -1, 1e9, NULL, NULL},                   \
    {"min_p", FIELD_FLOAT, OPENAI_AT(min_p), EXCHANGE_HAS_MIN_P, 0, 1, NULL, NULL},                    \
    {"presence_penalty", FIELD_FLOAT, OPENAI_AT(presence_penalty), EXCHANGE_HAS_PRESENCE, -2, 2, NULL, NULL},    \
    {"frequency_penalty", FIELD_FLOAT, OPENAI_AT(frequency_penalty), EXCHANGE_HAS_FREQUENCY, -2, 2, NULL, NULL}, \
    {"repetition_penalty", FIELD_FLOAT, OPENAI_AT(repetition_penalty), EXCHANGE_HAS_REPETITION, 0.01, 10, NULL, NULL}, \
    {"seed", FIELD_INT, OPENAI_AT(seed), EXCHANGE_HAS_SEED, 0, 0, NULL, NULL}, \
    {"n", FIELD_INT, OPENAI_AT(n), 0, 1, EXCHANGE_CHOICES_MAX, NULL, NULL},                            \
    {"min_tokens", FIELD_INT, OPENAI_AT(tokens_min), 0, 0, 1e9, NULL, NULL},                           \
    {"ignore_eos", FIELD_BOOL, OPENAI_AT(ignore_eos), 0, 0, 0, NULL, NULL},                            \
    {"include_stop_str_in_output", FIELD_BOOL, OPENAI_AT(include_stop), 0, 0, 0, NULL, NULL},          \
    {"add_special_tokens", FIELD_BOOL, OPENAI_AT(add_special), EXCHANGE_HAS_ADD_SPECIAL, 0, 0, NULL, NULL}, \
    {"stream", FIELD_BOOL, OPENAI_AT(stream), 0, 0, 0, NULL, NULL},                                    \
    {"user", FIELD_STRING, OPENAI_AT(user), 0, 0, 0, NULL, NULL},                                      \
    {"stop", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_stop, NULL},                                        \
    {"stop_token_ids", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_stop_ids, NULL},                          \
    {"logit_bias", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_bias, NULL},                                  \
    {"stream_options", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_stream_options, NULL},                    \
    {"metadata", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},                                              \
    {"store", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}
#define OPENAI_FORMAT_FIELDS                                                                           \
    {"response_format", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_format, NULL},                           \
    {"grammar", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_grammar, NULL},                                  \
    {"json_schema", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_json_schema, NULL},                          \
    {"guided_json", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_guided_json, NULL},                          \
    {"guided_regex", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_guided_regex, NULL},                        \
    {"guided_grammar", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_guided_grammar, NULL},                    \
    {"guided_choice", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_guided_choice, NULL},                      \
    {"structured_outputs", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_structured_outputs, NULL}
// clang-format on

// Check what single fields cannot: stream_options without stream, n beside best_of….
bool openai_check_common(struct reader *r);

// --- Writing
// A whole answer of choices, each by write_choice.
typedef void openai_choice_writer(struct json_writer *w, const struct exchange_request *r,
                                  size_t index, const struct exchange_choice *c);
void openai_write_answer(const char *object, openai_choice_writer *write_choice,
                         const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out);
void openai_write_usage(struct json_writer *w, const struct exchange_usage *u);
void openai_write_f32(struct json_writer *w, float v);
// A scored token as chat answers have it: token, logprob, bytes, top_logprobs.
void openai_write_token(struct json_writer *w, const struct exchange_token *t);
// A token's name: its text, or "bytes:\xe2\x82" when it is not whole characters.
void openai_write_token_key(struct json_writer *w, str bytes, bool as_key);
// `"id":…,"object":…,"created":…,"model":…,"system_fingerprint":…` of an open object.
void openai_write_head(struct json_writer *w, const struct exchange_head *h, const char *object);

void openai_error(const struct api_error *e, str request_id, struct buf *out);
void openai_stream_error(struct dialect_stream *s, const struct api_error *e, str request_id,
                         struct buf *out);
// "data: " … "\n\n" around one document.
void openai_sse_begin(struct buf *out);
void openai_sse_end(struct buf *out);
void openai_sse_done(struct buf *out);
