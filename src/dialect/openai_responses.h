// What the files of OpenAI's Responses share: reading the input, and the pieces of an answer that
// stand both in the whole document and in the events of a stream. Pure; any thread.
#pragma once

#include "dialect/blocks.h"
#include "dialect/dialect.h"
#include "dialect/field.h"

// `instructions` and `input` of the root (openai_responses_input.c).
bool openai_responses_read_input(struct reader *r, yyjson_val *root);

// An item of the output.
struct responses_item {
    enum block_type type;
    size_t index;
    str text, signature; // reasoning, a message's text, or a call's arguments
    str call_id, name;   // CALL
    str logprobs;        // TEXT: JSON, items of an array
    const char *status;  // "in_progress", "completed", "incomplete"
    bool opening;        // nothing of it was said yet: it has no content parts
};
void responses_write_item(struct json_writer *w, const struct exchange_head *h,
                          const struct responses_item *item);
void responses_write_part(struct json_writer *w, enum block_type type, str text, str logprobs);
// "msg_…", "fc_…", "rs_…": by the answer's id and the item's place.
void responses_write_item_id(struct json_writer *w, const char *key, const struct exchange_head *h,
                             enum block_type type, size_t index);

struct responses_state {
    const char *status; // "in_progress", "completed", "incomplete", "failed"
    enum exchange_finish finish;
    str output;                         // JSON, items of an array
    const struct exchange_usage *usage; // NULL: not known yet
    const struct api_error *error;      // "failed"
};
// The response object.
void responses_write(struct json_writer *w, const struct exchange_request *r,
                     const struct exchange_head *h, const struct responses_state *s);
const char *responses_status(enum exchange_finish f);

// Scored tokens as items of an array, behind those that are there.
void responses_add_logprobs(struct buf *out, const struct exchange_token *tokens, size_t len);

// --- The stream (openai_responses_stream.c)
void responses_event(struct dialect_stream *s, const struct exchange_event *e, struct buf *out);
void responses_stream_error(struct dialect_stream *s, const struct api_error *e, str request_id,
                            struct buf *out);
void responses_stream_done(struct dialect_stream *s);
