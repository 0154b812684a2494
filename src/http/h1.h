// HTTP/1.1 as a codec without I/O, over llhttp: bytes in, events out, for requests (a server) and
// responses (a client). Strict: whatever could be read in two ways is an error (both lengths, a
// length twice, bad chunk sizes, folded headers, bare CR or LF, unknown transfer codings …). Any
// cutting of the input into pieces gives the same events, heads and errors; only the pieces of a
// body follow the cuts.
// Owner: a connection; h1_init at its begin, h1_begin for each message. The head's slices live in
// the arena given to h1_begin. Sources: RFC 9110, RFC 9112.
#pragma once

#include <llhttp.h>

#include "base/arena.h"
#include "http/head.h"

struct h1_limits {
    size_t header_bytes_max; // start line, headers, and once more for trailers
    size_t target_bytes_max;
    uint32_t headers_max;
};

enum h1_kind { H1_REQUEST, H1_RESPONSE };

struct h1_head {
    str method, target; // request
    int status;         // response
    str reason;         // response, may be empty
    uint8_t minor;      // HTTP/1.minor
    bool keep_alive;    // the peer will take (or send) another message on this connection
    bool chunked;
    bool has_length;
    uint64_t length; // when has_length
    const struct http_header *headers;
    size_t headers_len;
};

enum h1_event {
    H1_MORE, // everything was taken; more input is needed
    H1_HEAD, // h1.head is complete
    H1_BODY, // a piece of the body, chunks already undone
    H1_END,  // the message is complete; h1_begin before going on
    H1_ERROR // h1.error says what; the connection cannot go on
};

struct h1_error {
    int status;         // what a server answers
    const char *reason; // stable word: "bad_request" "header_too_large" "target_too_long"
                        // "not_implemented" "http_version_unsupported"
    const char *text;   // one sentence
};

struct h1 {
    struct h1_head head;
    struct h1_error error;
    // private from here
    llhttp_t parser;
    const struct h1_limits *limits;
    struct arena *arena;
    struct http_header *items;
    uint32_t items_len, items_cap;
    const char *base; // where the head lies now: the input, or `kept`
    char *kept;       // in the arena: the head when it came in pieces
    size_t kept_cap;
    size_t head_bytes;                // fed while the head was incomplete
    size_t body_bytes, framing_bytes; // of the body; chunk sizes, extensions, trailers
    str piece;
    enum { H1_IN_HEAD, H1_HEAD_READY, H1_IN_BODY, H1_ENDED } state;
    bool target_done, in_field, complete, no_body, broken;
};

// `limits` must outlive the codec. Nothing is allocated but in the arenas.
void h1_init(struct h1 *p, enum h1_kind kind, const struct h1_limits *limits);
// A message begins; its head will live in `arena`. no_body: the response to a HEAD request, which
// has none whatever its head says.
void h1_begin(struct h1 *p, struct arena *arena, bool no_body);
// Take from the front of *in up to the next event. *ret_body is written for H1_BODY and valid as
// long as the input (or the arena).
enum h1_event h1_next(struct h1 *p, str *in, str *ret_body);
// Response: the peer ended its side. H1_END when that completes the message (a body that runs to
// the end), else H1_ERROR.
enum h1_event h1_eof(struct h1 *p);
// Whether any byte of the current message was seen.
static inline bool h1_begun(const struct h1 *p)
{
    return p->head_bytes > 0;
}

// --- Writing

// "1f4\r\n" for a chunk of `len` bytes, into out; returns its length. After the bytes: "\r\n";
// after the last chunk: "0\r\n\r\n".
#define H1_CHUNK_HEAD_MAX 18
size_t h1_chunk_head(char out[static H1_CHUNK_HEAD_MAX], size_t len);
