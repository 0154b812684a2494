// What client.c (exchanges), client_conn.c (connections) and pool.c share. Nobody else includes it.
#pragma once

#include "base/map.h"
#include "base/mem.h"
#include "http/client.h"
#include "http/url.h"

struct client_conn;

// Idle connections of one origin, the freshest first.
struct origin {
    struct client_conn *idle;
    size_t idle_len;
};

struct http_client {
    struct loop *loop;
    struct http_client_options o;
    struct h1_limits limits;
    struct resolver *resolver;
    struct tls_context *tls; // made when first needed
    struct connect_proxies proxies;
    struct map origins; // "https://host:port via proxy" → struct origin
    struct http_exchange *exchanges;
    size_t idle_len;
};

enum exchange_step {
    EXCHANGE_START,
    EXCHANGE_CONNECT,
    EXCHANGE_HEAD,
    EXCHANGE_BODY,
    EXCHANGE_FAILED
};

struct http_exchange {
    struct http_client *client;
    struct http_exchange *next, *prev;
    const struct http_answer_handler *h;
    void *ctx;
    struct http_request r;       // strings in the arena, but for the body
    struct http_header *headers; // in the arena, just as many
    size_t headers_len;
    struct arena arena;
    struct url url;
    str url_text;
    str origin_key;
    enum exchange_step step;
    struct connecting *connecting;
    struct client_conn *conn;
    struct loop_later later;
    struct loop_timer phase, total; // deadlines
    uint64_t began_us, connect_us;
    uint32_t redirects;
    bool retried, reused, redirecting, answered; // answered: a byte of the answer came
    bool over;                                   // `end` or `error` is being told
    size_t skipped_bytes;                        // of a redirect's body
    struct diag d;
};

struct client_conn {
    struct http_client *client;
    struct http_exchange *exchange; // NULL: idle
    struct stream *stream;
    struct h1 codec;
    struct arena arena; // heads
    str origin_key;     // owned
    struct client_conn *next, *prev;
    struct loop_timer idle;
    bool absolute_form, in_callback, dead;
    str proxy_authorization; // owned
};

// client_conn.c
extern const struct stream_handler client_conn_handler;
struct client_conn *client_conn_new(struct http_client *c, str origin_key);
void client_conn_close(struct client_conn *k); // also from inside its own callbacks
void client_conn_send(struct client_conn *k, struct http_exchange *x);

// client.c, told by connections
void exchange_head(struct http_exchange *x, const struct h1_head *head);
void exchange_body(struct http_exchange *x, str bytes);
void exchange_end(struct http_exchange *x);
// The connection is gone before the end.
void exchange_broken(struct http_exchange *x, enum err e, const struct diag *d);

// pool.c
struct client_conn *pool_take(struct http_client *c, str origin_key); // NULL: none
void pool_put(struct client_conn *k);                                 // keeps or closes it
void pool_remove(struct client_conn *k);
void pool_close_all(struct http_client *c);
