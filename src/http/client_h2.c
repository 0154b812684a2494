// One HTTP/2 connection of the client: its socket, its deadlines, its end.
#include "http/client_h2.h"

#include "base/banned.h"

enum { GOODBYE_MS = 1000 }; // for a GOAWAY to leave

// --- Deadlines: one timer, whatever it waits for now

static void set_timer(struct h2_conn *k)
{
    const struct http_client_options *o = &k->origin->client->o;
    uint32_t ms = !h2_settled(k->h2) ? o->h2_settings_timeout_ms
                  : k->places        ? o->h2_ping_after_ms
                                     : o->pool_idle_ms;
    loop_timer_set(k->origin->client->loop, &k->timer, ms);
}

static void fail(struct h2_conn *k, enum err e, const struct diag *d);

// Whatever the stream's watermark says: the codec has its bounds.
static void say_all(struct h2_conn *k)
{
    str bytes;
    while (!k->dead && h2_next(k->h2, &bytes))
        (void)stream_write(k->stream, bytes);
}

static void unlink_conn(struct h2_conn *k)
{
    struct h2_origin *o = k->origin;
    if (k->prev)
        k->prev->next = k->next;
    else
        *(k->leaving ? &o->leaving : &o->conns) = k->next;
    if (k->next)
        k->next->prev = k->prev;
    o->conns_len -= !k->leaving;
}

// It is nobody's any more. What was said last shall arrive, and a close could overtake it.
static void leave(struct h2_conn *k)
{
    struct h2_origin *o = k->origin;
    unlink_conn(k);
    k->leaving = true;
    k->prev = NULL;
    k->next = o->leaving;
    if (k->next)
        k->next->prev = k;
    o->leaving = k;
    loop_later_cancel(&k->work);
    stream_shutdown_write(k->stream);
    loop_timer_set(o->client->loop, &k->timer, GOODBYE_MS);
}

// Nobody has used it for long: said before it is done, so that the server does not count an error.
static void close_idle(struct h2_conn *k)
{
    h2_goodbye(k->h2, false);
    say_all(k);
    leave(k);
}

// A peer that is gone without a word (a machine switched off, a path that drops) says nothing for
// ever. Only while somebody waits for it.
static void keep_alive(struct h2_conn *k)
{
    struct http_client *c = k->origin->client;
    uint64_t now_ms = loop_now_ms(c->loop), quiet_ms = now_ms - k->heard_ms;
    struct diag d = {0};
    if (quiet_ms < c->o.h2_ping_after_ms) {
        k->pinged = false;
        loop_timer_set(c->loop, &k->timer, c->o.h2_ping_after_ms - quiet_ms);
    } else if (!k->pinged || k->heard_ms >= k->pinged_ms) {
        k->pinged = true;
        k->pinged_ms = now_ms;
        h2_ping(k->h2);
        h2_conn_work_later(k);
        loop_timer_set(c->loop, &k->timer, c->o.h2_ping_timeout_ms);
    } else {
        diag_set(&d, ERR_CLOSED, "the connection is dead: no answer to a ping within %u ms",
                 c->o.h2_ping_timeout_ms);
        fail(k, ERR_CLOSED, &d);
    }
}

static void time_is_over(void *ctx)
{
    struct h2_conn *k = ctx;
    struct diag d = {0};
    if (k->leaving) {
        h2_conn_close(k);
    } else if (h2_settled(k->h2) && k->places) {
        keep_alive(k);
    } else if (h2_settled(k->h2)) {
        close_idle(k);
    } else {
        diag_set(&d, ERR_UPSTREAM, "the server did not settle HTTP/2's settings within %u ms",
                 k->origin->client->o.h2_settings_timeout_ms);
        h2_goodbye(k->h2, true);
        fail(k, ERR_UPSTREAM, &d);
    }
}

// --- Life

static void work(void *ctx);

struct h2_conn *h2_conn_new(struct h2_origin *o)
{
    struct h2_conn *k = mem_new(struct h2_conn);
    k->origin = o;
    k->next = o->conns;
    if (k->next)
        k->next->prev = k;
    o->conns = k;
    o->conns_len++;
    loop_timer_init(&k->timer, time_is_over, k);
    loop_later_init(&k->work, work, k);
    return k;
}

