// A dialect: one wire format, read into the exchange and written from it. Pure functions over
// memory: any thread.
#pragma once

#include "dialect/exchange.h"

// What the event writer of one stream works from. Owner: the call, which ends it by `done`.
struct dialect_stream {
    const struct exchange_request *request;
    const struct exchange_head *head;
    void *state; // the dialect's own, made by its first event
    bool failed; // it would have to hold back more than it may: the stream cannot go on
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
    // Release what `event` made, whether the stream came to its end or not. NULL: it makes nothing.
    void (*done)(struct dialect_stream *s);
    // The error document with its status, and the error inside a stream. request_id may be empty.
    void (*error)(const struct api_error *e, str request_id, struct buf *out);
    void (*stream_error)(struct dialect_stream *s, const struct api_error *e, str request_id,
                         struct buf *out);
    int (*status)(const struct api_error *e); // NULL: the vocabulary's
    const char *stream_type;                  // content type of a stream
    const char *ping; // what keeps a silent stream alive and says nothing; NULL: nothing can
    const char *request_id_header; // that its clients read, beside x-request-id
    bool any_content_type;         // its clients do not say that they send JSON
};
// The status that goes with d->error.
int dialect_status(const struct dialect *d, const struct api_error *e);

extern const struct dialect dialect_openai_chat;
extern const struct dialect dialect_openai_completions;
extern const struct dialect dialect_openai_embeddings;
extern const struct dialect dialect_openai_responses;
extern const struct dialect dialect_anthropic_messages;
extern const struct dialect dialect_ollama_chat;
extern const struct dialect dialect_ollama_generate;
extern const struct dialect dialect_ollama_embed;
extern const struct dialect dialect_ollama_embeddings;
extern const struct dialect dialect_ollama_show; // names a model: no answer of its own
extern const struct dialect dialect_anthropic_count;
