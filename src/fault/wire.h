// A provider's wire format from the provider's side: reads what is asked and writes what is said,
// whole and as a stream. Written apart from src/dialect on purpose: the gateway is tested against a
// second opinion of each protocol. Pure functions over memory; any thread.
#pragma once

#include "fault/frames.h"
#include "fault/mishap.h"
#include "fault/reply.h"

struct wire {
    const char *name;
    const char *stream_type;
    bool streams_unasked; // without a word a stream is meant
    bool continues;       // a trailing assistant message is continued without a word
    const char *ping;     // what it sends to keep a stream alive; NULL: nothing
    void (*read)(struct ask *a, yyjson_val *root, struct arena *arena);
    void (*whole)(const struct ask *a, const struct reply *r, struct buf *out);
    void (*stream)(const struct ask *a, const struct reply *r, struct frames *f);
    int (*status)(const struct mishap *m);
    void (*error)(const struct mishap *m, struct buf *out);
    void (*stream_error)(const struct mishap *m, struct buf *out);
};

extern const struct wire wire_openai, wire_azure, wire_anthropic, wire_ollama;

// The vectors of an embedding request, one for each input.
struct wire_vectors {
    float **items;
    size_t len, dimensions;
    uint64_t tokens;
};
void wire_openai_embeddings(const struct ask *a, const struct wire_vectors *v, struct buf *out);
void wire_ollama_embeddings(const struct ask *a, const struct wire_vectors *v, struct buf *out);

// Documents that do not depend on a conversation: lists of models, versions. `models` has
// `len` names.
void wire_openai_models(const str *models, size_t len, struct buf *out);
void wire_openai_model(str name, struct buf *out);
void wire_anthropic_models(const str *models, size_t len, struct buf *out);
void wire_ollama_tags(const str *models, size_t len, struct buf *out);
void wire_ollama_show(str name, struct buf *out);
