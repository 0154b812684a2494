// A connection: its phases, its deadlines, who goes on when. One call at a time; what a client
// sends behind a running request waits in `in`, and when that is full, in the kernel.
#include "http/server_internal.h"

#include <unistd.h>

#include "base/mem.h"
#include "net/tls.h"

#include "base/banned.h"

enum {
    IN_BYTES_MAX = 64 * 1024,
    LINGER_MS = 1000,
    BODY_RESERVE_MAX = 256 * 1024, // a length is a claim: memory follows the bytes
    QUEUE_BYTES_MAX = 256 * 1024 * 1024,
    REQUESTS_A_TURN = 64, // of one connection; then others have their turn
};

// --- Deadlines: `due_ms` says when the phase is over; moving it later costs a store, and the timer
// that fires too early sets itself again.

static void set_due(struct http_conn *c, uint64_t delay_ms)
{
    struct loop *l = c->server->loop;
    c->due_ms = loop_now_ms(l) + delay_ms;
    if (!loop_timer_armed(&c->timer) || c->timer.due_ms > c->due_ms)
        loop_timer_set(l, &c->timer, delay_ms);
}

static void enter(struct http_conn *c, enum http_conn_phase phase)
{
    const struct http_limits *limits = &c->server->options.limits;
    c->phase = phase;
    if (phase == CONN_HEAD) {
        set_due(c, limits->header_timeout_ms);
    } else if (phase == CONN_BODY) {
        set_due(c, limits->body_window_ms);
    } else if (phase == CONN_IDLE) {
        // The last answer may not be on its way yet: look at that in between.
        c->idle_until_ms = loop_now_ms(c->server->loop) + limits->idle_timeout_ms;
        set_due(c, min_size(limits->idle_timeout_ms, limits->write_timeout_ms));
    } else if (phase == CONN_LEAVING) {
        set_due(c, limits->write_timeout_ms);
    }
}

void conn_watch_writing(struct http_conn *c)
{
    if (!loop_timer_armed(&c->timer) || c->due_ms == UINT64_MAX)
        set_due(c, c->server->options.limits.write_timeout_ms);
}

// --- Ends

static void let_address_go(struct http_conn *c);

static void unlink_conn(struct http_conn *c)
{
    struct http_server *s = c->server;
    loop_timer_cancel(&c->timer);
    loop_later_cancel(&c->resume);
    let_address_go(c);
    if (c->greeting)
        greeting_over(c);
    c->next->prev = c->prev;
    c->prev->next = c->next;
    s->conns_len--;
    buf_done(&c->in);
    mem_free(c);
}

static void cancel_call(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_call *call = c->call;
    if (!call)
        return;
    c->call = NULL;
    if (call->running) {
        call->running = false;
        LOOP_NOTE(s->loop, s->h->cancel);
        s->h->cancel(s->ctx, call);
    }
    call_give(call);
}

void conn_free(struct http_conn *c)
{
    c->phase = CONN_DEAD;
    cancel_call(c);
    stream_close(c->stream);
    unlink_conn(c);
}

// Small and at once: the lingering stream counts as nobody's.
static void leave_politely(struct http_conn *c)
{
    stream_close_after_flush(c->stream, LINGER_MS);
    unlink_conn(c);
}

// A slow client shall have all of its answer; it is still counted, and its deadlines hold.
static void leave_when_sent(struct http_conn *c)
{
    enter(c, CONN_LEAVING);
    stream_shutdown_write(c->stream);
    stream_resume(c->stream);
}

static void refuse(struct http_conn *c, const struct h1_error *e)
{
    struct http_server *s = c->server;
    struct http_call *call = c->call;
    c->call = NULL;
    write_refusal(s, c->stream, e, call ? call->path : STR_NONE);
    if (call)
        call_give(call);
    c->phase = CONN_CLOSING;
}

// --- Receiving

static void run_call(struct http_conn *c)
{
    struct http_server *s = c->server;
    c->phase = CONN_RUNNING;
    c->due_ms = UINT64_MAX; // the handler has its own deadlines; ours come with writing
    c->call->running = true;
    c->keep_alive = c->call->head.keep_alive;
    LOOP_NOTE(s->loop, s->h->request);
    s->h->request(s->ctx, c->call);
}

