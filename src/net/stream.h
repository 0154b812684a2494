// A byte stream over a socket, plain or through a transport (TLS), with watermarks. Owned by one
// loop; callbacks run on its thread. Lifetime: from stream_new (or a connector that hands it over)
// to stream_close, after which no callback comes and the pointer is dead at the end of the turn.
// Sending is batched: bytes leave when the callback that wrote them returns, or at the end of the
// turn at the latest, several writes in one send.
// Limits: `max` of stream_set_limits bounds what may be queued.
#pragma once

#include "base/buf.h"
#include "net/loop.h"

struct stream;
struct stream_io;
struct sock_address;

// All but `drained` and `sent` must be there.
struct stream_handler {
    // Bytes came. Valid until it returns; everything is taken (what is not consumed now the owner
    // keeps himself).
    void (*data)(void *ctx, str bytes);
    // The peer ended its side (FIN or close_notify). Reading is over; writing may go on.
    void (*end)(void *ctx);
    // The queue fell to the low watermark after stream_write had said ERR_AGAIN.
    void (*drained)(void *ctx);
    // The stream is dead (reset, TLS failure, write error). Called once; the owner still calls
    // stream_close.
    void (*error)(void *ctx, enum err e, const struct diag *d);
    // After stream_shutdown_write: the system has taken all that was queued, our side is ended.
    void (*sent)(void *ctx);
};

// Take over a connected non-blocking socket; `io` is its transport, owned from now on, NULL for
// plain. The descriptor and `io` are closed also when this fails (NULL: the loop has no room).
struct stream *stream_new(struct loop *l, int fd, struct stream_io *io,
                          const struct stream_handler *h, void *ctx) MUST_USE;
void stream_set_handler(struct stream *s, const struct stream_handler *h, void *ctx);
// Above `high` queued bytes stream_write says ERR_AGAIN, at `low` comes `drained`, over `max` is
// refused. At first 256 kB, 64 kB, 64 MB.
void stream_set_limits(struct stream *s, size_t high, size_t low, size_t max);
void stream_close(struct stream *s); // at once; queued bytes are dropped
// When it is closed, now or after a flush, the peer shall get a reset and not an end (plain only).
void stream_reset_on_close(struct stream *s);
// The owner is done with it: no more callbacks. What is queued is sent, then our side ends, what
// still comes in is thrown away (a reset would destroy the answer on its way) until the peer ends
// too or the time is over, sent or not: where a slow peer shall have all, stream_shutdown_write and
// `sent` come first.
void stream_close_after_flush(struct stream *s, uint32_t timeout_ms);

// Queue. ERR_OK; ERR_AGAIN: taken, but above the high watermark: stop producing until `drained`;
// ERR_LIMIT: not taken (over `max`); ERR_CLOSED: dead (`error` comes or came).
enum err stream_write(struct stream *s, str bytes);
// Room to format `size` bytes right into the queue, then stream_commit(len ≤ size), which answers
// as stream_write. NULL: over `max` or dead.
char *stream_reserve(struct stream *s, size_t size) MUST_USE;
enum err stream_commit(struct stream *s, size_t len);
size_t stream_pending_bytes(const struct stream *s); // queued and not yet taken by the system
// For how long the system has taken none of what is queued; 0 when nothing is.
uint64_t stream_stalled_ms(const struct stream *s);
void stream_shutdown_write(struct stream *s); // send FIN/close_notify after the queue

// Stop and resume reading (back-pressure). While paused an end or a reset of the peer waits behind
// the unread bytes, unless stream_watch_hangup asked for it: then it is `error`(ERR_CLOSED) at
// once.
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
void stream_watch_hangup(struct stream *s, bool on);

int stream_fd(const struct stream *s);
struct loop *stream_loop(const struct stream *s);
// "127.0.0.1:8080" of the peer; valid as long as the stream.
str stream_peer(struct stream *s);
// Whether the peer has ended its side or the connection is dead already.
bool stream_ended(const struct stream *s);
