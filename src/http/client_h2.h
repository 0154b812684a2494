// What client_h2.c (connections), client_h2_pool.c (origins, who waits) and client_h2_place.c (an
// exchange's stream) share with client.c. Nobody else includes it.
#pragma once

#include "http/client_internal.h"

struct h2_conn;

// Where HTTP/2 is tried. Kept as long as the client: there are as many as its owner asks.
struct h2_origin {
    struct http_client *client;
    bool prior_knowledge;
    enum { ORIGIN_UNKNOWN, ORIGIN_H1, ORIGIN_H2 } speaks; // what the last handshake chose
    struct h2_conn *conns;                                // also those being opened
    size_t conns_len;
    struct h2_conn *leaving;                 // they have said goodbye
    struct h2_place *waiting, *waiting_last; // the longest first
    size_t waiting_len;
    size_t streams_max; // of a connection, as last seen; 0: never
};

struct h2_conn {
    struct h2_origin *origin;
    struct h2_conn *next, *prev;
    struct connecting *connecting; // NULL: open
    struct h2_place *leader;       // for whom it is being opened, if that still waits
    struct stream *stream;
    struct h2 *h2;
    size_t places; // exchanges that have a stream here
    struct loop_timer timer;
    struct loop_later work;
    uint64_t heard_ms, pinged_ms;
    bool blocked; // the stream's queue is full
    bool pinged, leaving, busy, dead;
};

// An exchange's place: it waits for a connection, or has a stream on one.
struct h2_place {
    struct http_exchange *x; // NULL: let go of; freed by whoever is on the stack
    struct h2_origin *origin;
    struct h2_conn *conn; // NULL: waits, or the connection is gone
    struct h2_place *next, *prev;
    struct h2_stream stream;
    struct buf held; // came while it was paused: never more than its window
    struct loop_later deliver;
    bool waits, paused, busy;
    bool ended;     // after `held`
    struct diag *d; // it broke, after `held`; owned
};

// --- client_h2_place.c
extern const struct h2_handler h2_place_handler;
struct h2_place *h2_place_new(struct h2_origin *o, struct http_exchange *x);
// A stream for it. False: it failed, which is told later.
bool h2_place_attach(struct h2_place *p, struct h2_conn *k);

// --- client_h2.c
struct h2_conn *h2_conn_new(struct h2_origin *o);
void h2_conn_open(struct h2_conn *k, struct stream *stream);
void h2_conn_close(struct h2_conn *k); // at once; its places must be gone, or go by themselves
void h2_conn_work_later(struct h2_conn *k);
void h2_conn_join(struct h2_conn *k); // a place is taken, and given up
void h2_conn_leave(struct h2_conn *k);
extern const struct stream_handler h2_conn_handler;

// --- client_h2_pool.c
void h2_origin_pump(struct h2_origin *o); // those who wait get what is free; connections are opened
void h2_origin_forget(struct h2_origin *o, struct h2_place *p); // it does not wait any more
