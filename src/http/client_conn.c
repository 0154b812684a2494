// One connection of the client: writes a request, feeds the codec, tells the exchange.
#include "http/client_internal.h"

#include "base/text.h"

#include "base/banned.h"

enum { HEAD_MEMORY_MAX = 256 * 1024, HEAD_BYTES_USUAL = 512 };

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

static void add_header(struct buf *out, str name, str value)
{
    (void)buf_append_str(out, name);
    (void)buf_append_str(out, STR(": "));
    (void)buf_append_str(out, value);
    (void)buf_append_str(out, STR("\r\n"));
}

static void request_head(const struct client_conn *k, const struct http_exchange *x,
                         struct buf *out)
{
    char digits[TEXT_U64_MAX];
    (void)buf_append_str(out, x->r.method);
    (void)buf_append_str(out, STR(" "));
    if (k->absolute_form) {
        (void)buf_append_str(out, STR("http://"));
        (void)buf_append_str(out, x->url.authority);
    }
    if (x->url.target.ptr[0] == '?')
        (void)buf_append_char(out, '/');
    (void)buf_append_str(out, x->url.target);
    (void)buf_append_str(out, STR(" HTTP/1.1\r\n"));
    add_header(out, STR("Host"), x->url.authority);
    if (k->absolute_form && k->proxy_authorization.len)
        add_header(out, STR("Proxy-Authorization"), k->proxy_authorization);
    for (size_t i = 0; i < x->headers_len; i++)
        add_header(out, x->headers[i].name, x->headers[i].value);
    if (x->r.body.len || str_eq_z(x->r.method, "POST") || str_eq_z(x->r.method, "PUT"))
        add_header(out, STR("Content-Length"),
                   str_slice(digits, text_digits(digits, x->r.body.len)));
    (void)buf_append_str(out, STR("\r\n"));
}

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

void client_conn_send(struct client_conn *k, struct http_exchange *x)
{
    struct buf head;
    struct diag d = {0};
    k->exchange = x;
    x->conn = k;
    arena_reset(&k->arena);
    h1_begin(&k->codec, &k->arena, str_eq_z(x->r.method, "HEAD"));
    buf_init(&head, HEAD_MEMORY_MAX);
    if (buf_reserve(&head, HEAD_BYTES_USUAL))
        request_head(k, x, &head);
    if (head.failed) {
        buf_done(&head);
        diag_set(&d, ERR_LIMIT, "the request's headers are too large");
        broken(k, ERR_LIMIT, &d);
        return;
    }
    stream_set_limits(k->stream, x->r.body.len + HEAD_MEMORY_MAX, 0,
                      x->r.body.len + 2 * HEAD_MEMORY_MAX);
    // an error here is told by the stream's own callback
    (void)stream_write(k->stream, buf_str(&head));
    if (x->r.body.len)
        (void)stream_write(k->stream, x->r.body);
    buf_done(&head);
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
        h1_begin(&k->codec, &k->arena, str_eq_z(x->r.method, "HEAD"));
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
