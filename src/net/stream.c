#include "net/stream.h"

#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/sock.h"
#include "net/stream_io.h"

#include "base/banned.h"

enum {
    HIGH_BYTES = 256 * 1024,
    LOW_BYTES = 64 * 1024,
    MAX_BYTES = 64 * 1024 * 1024,
    FLUSH_BYTES = 64 * 1024, // do not gather more than this for one send
    READS_A_TURN = 4,        // then others have their turn
};

struct stream {
    struct loop *loop;
    struct loop_fd fd;
    const struct stream_handler *h;
    void *ctx;
    struct stream_io *io;
    struct buf out;
    size_t high_bytes, low_bytes;
    uint64_t progress_ms; // when the system last took bytes, or the queue ceased to be empty
    struct loop_later later;
    struct loop_timer linger;
    char *peer;
    bool detached;       // nobody listens any more: flush, linger, close
    bool in_event;       // inside an event: it flushes at its end
    bool blocked;        // the system took no more; wait for an event
    bool paused;         // by the owner
    bool watch_hangup;   // a FIN or a reset while paused is an error
    bool hung_up;        // a FIN or a reset is under way
    bool read_again;     // more may be waiting that no event will tell
    bool ended;          // the peer's side is over
    bool above_high;     // ERR_AGAIN was said
    bool shutdown_asked; // after the queue
    bool shutdown_done;
    bool failed; // dead; `error` comes or came
    bool told;   // it came
    bool reset_on_close;
    bool closed; // the owner is gone; freed at the end of the turn
    enum err failure;
    int failure_sys;
};

// --- Arming

static void arm(struct stream *s)
{
    uint32_t events = 0;
    bool reading = !s->paused && !s->ended;
    if (reading || (s->io && s->out.len))
        events |= LOOP_READ;
    if (s->out.len || (s->io && s->io->wants_write))
        events |= LOOP_WRITE;
    if (!s->ended)
        events |= LOOP_HANGUP;
    if (s->detached)
        events |= LOOP_END;
    if (!s->failed && !s->closed)
        loop_fd_set(s->loop, &s->fd, events);
}

// --- Failing and closing

static void fail(struct stream *s, enum err e, int sys)
{
    if (s->failed || s->closed)
        return;
    s->failed = true;
    s->failure = e;
    s->failure_sys = sys;
    loop_fd_remove(s->loop, &s->fd);
    buf_clear(&s->out);
    buf_shrink(&s->out);
    loop_later_set(s->loop, &s->later);
}

static void fail_errno(struct stream *s, int sys)
{
    bool gone = sys == ECONNRESET || sys == EPIPE || sys == ENOTCONN;
    fail(s, gone ? ERR_CLOSED : ERR_IO, sys);
}

static void tell_failure(struct stream *s)
{
    struct diag d = {0};
    if (s->told)
        return;
    s->told = true;
    if (s->io && s->failure == ERR_IO && s->failure_sys == 0)
        s->failure = s->io->ops->why(s->io, &d);
    else if (s->failure_sys)
        diag_sys(&d, s->failure, s->failure_sys, "the connection is dead");
    else
        diag_set(&d, s->failure, "the other side closed the connection");
    LOOP_NOTE(s->loop, s->h->error);
    s->h->error(s->ctx, s->failure, &d);
}

static void free_stream(struct stream *s)
{
    if (s->io)
        s->io->ops->free(s->io);
    buf_done(&s->out);
    mem_free(s->peer);
    mem_free(s);
}

