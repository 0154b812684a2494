// A dialect: one wire format, read into the exchange and written from it. Pure functions over
// memory: any thread.
#pragma once

#include "dialect/exchange.h"

// What the event writer of one stream works from.
struct dialect_stream {
    const struct exchange_request *request;
    const struct exchange_head *head;
};

struct dialect {
    const char *name; // "openai.chat"
    enum exchange_kind kind;
    const char *id_prefix; // "chatcmpl-"
    // The request object to the neutral form. False: *ret_error says why.
    bool (*read)(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                 struct api_error *ret_error);
    // The whole answer as one document.
    void (*answer)(const struct exchange_request *r, const struct exchange_head *head,
                   const struct exchange_answer *a, struct buf *out);
    // An event as it goes over the wire, framing included; may write nothing. NULL: no streams.
    void (*event)(struct dialect_stream *s, const struct exchange_event *e, struct buf *out);
    // The error document, and the error inside a stream.
    void (*error)(const struct api_error *e, struct buf *out);
    void (*stream_error)(const struct api_error *e, struct buf *out);
    const char *stream_type; // content type of a stream
};

extern const struct dialect dialect_openai_chat;
extern const struct dialect dialect_openai_completions;
extern const struct dialect dialect_openai_embeddings;