static void got_head(struct http_conn *c)
{
    struct h1_error e;
    struct http_call *call = c->call;
    if (call_check(call, &e) != ERR_OK) {
        refuse(c, &e);
        return;
    }
    c->window_bytes = 0;
    c->window_judged = false;
    c->phase = CONN_BODY;
    c->due_ms = UINT64_MAX; // set when the body is not there yet
    if (call->head.length &&
        !buf_reserve(&call->body, min_size(call->head.length, BODY_RESERVE_MAX)))
        call->body.failed = false; // no memory now; appending will tell
    if (call_expects_continue(call) && c->codec.piece.len == 0)
        stream_write(c->stream, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void got_piece(struct http_conn *c, str piece)
{
    static const struct h1_error too_large = {413, "body_too_large",
                                              "The body is larger than this server takes."};
    if (buf_append_str(&c->call->body, piece) != ERR_OK)
        refuse(c, &too_large);
}

// A client that asks and asks and reads none of the answers is not asked what else it wants.
static bool answers_pile_up(const struct http_conn *c)
{
    return stream_pending_bytes(c->stream) > c->server->options.limits.write_bytes_high;
}

// Read on until a call runs, the input is used up, or the connection is over or has had its share.
static void receive(struct http_conn *c, str *in)
{
    int share = REQUESTS_A_TURN;
    while (c->phase < CONN_RUNNING && (in->len || c->call)) {
        str piece;
        if (!c->call) {
            if (share-- == 0 || answers_pile_up(c))
                return;
            c->call = call_take(c);
            h1_begin(&c->codec, &c->call->arena, false);
        }
        switch (h1_next(&c->codec, in, &piece)) {
        case H1_MORE:
            if (c->phase == CONN_IDLE)
                enter(c, CONN_HEAD);
            else if (c->phase == CONN_BODY && c->due_ms == UINT64_MAX)
                enter(c, CONN_BODY);
            return;
        case H1_HEAD:
            got_head(c);
            break;
        case H1_BODY:
            got_piece(c, piece);
            break;
        case H1_END:
            run_call(c);
            break;
        case H1_ERROR:
            refuse(c, &c->codec.error);
            break;
        }
    }
}

// What cannot be read now is kept; too much of it stays in the kernel, and then only the hangup
// itself tells that the client has gone.
static void keep(struct http_conn *c, str bytes)
{
    if (buf_append_str(&c->in, bytes) != ERR_OK) {
        // Cannot be: reading stops at half of the room, and one read brings no more than the rest.
        c->phase = CONN_DEAD;
        return;
    }
    if (c->in.len >= IN_BYTES_MAX) {
        stream_watch_hangup(c->stream, c->server->options.half_close_cancels);
        stream_pause(c->stream);
    }
}

// The last step of every event: an end that was decided on the way happens now.
static void settle(struct http_conn *c)
{
    c->in_data = false;
    if (c->phase == CONN_CLOSING)
        leave_when_sent(c);
    else if (c->phase == CONN_DEAD)
        conn_free(c);
    else if (c->phase == CONN_IDLE && c->in.len && !answers_pile_up(c))
        loop_later_set(c->server->loop, &c->resume);
}

// A TLS handshake begins with this byte, and no HTTP does.
static bool is_tls(str bytes)
{
    return bytes.len && bytes.ptr[0] == 0x16;
}

static void refuse_tls(struct http_conn *c)
{
    static const struct h1_error plain = {400, "bad_request",
                                          "This port speaks plain HTTP: use http://."};
    struct diag d = {0};
    (void)diag_set(&d, ERR_PARSE,
                   "the client speaks TLS, and this port plain HTTP: it must use "
                   "http://, or tls.certificate be configured");
    greeting_no_contact(c, &d);
    refuse(c, &plain);
}

static void conn_data(void *ctx, str bytes)
{
    struct http_conn *c = ctx;
    c->in_data = true;
    if (c->greeting)
        greeting_over(c);
    if (c->phase == CONN_IDLE && c->in.len == 0 && is_tls(bytes))
        refuse_tls(c);
    if (c->phase < CONN_RUNNING && c->in.len == 0)
        receive(c, &bytes);
    if (bytes.len && c->phase <= CONN_RUNNING)
        keep(c, bytes);
    settle(c);
}

// After an answer: what was kept is read now.
static void conn_resume(void *ctx)
{
    struct http_conn *c = ctx;
    c->in_data = true;
    if (c->phase < CONN_RUNNING && c->in.len) {
        struct buf kept = c->in;
        buf_init(&c->in, kept.limit);
        str rest = buf_str(&kept);
        receive(c, &rest);
        if (rest.len && c->phase <= CONN_RUNNING)
            keep(c, rest);
        buf_done(&kept);
    }
    if (c->phase < CONN_RUNNING && c->in.len == 0) {
        if (c->ended)
            c->phase = CONN_CLOSING;
        stream_watch_hangup(c->stream, false);
        stream_resume(c->stream);
    }
    settle(c);
}

void conn_call_over(struct http_conn *c)
{
    struct http_call *call = c->call;
    c->call = NULL;
    call_give(call);
    if (c->keep_alive)
        enter(c, CONN_IDLE);
    else
        c->phase = CONN_CLOSING;
    if (!c->in_data)
        loop_later_set(c->server->loop, &c->resume);
}

static void conn_end(void *ctx)
{
    struct http_conn *c = ctx;
    c->ended = true;
    if (!c->server->options.half_close_cancels && (c->phase == CONN_RUNNING || c->in.len))
        return; // the answer is still wanted
    if (c->phase == CONN_LEAVING)
        return;
    if (c->phase == CONN_IDLE && stream_pending_bytes(c->stream)) {
        leave_when_sent(c);
        return;
    }
    conn_free(c);
}

static void conn_drained(void *ctx)
{
    struct http_conn *c = ctx;
    struct http_server *s = c->server;
    if (c->phase == CONN_IDLE && c->in.len)
        loop_later_set(s->loop, &c->resume);
    if (c->phase == CONN_RUNNING && s->h->drained) {
        LOOP_NOTE(s->loop, s->h->drained);
        s->h->drained(s->ctx, c->call);
    }
}

static void conn_sent(void *ctx)
{
    leave_politely(ctx);
}

static void conn_error(void *ctx, enum err e, const struct diag *d)
{
    struct http_conn *c = ctx;
    if (c->greeting)
        greeting_failed(c, e, d);
    conn_free(c);
}

static const struct stream_handler stream_handler = {
    .data = conn_data,
    .end = conn_end,
    .drained = conn_drained,
    .error = conn_error,
    .sent = conn_sent,
};

// --- When time is over

static bool body_is_fast_enough(struct http_conn *c)
{
    const struct http_limits *limits = &c->server->options.limits;
    uint64_t got = c->call->body.len - c->window_bytes;
    bool fast = got * 1000 >= (uint64_t)limits->body_rate_min * limits->body_window_ms;
    fast = fast || !c->window_judged; // the first window is free
    c->window_judged = true;
    c->window_bytes = c->call->body.len;
    return fast;
}

static void idle_for_long(struct http_conn *c)
{
    uint64_t now = loop_now_ms(c->server->loop);
    if (now >= c->idle_until_ms) {
        if (c->greeting)
            greeting_was_slow(c);
        c->phase = CONN_DEAD;
    } else {
        set_due(c, c->idle_until_ms - now);
    }
}

static void timed_out(struct http_conn *c)
{
    static const struct h1_error slow_head = {408, "request_timeout",
                                              "The head of the request took too long to arrive."};
    static const struct h1_error slow_body = {408, "request_timeout",
                                              "The body of the request arrives too slowly."};
    uint32_t write_timeout = c->server->options.limits.write_timeout_ms;
    uint64_t stalled = stream_stalled_ms(c->stream);
    switch (c->phase) {
    case CONN_HEAD:
        refuse(c, &slow_head);
        break;
    case CONN_BODY:
        if (body_is_fast_enough(c))
            set_due(c, c->server->options.limits.body_window_ms);
        else
            refuse(c, &slow_body);
        break;
    case CONN_RUNNING:
    case CONN_IDLE:
    case CONN_LEAVING:
        if (stalled >= write_timeout)
            c->phase = CONN_DEAD;
        else if (stream_pending_bytes(c->stream))
            set_due(c, write_timeout - stalled);
        else if (c->phase == CONN_IDLE)
            idle_for_long(c);
        break; // running and all is sent: the next write sets the timer again
    default:
        break;
    }
}

static void conn_timer(void *ctx)
{
    struct http_conn *c = ctx;
    uint64_t now = loop_now_ms(c->server->loop);
    if (c->due_ms == UINT64_MAX)
        return;
    if (now < c->due_ms) {
        loop_timer_set(c->server->loop, &c->timer, c->due_ms - now);
        return;
    }
    c->due_ms = UINT64_MAX;
    timed_out(c);
    settle(c);
}

// --- Beginning

// IPv6 clients own their /64 at least.
static str address_key(const struct http_conn *c)
{
    if (c->peer.any.sa_family == AF_INET)
        return str_slice((const char *)&c->peer.in4.sin_addr, 4);
    if (c->peer.any.sa_family == AF_INET6)
        return str_slice((const char *)&c->peer.in6.sin6_addr, 8);
    return STR_NONE;
}

// The map's values are the counts themselves.
static uintptr_t address_count(struct http_conn *c, int change)
{
    struct map *m = &c->server->addresses;
    str key = address_key(c);
    uintptr_t count = (uintptr_t)map_get(m, key) + (uintptr_t)(intptr_t)change;
    if (count)
        map_put(m, key, (void *)count);
    else
        map_remove(m, key);
    return count;
}

static void let_address_go(struct http_conn *c)
{
    if (c->counted)
        address_count(c, -1);
}

static bool crowded(struct http_conn *c, struct h1_error *ret)
{
    const struct http_limits *limits = &c->server->options.limits;
    if (c->server->conns_len > limits->connections_max) {
        *ret = (struct h1_error){503, "overloaded", "The server has all the connections it takes."};
        return true;
    }
    if (!limits->connections_per_address_max || !address_key(c).len)
        return false;
    c->counted = true;
    if (address_count(c, 1) <= limits->connections_per_address_max)
        return false;
    *ret = (struct h1_error){429, "too_many_connections",
                             "Your address has all the connections that one may have."};
    return true;
}

static bool open_stream(struct http_conn *c, int fd)
{
    struct http_server *s = c->server;
    struct stream_io *io = s->options.tls ? tls_accept(s->options.tls, s->loop, fd) : NULL;
    if (s->options.tls && !io) {
        close(fd);
        return false;
    }
    c->stream = stream_new(s->loop, fd, io, &stream_handler, c);
    return c->stream != NULL;
}

void conn_new(struct http_server *s, int fd, const struct sock_address *peer)
{
    const struct http_limits *limits = &s->options.limits;
    struct h1_error e;
    struct http_conn *c = mem_new(struct http_conn);
    c->server = s;
    if (!open_stream(c, fd)) {
        mem_free(c);
        return;
    }
    stream_set_limits(c->stream, limits->write_bytes_high, limits->write_bytes_low,
                      QUEUE_BYTES_MAX);
    memcpy(&c->peer, &peer->any, min_size(peer->len, sizeof c->peer));
    h1_init(&c->codec, H1_REQUEST, &s->h1_limits);
    buf_init(&c->in, IN_BYTES_MAX + LOOP_SCRATCH_BYTES);
    loop_timer_init(&c->timer, conn_timer, c);
    loop_later_init(&c->resume, conn_resume, c);
    c->next = s->conns.next;
    c->prev = &s->conns;
    c->next->prev = s->conns.next = c;
    s->conns_len++;
    enter(c, CONN_IDLE);
    if (s->options.tls) { // a handshake is no idling
        c->idle_until_ms = loop_now_ms(s->loop) + limits->header_timeout_ms;
        set_due(c, limits->header_timeout_ms);
        greeting_begin(c);
    }
    if (!crowded(c, &e))
        return;
    if (greeting_may_explain(s)) {
        write_refusal(s, c->stream, &e, STR_NONE);
        leave_politely(c);
    } else {
        conn_free(c);
    }
}
