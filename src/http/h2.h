// HTTP/2, the client's side of one connection, as a codec without I/O, over nghttp2: bytes in,
// events and bytes out. Nobody else includes nghttp2.
// Owner: a connection; its thread only. A stream lives in its owner's memory from h2_request until
// `end` or `broken` is told (exactly one comes), or h2_cancel; the codec reads its request's body
// until then. From inside the callbacks everything may be called but h2_feed, h2_next and h2_free.
// Limits: what a peer can make grow is bounded. Heads by header_bytes_max; a body by its stream's
// window, which is opened only as h2_consumed says that bytes were used; frames that carry nothing
// (pings, settings, empty data, interim heads, resets) by a budget that fills with time and with
// each request; CONTINUATION frames, settings in one frame and unsent acknowledgements by nghttp2
// (8, 32 and 1,000). Pushed streams are refused. Sources: RFC 9113, RFC 7541.
#pragma once

#include "base/arena.h"
#include "http/h1.h"

struct h2;

struct h2_limits {
    size_t
        header_bytes_max; // of an answer, each field 32 bytes longer than it is (RFC 9113 §6.5.2)
    // What a stream may be sent ahead of its reader: at first, and when the reader has kept up.
    uint32_t window_min, window_max;
    uint32_t window_connection; // given back at once: a slow stream holds up no other
    uint32_t streams_max;       // open at once, whatever the peer allows
};

struct h2_handler {
    void (*head)(void *ctx, const struct h1_head *head); // the final one; valid until it returns
    void (*body)(void *ctx, str bytes); // its owner calls h2_consumed, now or later
    void (*end)(void *ctx);
    // ERR_BUSY: the server has surely not processed the request (RFC 9113 §8.7): it is safe to send
    // it again. ERR_CLOSED: cut short. ERR_UPSTREAM: not HTTP/2 as it should be. ERR_LIMIT: the
    // request's head is too large to be sent.
    void (*broken)(void *ctx, enum err e, const struct diag *d);
};

struct h2_request {
    str method, scheme, authority, path;
    const struct http_header *headers; // as for HTTP/1.1: what does not belong is left out
    size_t headers_len;
    str body; // borrowed
};

// Zeroed by its owner before h2_request; private.
struct h2_stream {
    struct h2 *h2; // NULL: not open
    struct h2_stream *next, *prev;
    void *ctx;
    str body; // not yet sent
    const char *why;
    int32_t id;
    uint32_t window, window_used;
    bool head_done, unsent, reset_by_peer;
};

// NULL: no memory. `limits` and `handler` must outlive it. Its own SETTINGS are the first to be
// sent.
struct h2 *h2_new(const struct h2_limits *limits, const struct h2_handler *handler) MUST_USE;
void h2_free(struct h2 *h); // no callback

// What the peer sent. now_ms: a monotonic clock, for the budget.
void h2_feed(struct h2 *h, str in, uint64_t now_ms);
// The next bytes to send; false: none now. They are valid until the next call.
bool h2_next(struct h2 *h, str *ret);
// Nothing will be read or sent any more (after h2_next said false): fail what is open, and close.
bool h2_over(const struct h2 *h);
// Tells `broken` to every open stream: by the peer's or our own last word where there was one, else
// as the given error.
void h2_break(struct h2 *h, enum err e, const struct diag *d);

// How many more streams may be opened now. Before the peer's settings it is one: more might be
// refused.
size_t h2_room(const struct h2 *h);
size_t h2_open(const struct h2 *h);
size_t h2_streams_max(const struct h2 *h); // what the peer allows, and our own limit
bool h2_settled(const struct h2 *h);       // both sides' settings are known and acknowledged
bool h2_going(const struct h2 *h);         // GOAWAY came or went: no new streams

// ERR_AGAIN: no room; ERR_LIMIT: more headers than may be.
enum err h2_request(struct h2 *h, struct h2_stream *s, const struct h2_request *r, void *ctx);
// RST_STREAM(CANCEL) with the next bytes; no callback after it. Fine when not open.
void h2_cancel(struct h2_stream *s);
void h2_consumed(struct h2_stream *s, size_t len); // of the body
void h2_slow(struct h2_stream *s);                 // its reader does not keep up
void h2_ping(struct h2 *h);
// GOAWAY, and no more. late: the peer did not acknowledge our settings in time.
void h2_goodbye(struct h2 *h, bool late);

// --- h2_request.c
// The fields of a request in HTTP/2's words, pseudo-fields first, in the arena: names in lower
// case; what describes the connection of HTTP/1.1 is left out (RFC 9113 §8.2.2), Host becomes
// :authority, a Content-Length stands where HTTP/1.1 would say one. ERR_LIMIT: the arena is full.
enum err h2_request_fields(const struct h2_request *r, struct arena *a, struct http_header **ret,
                           size_t *ret_len) MUST_USE;