void stream_close(struct stream *s)
{
    if (!s || s->closed)
        return;
    s->closed = true;
    loop_timer_cancel(&s->linger);
    loop_fd_remove(s->loop, &s->fd);
    if (s->io && !s->failed && !s->shutdown_done)
        s->io->ops->shutdown(s->io);
    if (s->reset_on_close) {
        struct linger none = {.l_onoff = 1, .l_linger = 0};
        setsockopt(s->fd.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    close(s->fd.fd);
    loop_later_set(s->loop, &s->later);
}

void stream_reset_on_close(struct stream *s)
{
    s->reset_on_close = true;
}

static void linger_over(void *ctx)
{
    stream_close(ctx);
}

// --- Writing

static ssize_t send_some(struct stream *s)
{
    str bytes = buf_str(&s->out);
    if (s->io)
        return s->io->ops->write(s->io, bytes.ptr, bytes.len);
    ssize_t n;
    do
        n = sock_send(s->fd.fd, bytes.ptr, bytes.len);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_IO_AGAIN : STREAM_IO_FAILED;
    return n;
}

static void send_queue(struct stream *s)
{
    while (s->out.len && !s->failed && !s->blocked) {
        ssize_t n = send_some(s);
        if (n == STREAM_IO_AGAIN) {
            s->blocked = true;
            return;
        }
        if (n < 0) {
            if (s->io)
                fail(s, ERR_IO, 0);
            else
                fail_errno(s, errno);
            return;
        }
        buf_consume(&s->out, (size_t)n);
        s->progress_ms = loop_now_ms(s->loop);
    }
    if (s->out.len == 0)
        buf_shrink(&s->out);
}

static void end_our_side(struct stream *s)
{
    if (s->reset_on_close && s->detached) {
        stream_close(s);
        return;
    }
    s->shutdown_done = true;
    if (!s->reset_on_close) {
        if (s->io)
            s->io->ops->shutdown(s->io);
        shutdown(s->fd.fd, SHUT_WR);
    }
    if (!s->detached && s->h->sent) {
        LOOP_NOTE(s->loop, s->h->sent);
        s->h->sent(s->ctx);
    }
}

// After sending: tell the owner, end our side, linger.
static void after_send(struct stream *s)
{
    if (s->failed || s->closed)
        return;
    if (s->out.len == 0 && s->shutdown_asked && !s->shutdown_done)
        end_our_side(s);
    if (s->closed)
        return;
    if (s->detached && s->shutdown_done && s->ended) {
        stream_close(s);
        return;
    }
    arm(s);
    if (s->above_high && s->out.len <= s->low_bytes) {
        s->above_high = false;
        if (!s->detached && s->h->drained) {
            LOOP_NOTE(s->loop, s->h->drained);
            s->h->drained(s->ctx);
        }
    }
}

static void flush(struct stream *s)
{
    send_queue(s);
    after_send(s);
}

static enum err accepted(struct stream *s)
{
    if (s->out.len > FLUSH_BYTES)
        send_queue(s);
    if (s->failed)
        return ERR_CLOSED;
    if (!s->in_event && s->out.len)
        loop_later_set(s->loop, &s->later);
    if (s->out.len <= s->high_bytes)
        return ERR_OK;
    s->above_high = true;
    loop_later_set(s->loop, &s->later);
    return ERR_AGAIN;
}

char *stream_reserve(struct stream *s, size_t size)
{
    if (s->failed || s->closed || s->shutdown_asked)
        return NULL;
    if (s->out.len == 0)
        s->progress_ms = loop_now_ms(s->loop);
    char *room = buf_reserve(&s->out, size);
    s->out.failed = false; // a refusal is told by the answer; later, smaller writes may fit
    return room;
}

enum err stream_commit(struct stream *s, size_t len)
{
    buf_commit(&s->out, len);
    return accepted(s);
}

enum err stream_write(struct stream *s, str bytes)
{
    if (s->failed || s->closed || s->shutdown_asked)
        return ERR_CLOSED;
    char *room = stream_reserve(s, bytes.len);
    if (!room)
        return ERR_LIMIT;
    if (bytes.len)
        memcpy(room, bytes.ptr, bytes.len);
    return stream_commit(s, bytes.len);
}

size_t stream_pending_bytes(const struct stream *s)
{
    return s->out.len;
}

uint64_t stream_stalled_ms(const struct stream *s)
{
    return s->out.len ? loop_now_ms(s->loop) - s->progress_ms : 0;
}

void stream_shutdown_write(struct stream *s)
{
    if (s->shutdown_asked || s->failed || s->closed)
        return;
    s->shutdown_asked = true;
    loop_later_set(s->loop, &s->later);
}

void stream_close_after_flush(struct stream *s, uint32_t timeout_ms)
{
    s->detached = true;
    if (s->failed || s->closed || (s->reset_on_close && s->shutdown_done)) {
        stream_close(s);
        return;
    }
    stream_shutdown_write(s);
    loop_timer_set(s->loop, &s->linger, timeout_ms);
    loop_later_set(s->loop, &s->later);
    stream_resume(s);
}

// --- Reading

static ssize_t receive(struct stream *s, char *into, size_t len)
{
    if (s->io)
        return s->io->ops->read(s->io, into, len);
    ssize_t n;
    do
        n = recv(s->fd.fd, into, len, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_IO_AGAIN : STREAM_IO_FAILED;
    return n;
}

static void got_end(struct stream *s)
{
    s->ended = true;
    if (s->detached) {
        after_send(s);
        return;
    }
    arm(s);
    LOOP_NOTE(s->loop, s->h->end);
    s->h->end(s->ctx);
}

static void read_some(struct stream *s)
{
    s->read_again = false;
    for (int i = 0; i < READS_A_TURN; i++) {
        if (s->paused || s->ended || s->failed || s->closed)
            return;
        char *scratch = loop_scratch(s->loop);
        ssize_t n = receive(s, scratch, LOOP_SCRATCH_BYTES);
        if (n == STREAM_IO_AGAIN) {
            if (s->io && s->io->postponed)
                break;
            return;
        }
        if (n < 0) {
            if (s->io)
                fail(s, ERR_IO, 0);
            else
                fail_errno(s, errno);
            return;
        }
        if (n == 0) {
            got_end(s);
            return;
        }
        if (!s->detached) {
            LOOP_NOTE(s->loop, s->h->data);
            s->h->data(s->ctx, str_slice(scratch, (size_t)n));
        }
        // A short read of a plain socket has emptied it; what comes later is a new event.
        if (!s->io && (size_t)n < LOOP_SCRATCH_BYTES && !s->hung_up)
            return;
    }
    s->read_again = true;
    loop_later_set(s->loop, &s->later);
}

static void connection_died(struct stream *s)
{
    int sys = sock_take_error(s->fd.fd);
    fail_errno(s, sys ? sys : ECONNRESET);
}

// A reset or an end of the peer, as an event tells it. Unread bytes come first, so a reader learns
// it from the read; one that is paused only if it asked.
static void hang_up(struct stream *s, bool dead)
{
    s->hung_up = true;
    if (s->paused && s->watch_hangup)
        fail(s, ERR_CLOSED, 0);
    else if (dead && s->ended)
        connection_died(s);
}

static void stream_ready(void *ctx, uint32_t events)
{
    struct stream *s = ctx;
    if (events & LOOP_END) {
        stream_close(s);
        return;
    }
    s->in_event = true;
    if (events & (LOOP_HANGUP | LOOP_ERROR))
        hang_up(s, (events & LOOP_ERROR) != 0);
    if (s->io || (events & LOOP_WRITE)) {
        s->blocked = false;
        send_queue(s);
    }
    if (s->io || (events & LOOP_READ))
        read_some(s);
    s->in_event = false;
    if (!s->closed && !s->failed)
        flush(s);
}

static void stream_later(void *ctx)
{
    struct stream *s = ctx;
    if (s->closed) {
        free_stream(s);
        return;
    }
    if (s->failed && s->detached) {
        stream_close(s);
        return;
    }
    if (s->failed) {
        tell_failure(s);
        return;
    }
    s->in_event = true;
    if (s->read_again)
        read_some(s);
    s->in_event = false;
    if (!s->closed && !s->failed)
        flush(s);
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (!s->in_event)
        arm(s);
}

void stream_resume(struct stream *s)
{
    if (!s->paused)
        return;
    s->paused = false;
    s->read_again = true; // the edge may have passed while nobody read
    loop_later_set(s->loop, &s->later);
}

void stream_watch_hangup(struct stream *s, bool on)
{
    s->watch_hangup = on;
    if (on && s->hung_up && s->paused)
        fail(s, ERR_CLOSED, 0);
}

// --- The rest

struct stream *stream_new(struct loop *l, int fd, struct stream_io *io,
                          const struct stream_handler *h, void *ctx)
{
    struct stream *s = mem_new(struct stream);
    s->loop = l;
    s->h = h;
    s->ctx = ctx;
    s->io = io;
    s->high_bytes = HIGH_BYTES;
    s->low_bytes = LOW_BYTES;
    s->fd = (struct loop_fd){.fd = fd, .ready = stream_ready, .ctx = s};
    buf_init(&s->out, MAX_BYTES);
    loop_later_init(&s->later, stream_later, s);
    loop_timer_init(&s->linger, linger_over, s);
    if (loop_fd_add(l, &s->fd, LOOP_READ | LOOP_HANGUP) != ERR_OK) {
        close(fd);
        free_stream(s);
        return NULL;
    }
    if (io) {
        s->read_again = true; // a handshake may have left bytes inside
        loop_later_set(l, &s->later);
    }
    return s;
}

void stream_set_handler(struct stream *s, const struct stream_handler *h, void *ctx)
{
    s->h = h;
    s->ctx = ctx;
}

void stream_set_limits(struct stream *s, size_t high, size_t low, size_t max)
{
    s->high_bytes = high;
    s->low_bytes = low;
    s->out.limit = max;
}

int stream_fd(const struct stream *s)
{
    return s->fd.fd;
}

struct loop *stream_loop(const struct stream *s)
{
    return s->loop;
}

str stream_peer(struct stream *s)
{
    if (!s->peer) {
        struct sock_address a = {.len = sizeof a.un};
        char text[SOCK_ADDRESS_TEXT_MAX];
        if (getpeername(s->fd.fd, &a.any, &a.len) != 0)
            return STR("unknown");
        s->peer = mem_strdup(sock_address_format(&a, text));
    }
    return str_of(s->peer);
}

bool stream_ended(const struct stream *s)
{
    return s->ended || s->failed || s->closed;
}
