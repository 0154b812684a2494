// HTTP client: requests over pooled connections, by the streams and the codec of the server; over
// HTTP/2 where a request allows it and the server chooses it.
// Every verb and the gateway use it. One client a loop, all on the loop's thread. Origins are kept
// apart; TLS is always verified; proxies come from the environment. An exchange lives from
// http_client_send until `end` or `error` has returned (exactly one comes), or
// http_exchange_cancel.
#pragma once

#include "http/h1.h"
#include "net/connect.h"

struct http_client;
struct http_exchange;

struct http_client_options {
    const char *ca_file;              // NULL: the system's store
    const char *cert_file, *key_file; // our own certificate, or NULL
    bool ignore_proxies;              // do not read *_PROXY
    uint32_t connect_timeout_ms;      // name, sockets, proxy and TLS together
    uint32_t headers_timeout_ms;      // from the request to the answer's head
    uint32_t idle_timeout_ms;         // between two pieces of the body
    uint32_t total_timeout_ms;        // of the whole exchange; 0: none
    uint32_t pool_idle_ms;            // how long an idle connection is kept
    uint32_t pool_per_origin_max;     // idle ones; of HTTP/2: all
    size_t header_bytes_max;          // of an answer
    // HTTP/2: until both sides know each other's settings; with streams open, how long a silent
    // server is left alone before a ping, and then until the connection counts as dead.
    uint32_t h2_settings_timeout_ms, h2_ping_after_ms, h2_ping_timeout_ms;
};
extern const struct http_client_options http_client_options_default;

enum err http_client_new(struct loop *l, const struct http_client_options *o,
                         struct http_client **ret, struct diag *d) MUST_USE;
void http_client_free(struct http_client *c); // cancels what runs, without a word

enum http2_use {
    HTTP2_OFF,
    HTTP2_AUTO, // over TLS, where the server chooses it (ALPN); the other side is HTTP/1.1
    HTTP2_PRIOR_KNOWLEDGE // without TLS, too: the server is known to speak it
};

#define HTTP_NO_TIMEOUT UINT32_MAX // of headers and of silence

struct http_address; // http/address.h

struct http_request {
    struct http_address *address; // made before, or NULL: then the next four say where to
    str method;                   // "GET"
    str url;
    const struct http_headers *headers; // beside Host, Content-Length, Connection; may be NULL
    enum http2_use http2;
    str body;        // borrowed: must live until the exchange is over
    bool repeatable; // may be sent again when a kept connection turns out dead (implied by GET,
                     // HEAD, PUT, DELETE, OPTIONS)
    uint32_t redirects_max; // followed for GET and HEAD; 0: the caller sees them
    // 0: the client's; HTTP_NO_TIMEOUT: the caller has a clock of its own
    uint32_t connect_timeout_ms, headers_timeout_ms, idle_timeout_ms, total_timeout_ms;
};

struct http_answer_handler {
    void (*head)(void *ctx, const struct h1_head *head); // valid until it returns
    void (*body)(void *ctx, str bytes);
    void (*end)(void *ctx);
    // ERR_TIMEOUT, ERR_CLOSED (cut short), ERR_UPSTREAM (no connection, or not HTTP), ERR_INVALID
    // (the request), ERR_LIMIT, ERR_BUSY (HTTP/2: the server refused it unread, over and over)
    void (*error)(void *ctx, enum err e, const struct diag *d);
};

// Never fails at once: what is wrong comes as `error` in a later turn.
struct http_exchange *http_client_send(struct http_client *c, const struct http_request *r,
                                       const struct http_answer_handler *h, void *ctx);
void http_exchange_cancel(
    struct http_exchange *x); // the connection is closed at once; no callback after it
// The owner has all it wanted: no callback any more. What little is left of the answer is read away
// so that the connection is kept; after linger_ms it is closed.
void http_exchange_forget(struct http_exchange *x, uint32_t linger_ms);
// The body lets wait for itself: gives back what the head took. After `head` has returned.
void http_exchange_rest(struct http_exchange *x);
// Back-pressure on the body.
void http_exchange_pause(struct http_exchange *x);
void http_exchange_resume(struct http_exchange *x);
// For telemetry: how long it took to get a connection (0 when reused), and whether it was.
uint64_t http_exchange_connect_us(const struct http_exchange *x);
bool http_exchange_reused(const struct http_exchange *x);
bool http_exchange_is_h2(const struct http_exchange *x); // once the head came

size_t http_client_idle_connections(const struct http_client *c);