void h2_conn_open(struct h2_conn *k, struct stream *stream)
{
    struct http_client *c = k->origin->client;
    k->stream = stream;
    k->h2 = h2_new(&c->h2_limits, &h2_place_handler);
    k->heard_ms = loop_now_ms(c->loop);
    k->origin->speaks = ORIGIN_H2;
    stream_set_handler(stream, &h2_conn_handler, k);
    if (!k->h2) {
        h2_conn_close(k);
        return;
    }
    set_timer(k);
    h2_conn_work_later(k);
}

static void free_conn(struct h2_conn *k)
{
    loop_later_cancel(&k->work);
    h2_free(k->h2);
    mem_free(k);
}

void h2_conn_close(struct h2_conn *k)
{
    if (k->dead)
        return;
    k->dead = true;
    unlink_conn(k);
    loop_timer_cancel(&k->timer);
    loop_later_cancel(&k->work);
    connect_cancel(k->connecting);
    k->connecting = NULL;
    stream_close(k->stream);
    k->stream = NULL;
    if (!k->busy)
        free_conn(k);
}

void h2_conn_join(struct h2_conn *k)
{
    k->places++;
    if (k->places == 1 && h2_settled(k->h2))
        set_timer(k);
    h2_conn_work_later(k);
}

void h2_conn_leave(struct h2_conn *k)
{
    k->places--;
    if (k->dead)
        return;
    if (!k->places && h2_settled(k->h2))
        set_timer(k);
    h2_conn_work_later(k);
}

// Its end, told to whoever has a stream on it. What is still to be said is said, if it can be.
static void fail(struct h2_conn *k, enum err e, const struct diag *d)
{
    struct h2_origin *o = k->origin;
    if (k->leaving) {
        h2_conn_close(k);
        return;
    }
    k->busy = true;
    say_all(k);
    if (!k->dead)
        h2_break(k->h2, e, d);
    if (k->dead) { // the client is gone, and the origin with it
        free_conn(k);
        return;
    }
    k->busy = false;
    if (stream_ended(k->stream))
        h2_conn_close(k);
    else
        leave(k);
    h2_origin_pump(o);
}

// --- Sending, and what follows from anything that happened

void h2_conn_work_later(struct h2_conn *k)
{
    if (!k->dead)
        loop_later_set(k->origin->client->loop, &k->work);
}

static void send_all(struct h2_conn *k)
{
    str bytes;
    while (!k->dead && !k->blocked && h2_next(k->h2, &bytes) && !k->dead) {
        enum err e = stream_write(k->stream, bytes);
        k->blocked = e == ERR_AGAIN;
        if (e != ERR_OK && e != ERR_AGAIN)
            return; // told by the stream
    }
}

static void work(void *ctx)
{
    struct h2_conn *k = ctx;
    struct h2_origin *o = k->origin;
    struct diag d = {0};
    bool was_settled = h2_settled(k->h2);
    k->busy = true;
    send_all(k);
    k->busy = false;
    if (k->dead) {
        free_conn(k);
        return;
    }
    if (!was_settled && h2_settled(k->h2))
        set_timer(k);
    if (h2_over(k->h2)) {
        diag_set(&d, ERR_CLOSED, "the server closed the connection before its answer was complete");
        fail(k, ERR_CLOSED, &d);
        return;
    }
    if (o->waiting)
        h2_origin_pump(o);
}

// --- What the socket tells

static void on_data(void *ctx, str bytes)
{
    struct h2_conn *k = ctx;
    bool was_settled = h2_settled(k->h2);
    if (k->leaving)
        return;
    k->heard_ms = loop_now_ms(k->origin->client->loop);
    k->busy = true;
    h2_feed(k->h2, bytes, k->heard_ms);
    k->busy = false;
    if (k->dead) {
        free_conn(k);
        return;
    }
    if (!was_settled && h2_settled(k->h2)) {
        k->origin->streams_max = h2_streams_max(k->h2);
        set_timer(k);
    }
    work(k);
}

static void on_end(void *ctx)
{
    struct diag d = {0};
    diag_set(&d, ERR_CLOSED, "the server closed the connection before its answer was complete");
    fail(ctx, ERR_CLOSED, &d);
}

static void on_drained(void *ctx)
{
    struct h2_conn *k = ctx;
    k->blocked = false;
    if (!k->leaving)
        h2_conn_work_later(k);
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    fail(ctx, e, d);
}

const struct stream_handler h2_conn_handler = {
    .data = on_data, .end = on_end, .drained = on_drained, .error = on_error};
