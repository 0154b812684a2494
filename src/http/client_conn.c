// One connection of the client: writes a request, feeds the codec, tells the exchange.
#include "http/client_internal.h"

#include "base/text.h"

#include "base/banned.h"

enum { HEAD_MEMORY_MAX = 256 * 1024, LENGTH_BYTES_MAX = 64 };

// --- Life

static void idle_too_long(void *ctx)
{
    struct client_conn *k = ctx;
    pool_remove(k);
    client_conn_close(k);
}

struct client_conn *client_conn_new(struct http_client *c, str origin_key)
{
    struct client_conn *k = mem_new(struct client_conn);
    k->client = c;
    k->origin_key = (str){mem_strndup(origin_key.ptr, origin_key.len), origin_key.len};
    arena_init(&k->arena, HEAD_MEMORY_MAX);
    h1_init(&k->codec, H1_RESPONSE, &c->limits);
    loop_timer_init(&k->idle, idle_too_long, k);
    return k;
}

static void client_conn_free(struct client_conn *k)
{
    arena_done(&k->arena);
    mem_free((void *)(uintptr_t)k->origin_key.ptr);
    mem_free((void *)(uintptr_t)k->proxy_authorization.ptr);
    mem_free(k);
}

void client_conn_close(struct client_conn *k)
{
    if (k->exchange)
        k->exchange->conn = NULL;
    k->exchange = NULL;
    stream_close(k->stream);
    k->stream = NULL;
    loop_timer_cancel(&k->idle);
    k->dead = true;
    if (!k->in_callback)
        client_conn_free(k);
}

// --- Sending

// --- Ending before the end

static void broken(struct client_conn *k, enum err e, const struct diag *d)
{
    struct http_exchange *x = k->exchange;
    if (!x) {
        if (!k->dead) {
            pool_remove(k);
            client_conn_close(k);
        }
        return;
    }
    k->exchange = NULL;
    x->conn = NULL;
    client_conn_close(k);
    exchange_broken(x, e, d);
}

// Through a proxy it is written for each request: a proxy is far away anyway.
static str head_for_proxy(const struct client_conn *k, const struct http_exchange *x,
                          struct buf *text)
{
    http_address_head(x->address, k->proxy_authorization, true, text);
    return text->failed ? STR_NONE : buf_str(text);
}

// Head and body as one piece. False: there is no room for it.
static bool write_request(struct client_conn *k, str head, const struct http_exchange *x)
{
    bool has_body = x->body.len || x->address->has_body;
    size_t size = head.len + LENGTH_BYTES_MAX + x->body.len;
    char *room = stream_reserve(k->stream, size);
    if (!room)
        return false;
    struct text t = text_in(room, size);
    text_add(&t, head);
    if (has_body) {
        text_add(&t, STR("Content-Length: "));
        text_u64(&t, x->body.len);
        text_add(&t, STR("\r\n"));
    }
    text_add(&t, STR("\r\n"));
    text_add(&t, x->body);
    stream_commit(k->stream, t.len);
    return true;
}

void client_conn_send(struct client_conn *k, struct http_exchange *x)
{
    struct buf text;
    struct diag d = {0};
    k->exchange = x;
    x->conn = k;
    arena_reset(&k->arena);
    h1_begin(&k->codec, &k->arena, str_eq_z(x->address->method, "HEAD"));
    buf_init(&text, HEAD_MEMORY_MAX);
    str head = k->absolute_form ? head_for_proxy(k, x, &text) : x->address->head;
    size_t bytes_max = head.len + LENGTH_BYTES_MAX + x->body.len;
    stream_set_limits(k->stream, bytes_max, 0, bytes_max);
    // an error of the stream is told by its own callback
    if (!head.ptr || !write_request(k, head, x)) {
        diag_set(&d, ERR_LIMIT, "the request is too large");
        broken(k, ERR_LIMIT, &d);
    }
    buf_done(&text);
}

// --- Receiving

// The answer is complete: the connection rests before the exchange is told, so that what it asks
// next may use it.
static void complete(struct client_conn *k, bool more_bytes)
{
    struct http_exchange *x = k->exchange;
    bool keep = k->codec.head.keep_alive && !more_bytes && !stream_ended(k->stream);
    if (k->codec.head.status >= 100 &&
        k->codec.head.status < 200) { // 100 Continue and the like: the answer is still to come
        arena_reset(&k->arena);
        h1_begin(&k->codec, &k->arena, str_eq_z(x->address->method, "HEAD"));
        return;
    }
    k->exchange = NULL;
    x->conn = NULL;
    if (keep)
        pool_put(k);
    else
        client_conn_close(k);
    exchange_end(x);
}

static void not_http(struct client_conn *k)
{
    struct diag d = {0};
    diag_set(&d, ERR_UPSTREAM, "the answer is not HTTP/1.1 as it should be: %s",
             k->codec.error.text);
    broken(k, ERR_UPSTREAM, &d);
}

static void feed(struct client_conn *k, str in)
{
    while (k->exchange && !k->dead) {
        str piece;
        switch (h1_next(&k->codec, &in, &piece)) {
        case H1_MORE:
            return;
        case H1_HEAD:
            if (k->codec.head.status >= 200 || k->codec.head.status == 101)
                exchange_head(k->exchange, &k->codec.head);
            break;
        case H1_BODY:
            exchange_body(k->exchange, piece);
            break;
        case H1_END:
            complete(k, in.len > 0);
            break;
        case H1_ERROR:
            not_http(k);
            return;
        }
    }
}

static void on_data(void *ctx, str bytes)
{
    struct client_conn *k = ctx;
    k->in_callback = true;
    if (k->exchange) {
        k->exchange->answered = true;
        feed(k, bytes);
    } else if (!k->dead) { // bytes nobody asked for
        broken(k, ERR_UPSTREAM, NULL);
    }
    k->in_callback = false;
    if (k->dead)
        client_conn_free(k);
}

static void on_end(void *ctx)
{
    struct client_conn *k = ctx;
    struct diag d = {0};
    k->in_callback = true;
    if (k->exchange && k->exchange->answered && h1_eof(&k->codec) == H1_END) {
        k->codec.head.keep_alive = false;
        complete(k, false);
    } else {
        diag_set(&d, ERR_CLOSED, "the server closed the connection before its answer was complete");
        broken(k, ERR_CLOSED, &d);
    }
    k->in_callback = false;
    if (k->dead)
        client_conn_free(k);
}

static void on_drained(void *ctx UNUSED)
{
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct client_conn *k = ctx;
    k->in_callback = true;
    broken(k, e, d);
    k->in_callback = false;
    if (k->dead)
        client_conn_free(k);
}

const struct stream_handler client_conn_handler = {
    .data = on_data, .end = on_end, .drained = on_drained, .error = on_error};
