// An exchange's place on HTTP/2: what its stream tells, held back while it is paused.
#include "http/client_h2.h"

#include "base/clock.h"

#include "base/banned.h"

enum { PIECE_BYTES = 64 * 1024 };

// --- Life

static void deliver(void *ctx);

struct h2_place *h2_place_new(struct h2_origin *o, struct http_exchange *x)
{
    struct h2_place *p = mem_new(struct h2_place);
    p->origin = o;
    p->x = x;
    x->h2 = p;
    buf_init(&p->held, o->client->h2_limits.window_max);
    loop_later_init(&p->deliver, deliver, p);
    return p;
}

static void release(struct h2_place *p)
{
    if (p->busy)
        return;
    buf_done(&p->held);
    mem_free(p->d);
    mem_free(p);
}

static void leave_connection(struct h2_place *p)
{
    struct h2_conn *k = p->conn;
    p->conn = NULL;
    if (k)
        h2_conn_leave(k);
}

void h2_place_free(struct h2_place *p)
{
    p->x->h2 = NULL;
    p->x = NULL;
    loop_later_cancel(&p->deliver);
    if (p->waits)
        h2_origin_forget(p->origin, p);
    h2_cancel(&p->stream);
    leave_connection(p);
    release(p);
}

bool h2_place_sends(const struct h2_place *p)
{
    return !p->conn || p->stream.body.len;
}

bool h2_place_attach(struct h2_place *p, struct h2_conn *k)
{
    struct http_exchange *x = p->x;
    const struct http_address *a = x->address;
    const struct h2_request r = {
        .method = a->method,
        .scheme = a->url.tls ? STR("https") : STR("http"),
        .authority = a->url.authority,
        .path = a->url.target,
        .headers = a->headers,
        .headers_len = a->headers_len,
        .body = x->body,
    };
    enum err e = h2_request(k->h2, &p->stream, &r, p);
    if (e != ERR_OK) {
        h2_place_free(p);
        struct diag d;
        diag_set(&d, e, "the request's headers are too large");
        exchange_fail_later(x, e, &d);
        return false;
    }
    p->conn = k;
    x->over_h2 = true;
    x->connect_us = clock_mono_us() - x->began_us;
    exchange_on_its_way(x);
    h2_conn_join(k);
    return true;
}

// --- What the stream tells

static void on_head(void *ctx, const struct h1_head *head)
{
    struct h2_place *p = ctx;
    p->busy = true;
    p->x->answered = true;
    exchange_head(p->x, head);
    p->busy = false;
    if (!p->x)
        release(p);
}

static void end(struct h2_place *p)
{
    struct http_exchange *x = p->x;
    h2_place_free(p);
    exchange_end(x);
}

static void broken(struct h2_place *p, enum err e, const struct diag *d)
{
    struct http_exchange *x = p->x;
    struct diag copy = *d; // it may be the place's
    h2_place_free(p);
    exchange_broken(x, e, &copy);
}

static void on_body(void *ctx, str bytes)
{
    struct h2_place *p = ctx;
    if (p->paused || p->held.len) {
        bool fits = buf_append_str(&p->held, bytes) == ERR_OK; // the window is no larger
        ASSERT(fits);
        return;
    }
    p->busy = true;
    exchange_body(p->x, bytes);
    p->busy = false;
    if (p->x)
        h2_consumed(&p->stream, bytes.len);
    else
        release(p);
}

static bool must_wait(const struct h2_place *p)
{
    return p->paused || p->held.len;
}

static void on_end(void *ctx)
{
    struct h2_place *p = ctx;
    leave_connection(p);
    if (must_wait(p))
        p->ended = true;
    else
        end(p);
}

static void on_broken(void *ctx, enum err e, const struct diag *d)
{
    struct h2_place *p = ctx;
    leave_connection(p);
    if (!must_wait(p)) {
        broken(p, e, d);
        return;
    }
    p->d = mem_new(struct diag);
    *p->d = *d;
    p->d->code = e;
}

const struct h2_handler h2_place_handler = {
    .head = on_head, .body = on_body, .end = on_end, .broken = on_broken};

// --- Back-pressure

static void deliver(void *ctx)
{
    struct h2_place *p = ctx;
    p->busy = true;
    while (p->x && !p->paused && p->held.len) {
        size_t len = min_size(p->held.len, PIECE_BYTES);
        exchange_body(p->x, str_slice(buf_ptr(&p->held), len));
        buf_consume(&p->held, len);
        h2_consumed(&p->stream, len);
    }
    p->busy = false;
    if (!p->x) {
        release(p);
        return;
    }
    if (p->conn)
        h2_conn_work_later(p->conn);
    if (must_wait(p))
        return;
    buf_shrink(&p->held);
    if (p->ended)
        end(p);
    else if (p->d)
        broken(p, p->d->code, p->d);
}

void h2_place_pause(struct h2_place *p)
{
    p->paused = true;
    h2_slow(&p->stream);
}

void h2_place_resume(struct h2_place *p)
{
    if (!p->paused)
        return;
    p->paused = false;
    loop_later_set(p->origin->client->loop, &p->deliver);
}
