// The bytes of a provider's answer to its documents: server-sent events, lines of JSON, or one
// document as a whole, also where a stream was asked for and none came. Any cutting of the bytes
// gives the same documents. Owner: the attempt.
#pragma once

#include "dialect/upstream_reader.h"
#include "http/sse.h"

enum http_frames_shape {
    HTTP_FRAMES_UNKNOWN, // until the first byte that says something
    HTTP_FRAMES_SSE,
    HTTP_FRAMES_LINES,
    HTTP_FRAMES_DOCUMENT
};

struct http_frames {
    enum http_frames_shape shape;
    enum upstream_framing framing;
    size_t document_bytes_max;
    union { // by `shape`
        struct sse_reader sse;
        struct ndjson_reader lines;
        struct buf document;
    };
};

// `stream`: one was asked for. The document may have document_bytes_max.
void http_frames_init(struct http_frames *f, enum upstream_framing framing, bool stream,
                      size_t document_bytes_max);
void http_frames_done(struct http_frames *f);
// Gives back what holds nothing of a document to come.
void http_frames_rest(struct http_frames *f);
// Take from the front of *in up to the end of the next document, and let the reader have it. False:
// all is taken, more is needed.
bool http_frames_next(struct http_frames *f, str *in, struct upstream_reader *r);
// The answer is over, by its own end or, when `broken`, by accident.
void http_frames_eof(struct http_frames *f, bool broken, struct upstream_reader *r);
