// What the server's files share: server.c (listening), server_conn.c (a connection and its phases),
// server_greeting.c (its beginning under TLS), server_call.c (a request as its handler sees it),
// server_write.c (answers).
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "base/random.h"
#include "http/h1.h"
#include "http/server.h"
#include "net/sock.h"
#include "net/stream.h"

struct http_call {
    _Alignas(16) struct http_conn *conn;
    struct http_call *next_spare;
    struct arena arena;
    struct h1_head head;
    str path, query, request_id;
    struct buf body;
    void *data;
    uint64_t began_us, sent_bytes;
    int status;
    bool running;  // its handler has it
    bool begun;    // the answer's head is written
    bool chunked;  // the answer is
    bool headless; // the answer has no body: HEAD, 204, 304
};

enum http_conn_phase {
    CONN_IDLE,    // between requests
    CONN_HEAD,    // a head has begun
    CONN_BODY,    // a body is coming in
    CONN_RUNNING, // a call is with its handler
    CONN_CLOSING, // the last answer is written: flush and go
    CONN_LEAVING, // waits for the client to take what is queued, then goes
    CONN_DEAD,    // nothing more to say: close at once
};

struct http_conn {
    struct http_server *server;
    struct stream *stream;
    struct http_conn *next, *prev;
    struct http_conn *greets_next, *greets_prev; // while `greeting`
    struct h1 codec;
    struct http_call *call; // received or running
    enum http_conn_phase phase;
    bool in_data;    // inside conn_data: it goes on by itself
    bool greeting;   // under TLS: nothing was heard yet, the handshake may not be over
    bool ended;      // the client ended its side
    bool keep_alive; // after the current answer
    bool counted;    // in server->addresses
    struct buf in;   // came in while a call was running
    uint64_t due_ms; // of the phase; the timer may fire earlier and looks again
    uint64_t idle_until_ms;
    uint64_t window_bytes; // of the body: how many there were when the window began
    bool window_judged;    // the first window is free
    struct loop_timer timer;
    struct loop_later resume;
    char good_host[40]; // the last Host that was found well-formed: the next is mostly the same
    uint8_t good_host_len;
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } peer;
};

struct http_listener {
    struct http_server *server;
    struct loop_fd fd;
    struct loop_later again;   // more are waiting than one turn takes
    struct loop_timer no_room; // out of descriptors: look again soon
    struct http_listener *next;
    char *unlink_path; // of a unix socket
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct h1_limits h1_limits;
    const struct http_handler *h;
    void *ctx;
    struct http_listener *listeners;
    struct http_conn conns; // sentinel of a ring
    size_t conns_len, calls_len;
    struct http_conn *greets_first, *greets_last; // the oldest first
    size_t greets_len;
    struct map addresses; // of clients, with the number of their connections
    struct http_call *spares;
    size_t spares_len;
    struct random ids;
    uint64_t refused_second, refused_len;
    uint64_t date_due_ms;
    size_t date_len;
    char date[64]; // "Date: …\r\n"
    bool draining;
};

// server_conn.c
void conn_new(struct http_server *s, int fd, const struct sock_address *peer);
void conn_free(struct http_conn *c); // cancels its call, closes at once
// The call's answer is complete (or given up): free the call and go on with the connection.
void conn_call_over(struct http_conn *c);
void conn_watch_writing(struct http_conn *c); // something was queued: mind the write timeout

// server_greeting.c: under TLS, until the first request
void greeting_begin(struct http_conn *c);
void greeting_over(struct http_conn *c);
void greeting_failed(struct http_conn *c, enum err e, const struct diag *d);
void greeting_was_slow(struct http_conn *c);
void greeting_no_contact(struct http_conn *c, const struct diag *why);
// A flood is not answered in words for ever: the descriptors of the refused linger too.
bool greeting_may_explain(struct http_server *s);

// server_call.c
struct http_call *call_take(struct http_conn *c);
void call_give(struct http_call *call);
// Look at a complete head. ERR_OK, or *ret says how to refuse it.
enum err call_check(struct http_call *call, struct h1_error *ret) MUST_USE;
bool call_expects_continue(const struct http_call *call);

// server_write.c
// `path` is empty where it is not known.
void write_refusal(struct http_server *s, struct stream *to, const struct h1_error *e, str path);
