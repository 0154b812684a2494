// HTTP/1.1 server on one loop: accept, keep-alive, pipelining, limits, deadlines; a call a request.
// All on the loop's thread. A call lives from `request` until http_call_end, _respond or _abort has
// been made, or `cancel` has returned: after that the pointer is dead. Exactly one of these ends
// comes. Slices in a call are valid as long as the call.
// Sending: what is written leaves when the loop's callback at hand returns, or at the end of the
// turn; several writes leave in one send.
#pragma once

#include "base/buf.h"
#include "http/head.h"
#include "net/loop.h"

struct http_server;
struct http_call;
struct tls_context;

struct http_limits {
    size_t header_bytes_max;                  // 431
    uint32_t headers_max;                     // 431
    size_t target_bytes_max;                  // 414
    size_t body_bytes_max;                    // 413
    uint32_t header_timeout_ms;               // 408: from the first byte of a head to its end
    uint32_t body_rate_min;                   // bytes/s over 5 s windows after the first; 408
    uint32_t body_window_ms;                  // that window
    uint32_t idle_timeout_ms;                 // keep-alive: closed without a word
    uint32_t write_timeout_ms;                // a client that reads nothing for that long is cut
    uint32_t connections_max;                 // in all: 503 and close
    uint32_t connections_per_address_max;     // 429 and close
    uint32_t handshakes_max;                  // TLS, and nothing asked yet: the oldest goes
    size_t write_bytes_high, write_bytes_low; // watermarks of a call's output
};
extern const struct http_limits http_limits_default;

// What the server itself refused.
struct http_refusal {
    int status;
    const char *reason, *text; // a stable word ("header_too_large"), a sentence
    str request_id;
    str path; // empty: it did not come to that
};

struct http_handler {
    // The head and the whole body (Content-Length or chunked, within limits) are here.
    void (*request)(void *ctx, struct http_call *call);
    // The client went away, or the server is cutting it, before the answer was complete. The owner
    // drops its work now.
    void (*cancel)(void *ctx, struct http_call *call);
    // Output fell under the low watermark after http_call_write said ERR_AGAIN.
    // May be NULL.
    void (*drained)(void *ctx, struct http_call *call);
    // The server itself refused a request (400, 408, 413, 414, 429, 431, 501, 503, 505): write the
    // body for its status (an error object of the API) into `out`.
    void (*refusal)(void *ctx, const struct http_refusal *r, struct buf *out);
    // After every answered request: for the access record. `call` is NULL for one that the server
    // refused before there was a call. May be NULL.
    void (*finished)(void *ctx, const struct http_call *call, int status, uint64_t body_bytes,
                     uint64_t duration_us);
    // Server and client do not speak the same: a TLS handshake failed or was too slow, plain HTTP
    // came to a TLS port, TLS to a plain one. `peer` as http_call_peer. May be NULL.
    void (*no_contact)(void *ctx, str peer, const struct diag *why);
};

struct http_server_options {
    struct http_limits limits;
    // Of tls_server_new: every connection speaks TLS; NULL: plain. Borrowed. A handshake has
    // header_timeout_ms.
    struct tls_context *tls;
    bool half_close_cancels; // FIN while a call runs = the client has gone
};

enum err http_server_new(struct loop *l, const struct http_server_options *o,
                         const struct http_handler *h, void *ctx, struct http_server **ret,
                         struct diag *d) MUST_USE;
// "127.0.0.1:8080", "[::1]:0", "unix:/path". reuseport: several loops share the port. ret_port may
// be NULL.
enum err http_server_listen(struct http_server *s, const char *address, bool reuseport,
                            uint16_t *ret_port, struct diag *d) MUST_USE;
void http_server_drain(struct http_server *s); // stop accepting; Connection: close on what follows
size_t http_server_connections(const struct http_server *s);
size_t http_server_calls(const struct http_server *s); // requests being received or answered
// Whether a request is coming in or running, or an answer waits for its client to read it.
bool http_server_busy(const struct http_server *s);
void http_server_free(struct http_server *s); // cancels what runs

// --- What was asked
str http_call_method(const struct http_call *c); // "POST"
str http_call_path(const struct http_call
                       *c); // decoded path without the query; never contains ".." segments or NUL
str http_call_query(const struct http_call *c);                    // raw, without '?'
str http_call_header(const struct http_call *c, const char *name); // STR_NONE when absent
const struct http_header *http_call_headers(const struct http_call *c, size_t *ret_len);
str http_call_body(const struct http_call *c);
// The body's memory goes over to the caller, who may keep it longer than the call (*ret is not
// initialised before; buf_done it). The call has an empty body afterwards.
void http_call_take_body(struct http_call *c, struct buf *ret);
str http_call_peer(const struct http_call *c);       // "127.0.0.1:51234"
str http_call_request_id(const struct http_call *c); // the client's x-request-id if sane (≤ 128
                                                     // visible characters), else ours
struct arena *http_call_arena(struct http_call *c);  // lives as long as the call
void http_call_set_data(struct http_call *c, void *data); // the owner's own pointer
void *http_call_data(const struct http_call *c);

// --- The answer. Content-Length / chunked framing, Date, x-request-id, Connection, HEAD handling
// are the server's business. `extra` headers may be NULL. The body is copied. One send for head and
// body.
void http_call_respond(struct http_call *c, int status, str content_type,
                       const struct http_headers *extra, str body);
// Streamed: begin, any number of writes, end. A write's bytes leave in this turn; several writes in
// one turn leave in one send.
void http_call_begin(struct http_call *c, int status, str content_type,
                     const struct http_headers *extra);
// ERR_OK; ERR_AGAIN: taken, but stop until `drained`; ERR_CLOSED: the client has gone (cancel comes
// or came).
enum err http_call_write(struct http_call *c, str bytes);
void http_call_end(struct http_call *c);
// End a streamed answer so that the client notices: the connection is cut without the last chunk.
void http_call_abort(struct http_call *c);
// Answered or not: the connection is reset. Bytes that the system has not taken yet are lost.
void http_call_reset(struct http_call *c);
bool http_call_begun(const struct http_call *c);
// Bytes written and not yet taken by the system.
size_t http_call_pending_bytes(const struct http_call *c);
