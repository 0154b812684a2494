// What client.c (exchanges), client_conn.c (connections) and pool.c share. Nobody else includes it.
#pragma once

#include "base/map.h"
#include "base/mem.h"
#include "http/address.h"
#include "http/h2.h"

struct client_conn;
struct h2_place;

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
    struct map origins;    // "https://host:port via proxy" → struct origin
    struct map h2_origins; // the same → struct h2_origin (client_h2.h)
    struct h2_limits h2_limits;
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
    struct http_address *address; // NULL: it could not be made, `why` says so
    str body;                     // borrowed
    enum exchange_step step;
    struct connecting *connecting;
    struct client_conn *conn;
    struct h2_place *h2; // instead, where it goes over HTTP/2
    struct loop_later later;
    struct loop_timer phase, total; // deadlines
    uint64_t began_us, connect_us;
    uint32_t connect_timeout_ms, headers_timeout_ms, idle_timeout_ms, total_timeout_ms;
    uint32_t redirects, redirects_max, refusals;
    bool repeatable, retried, reused, redirecting;
    bool answered; // a byte of the answer came
    bool over_h2;
    bool over;            // `end` or `error` is being told
    size_t skipped_bytes; // of a redirect's body
    struct diag *why;     // EXCHANGE_FAILED; owned
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
// The connection is gone before the end; ERR_BUSY: the server surely did not process the request.
void exchange_broken(struct http_exchange *x, enum err e, const struct diag *d);

// client.c, for HTTP/2's way to a connection
enum err client_need_tls(struct http_client *c, struct diag *d);
uint32_t exchange_connect_timeout_ms(const struct http_exchange *x);
void exchange_on_its_way(struct http_exchange *x); // it is being sent: the answer's time runs
void exchange_send_on_stream(struct http_exchange *x, struct stream *s); // HTTP/1.1 it is
void exchange_again(struct http_exchange *x); // look for a connection once more, later
void exchange_fail_later(struct http_exchange *x, enum err e, const struct diag *d);

// client_h2_pool.c and client_h2_place.c (client_h2.h)
// A stream for it, or a place among those who wait. False: its origin speaks HTTP/1.1.
bool client_h2_start(struct http_exchange *x);
void client_h2_adopt(struct http_exchange *x, struct stream *s); // the handshake chose HTTP/2
void client_h2_close_all(struct http_client *c);
size_t client_h2_idle(const struct http_client *c);
void h2_place_free(struct h2_place *p);        // its stream is reset, or it waits no more
bool h2_place_sends(const struct h2_place *p); // it still reads from the body
void h2_place_pause(struct h2_place *p);
void h2_place_resume(struct h2_place *p);

// pool.c
struct client_conn *pool_take(struct http_client *c, str origin_key); // NULL: none
void pool_put(struct client_conn *k);                                 // keeps or closes it
void pool_remove(struct client_conn *k);
void pool_close_all(struct http_client *c);
