// A byte stream over a socket, plain or TLS, with watermarks. Owned by one loop; callbacks run on
// its thread. Lifetime: from stream_new (or a connector/listener that hands it over) to
// stream_close, after which no callback comes and the pointer is dead at the end of the turn.
// Limits: write_bytes_max bounds what may be queued.
#pragma once

#include "base/buf.h"
#include "net/loop.h"

struct stream;
struct tls_context;

struct stream_handler {
    // Bytes came. Valid until it returns; everything is taken (what is not consumed now the owner
    // keeps himself).
    void (*data)(void *ctx, str bytes);
    // The peer ended its side (FIN or close_notify). Reading is over; writing may go on.
    void (*end)(void *ctx);
    // The queue fell under the low watermark after stream_write had said ERR_AGAIN, or everything
    // was sent after stream_flush.
    void (*drained)(void *ctx);
    // The stream is dead (reset, TLS failure, write error). Called once; the owner still calls
    // stream_close.
    void (*error)(void *ctx, enum err e, const struct diag *d);
};

// Take over a connected non-blocking socket. `tls` NULL for plain.
struct stream *stream_new(struct loop *l, int fd, const struct stream_handler *h, void *ctx);
void stream_set_handler(struct stream *s, const struct stream_handler *h, void *ctx);
void stream_close(struct stream *s); // at once; queued bytes are dropped
void stream_close_after_flush(struct stream *s,
                              uint32_t timeout_ms); // owner is done with it; no callbacks

// Queue and send. ERR_OK; ERR_AGAIN: taken, but above the high watermark: stop producing until
// `drained`; ERR_LIMIT: not taken (over write_bytes_max); ERR_CLOSED: dead.
enum err stream_write(struct stream *s, str bytes);
// Several pieces in one send.
enum err stream_writev(struct stream *s, const str *pieces, size_t count);
size_t stream_pending_bytes(const struct stream *s);
// Stop and resume reading (back-pressure). While paused a hangup is still noticed and reported by
// `error`(ERR_CLOSED).
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
void stream_shutdown_write(struct stream *s); // send FIN/close_notify after the queue

int stream_fd(const struct stream *s);
// "127.0.0.1:8080" of the peer; valid as long as the stream.
str stream_peer(const struct stream *s);
