// Exchanges: a request's way through pool or connector, its deadlines, one retry, redirects.
#include "http/client.h"

#include "base/clock.h"
#include "http/client_internal.h"

#include "base/banned.h"

enum {
    REDIRECT_BODY_MAX = 64 * 1024,
    REFUSALS_MAX = 8, // a server that goes refuses all that it has not begun, over and over
    // A slow reader's stream holds this much of ours at most; a fast one's grows, so that a far
    // server can keep sending. The connection's is for all of them, and costs nothing.
    H2_WINDOW_MIN = 128 * 1024,
    H2_WINDOW_MAX = 1024 * 1024,
    H2_WINDOW_CONNECTION = 16 * 1024 * 1024,
    H2_STREAMS_MAX = 1000,
};

const struct http_client_options http_client_options_default = {
    .connect_timeout_ms = 10 * 1000,
    .headers_timeout_ms = 10 * 60 * 1000,
    .idle_timeout_ms = 5 * 60 * 1000,
    .pool_idle_ms = 55 * 1000, // under the usual 60 s of servers, so that we close first
    .pool_per_origin_max = 64,
    .header_bytes_max = 64 * 1024,
    .h2_settings_timeout_ms = 10 * 1000,
    .h2_ping_after_ms = 30 * 1000,
    .h2_ping_timeout_ms = 15 * 1000,
};

// --- Ending

static void unlink_exchange(struct http_exchange *x)
{
    if (x->prev)
        x->prev->next = x->next;
    else
        x->client->exchanges = x->next;
    if (x->next)
        x->next->prev = x->prev;
}

static void stop_work(struct http_exchange *x)
{
    loop_timer_cancel(&x->phase);
    loop_later_cancel(&x->later);
    connect_cancel(x->connecting);
    x->connecting = NULL;
    if (x->conn)
        client_conn_close(x->conn);
    x->conn = NULL;
    if (x->h2)
        h2_place_free(x->h2);
}

// Nothing will happen to it any more; only its memory is left.
static void retire(struct http_exchange *x)
{
    stop_work(x);
    loop_timer_cancel(&x->total);
    unlink_exchange(x);
    x->over = true;
}

static void free_exchange(struct http_exchange *x)
{
    http_address_drop(x->address);
    mem_free(x->why);
    mem_free(x);
}

void http_exchange_cancel(struct http_exchange *x)
{
    if (!x || x->over)
        return; // from inside `end` or `error`: it is going already
    retire(x);
    free_exchange(x);
}

static void fail(struct http_exchange *x, enum err e, const struct diag *d)
{
    struct diag copy = d ? *d : (struct diag){.code = e};
    retire(x);
    x->h->error(x->ctx, e, &copy);
    free_exchange(x);
}

// From places that the owner is still calling: told in a later callback.
void exchange_fail_later(struct http_exchange *x, enum err e, const struct diag *d)
{
    x->step = EXCHANGE_FAILED;
    if (!x->why)
        x->why = mem_new(struct diag);
    *x->why = *d;
    x->why->code = e;
    loop_later_set(x->client->loop, &x->later);
}

// --- Deadlines

uint32_t exchange_connect_timeout_ms(const struct http_exchange *x)
{
    return x->connect_timeout_ms;
}

static void phase_over(void *ctx)
{
    struct http_exchange *x = ctx;
    str authority = x->address->url.authority;
    struct diag d = {0};
    if (x->step == EXCHANGE_CONNECT)
        diag_set(&d, ERR_TIMEOUT, "no connection to " STR_FMT " had room for it within %u ms",
                 STR_ARG(authority), x->connect_timeout_ms);
    else if (x->step == EXCHANGE_HEAD)
        diag_set(&d, ERR_TIMEOUT, STR_FMT " did not begin to answer within %u ms",
                 STR_ARG(authority), x->headers_timeout_ms);
    else
        diag_set(&d, ERR_TIMEOUT, STR_FMT " sent nothing for %u ms", STR_ARG(authority),
                 x->idle_timeout_ms);
    fail(x, ERR_TIMEOUT, &d);
}

static void total_over(void *ctx)
{
    struct http_exchange *x = ctx;
    struct diag d = {0};
    diag_set(&d, ERR_TIMEOUT, "the exchange with " STR_FMT " was not over within %u ms",
             STR_ARG(x->address->url.authority), x->total_timeout_ms);
    fail(x, ERR_TIMEOUT, &d);
}

static void await(struct http_exchange *x, uint32_t timeout_ms)
{
    if (timeout_ms != HTTP_NO_TIMEOUT)
        loop_timer_set(x->client->loop, &x->phase, timeout_ms);
}

// --- Getting a connection

void exchange_on_its_way(struct http_exchange *x)
{
    x->step = EXCHANGE_HEAD;
    x->answered = false;
    await(x, x->headers_timeout_ms);
}

static void send_on(struct http_exchange *x, struct client_conn *k)
{
    exchange_on_its_way(x);
    client_conn_send(k, x);
}

void exchange_send_on_stream(struct http_exchange *x, struct stream *s)
{
    struct client_conn *k = client_conn_new(x->client, x->address->origin_key);
    k->stream = s;
    stream_set_handler(s, &client_conn_handler, k);
    x->connect_us = clock_mono_us() - x->began_us;
    send_on(x, k);
}

static void connected(void *ctx, const struct connect_result *r)
{
    struct client_conn *k = ctx;
    struct http_exchange *x = k->exchange;
    x->connecting = NULL;
    x->conn = NULL;
    x->connect_us = clock_mono_us() - x->began_us;
    if (r->e != ERR_OK) {
        k->exchange = NULL;
        struct diag d = *r->d;
        client_conn_close(k);
        fail(x, r->e, &d);
        return;
    }
    if (r->h2) {
        k->exchange = NULL;
        client_conn_close(k);
        client_h2_adopt(x, r->stream);
        return;
    }
    k->stream = r->stream;
    k->absolute_form = r->absolute_form;
    if (r->proxy_authorization.len)
        k->proxy_authorization =
            (str){mem_strndup(r->proxy_authorization.ptr, r->proxy_authorization.len),
                  r->proxy_authorization.len};
    send_on(x, k);
}

enum err client_need_tls(struct http_client *c, struct diag *d)
{
    const struct tls_client_options o = {c->o.ca_file, c->o.cert_file, c->o.key_file};
    return c->tls ? ERR_OK : tls_client_new(&o, &c->tls, d);
}

static void open_connection(struct http_exchange *x)
{
    struct http_client *c = x->client;
    const struct url *url = &x->address->url;
    struct diag d = {0};
    if (url->tls && client_need_tls(c, &d) != ERR_OK) {
        fail(x, d.code, &d);
        return;
    }
    struct client_conn *k = client_conn_new(c, x->address->origin_key);
    k->exchange = x;
    x->conn = k; // closed with the exchange
    x->step = EXCHANGE_CONNECT;
    const struct connect_target t = {
        .host = url->host,
        .port = url->port,
        .tls = url->tls ? c->tls : NULL,
        .proxy = x->address->proxy,
        .timeout_ms = x->connect_timeout_ms,
        .h2 = url->tls && x->address->http2,
    };
    x->connecting = connect_begin(c->loop, c->resolver, &t, &client_conn_handler, k, connected, k);
}

static void start(struct http_exchange *x)
{
    const struct http_address *a = x->address;
    x->began_us = clock_mono_us();
    if (a->h2 && client_h2_start(x))
        return;
    struct client_conn *k = x->retried ? NULL : pool_take(x->client, a->origin_key);
    x->reused = k != NULL;
    if (k)
        send_on(x, k);
    else
        open_connection(x);
}

void exchange_again(struct http_exchange *x)
{
    x->step = EXCHANGE_START;
    loop_timer_cancel(&x->phase);
    loop_later_set(x->client->loop, &x->later);
}

static void begin(void *ctx)
{
    struct http_exchange *x = ctx;
    if (x->step == EXCHANGE_FAILED)
        fail(x, x->why->code, x->why);
    else
        start(x);
}

// --- What connections tell

static bool repeatable(const struct http_exchange *x)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq_z(x->address->method, methods[i]))
            return true;
    return x->repeatable;
}

void exchange_broken(struct http_exchange *x, enum err e, const struct diag *d)
{
    // a kept connection that the server closed just as we wrote: once more, on a fresh one
    bool stale = x->reused && !x->answered && !x->retried && repeatable(x);
    bool unseen = e == ERR_BUSY && !x->answered && x->refusals < REFUSALS_MAX;
    if (stale || unseen) {
        x->retried = true;
        x->refusals += unseen;
        loop_timer_cancel(&x->phase);
        start(x);
        return;
    }
    fail(x, e, d);
}

static bool is_redirect(const struct http_exchange *x, const struct h1_head *head)
{
    bool status = head->status == 301 || head->status == 302 || head->status == 303 ||
                  head->status == 307 || head->status == 308;
    str method = x->address->method;
    bool safe = str_eq_z(method, "GET") || str_eq_z(method, "HEAD");
    return status && safe && x->redirects < x->redirects_max &&
           http_header_find(head->headers, head->headers_len, STR("location")).len;
}

static enum err follow(struct http_exchange *x, str location, struct diag *d)
{
    struct http_address *next;
    ERR_TRY(http_address_follow(x->client, x->address, location, &next, d));
    http_address_drop(x->address);
    x->address = next;
    x->redirects++;
    x->redirecting = true;
    x->skipped_bytes = 0;
    return ERR_OK;
}

void exchange_head(struct http_exchange *x, const struct h1_head *head)
{
    struct diag d = {0};
    x->step = EXCHANGE_BODY;
    await(x, x->idle_timeout_ms);
    if (!is_redirect(x, head)) {
        x->h->head(x->ctx, head);
        return;
    }
    enum err e = follow(x, http_header_find(head->headers, head->headers_len, STR("location")), &d);
    if (e != ERR_OK)
        fail(x, e, &d);
}

void exchange_body(struct http_exchange *x, str bytes)
{
    await(x, x->idle_timeout_ms);
    if (!x->redirecting) {
        x->h->body(x->ctx, bytes);
        return;
    }
    x->skipped_bytes += bytes.len;
    if (x->skipped_bytes > REDIRECT_BODY_MAX) { // not worth reading: close, and go where it points
        stop_work(x);
        x->redirecting = false;
        start(x);
    }
}

void exchange_end(struct http_exchange *x)
{
    loop_timer_cancel(&x->phase);
    if (x->redirecting) {
        x->redirecting = false;
        x->retried = false;
        start(x);
        return;
    }
    retire(x);
    x->h->end(x->ctx);
    free_exchange(x);
}

// --- Sending

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given ? given : otherwise;
}

static void take_timeouts(struct http_exchange *x, const struct http_request *r)
{
    const struct http_client_options *o = &x->client->o;
    x->connect_timeout_ms = or_default(r->connect_timeout_ms, o->connect_timeout_ms);
    x->headers_timeout_ms = or_default(r->headers_timeout_ms, o->headers_timeout_ms);
    x->idle_timeout_ms = or_default(r->idle_timeout_ms, o->idle_timeout_ms);
    x->total_timeout_ms = or_default(r->total_timeout_ms, o->total_timeout_ms);
}

static enum err take_address(struct http_exchange *x, const struct http_request *r, struct diag *d)
{
    if (!r->address)
        return http_address_new(x->client, r->method, r->url, r->headers ? r->headers->items : NULL,
                                r->headers ? r->headers->len : 0, r->http2, &x->address, d);
    x->address = http_address_keep(r->address);
    return ERR_OK;
}

struct http_exchange *http_client_send(struct http_client *c, const struct http_request *r,
                                       const struct http_answer_handler *h, void *ctx)
{
    struct http_exchange *x = mem_new(struct http_exchange);
    struct diag d;
    x->client = c;
    x->h = h;
    x->ctx = ctx;
    x->body = r->body;
    x->repeatable = r->repeatable;
    x->redirects_max = r->redirects_max;
    x->next = c->exchanges;
    if (x->next)
        x->next->prev = x;
    c->exchanges = x;
    loop_later_init(&x->later, begin, x);
    loop_timer_init(&x->phase, phase_over, x);
    loop_timer_init(&x->total, total_over, x);
    take_timeouts(x, r);
    enum err e = take_address(x, r, &d);
    if (e != ERR_OK) {
        exchange_fail_later(x, e, &d);
        return x;
    }
    if (x->total_timeout_ms)
        loop_timer_set(c->loop, &x->total, x->total_timeout_ms);
    loop_later_set(c->loop, &x->later);
    return x;
}

static void ignore_head(void *ctx UNUSED, const struct h1_head *head UNUSED)
{
}

static void ignore_body(void *ctx UNUSED, str bytes UNUSED)
{
}

static void ignore_end(void *ctx UNUSED)
{
}

static void ignore_error(void *ctx UNUSED, enum err e UNUSED, const struct diag *d UNUSED)
{
}

void http_exchange_forget(struct http_exchange *x, uint32_t linger_ms)
{
    static const struct http_answer_handler nobody = {ignore_head, ignore_body, ignore_end,
                                                      ignore_error};
    if (!x || x->over)
        return;
    if (x->h2 && h2_place_sends(x->h2)) { // an answer before its question was heard out
        http_exchange_cancel(x);
        return;
    }
    x->h = &nobody;
    x->ctx = NULL;
    loop_timer_set(x->client->loop, &x->total, linger_ms);
    http_exchange_resume(x);
}

void http_exchange_rest(struct http_exchange *x)
{
    if (x->step == EXCHANGE_BODY && !x->redirecting && x->conn)
        arena_done(&x->conn->arena);
}

void http_exchange_pause(struct http_exchange *x)
{
    if (x->h2)
        h2_place_pause(x->h2);
    else if (x->conn && x->conn->stream)
        stream_pause(x->conn->stream);
    loop_timer_cancel(&x->phase); // the silence is ours
}

void http_exchange_resume(struct http_exchange *x)
{
    if (x->h2)
        h2_place_resume(x->h2);
    else if (x->conn && x->conn->stream)
        stream_resume(x->conn->stream);
    else
        return;
    await(x, x->idle_timeout_ms);
}

uint64_t http_exchange_connect_us(const struct http_exchange *x)
{
    return x->reused ? 0 : x->connect_us;
}

bool http_exchange_reused(const struct http_exchange *x)
{
    return x->reused;
}

bool http_exchange_is_h2(const struct http_exchange *x)
{
    return x->over_h2;
}

// --- The client

enum err http_client_new(struct loop *l, const struct http_client_options *o,
                         struct http_client **ret, struct diag *d)
{
    struct http_client *c = mem_new(struct http_client);
    c->loop = l;
    c->o = *o;
    c->limits = (struct h1_limits){
        .header_bytes_max = o->header_bytes_max, .target_bytes_max = 1, .headers_max = 256};
    c->resolver = resolver_new(l);
    c->h2_limits = (struct h2_limits){
        .header_bytes_max = o->header_bytes_max,
        .window_min = H2_WINDOW_MIN,
        .window_max = H2_WINDOW_MAX,
        .window_connection = H2_WINDOW_CONNECTION,
        .streams_max = H2_STREAMS_MAX,
    };
    map_init(&c->origins);
    map_init(&c->h2_origins);
    if (!o->ignore_proxies)
        connect_proxies_from_environment(&c->proxies);
    enum err e =
        o->ca_file || o->cert_file ? client_need_tls(c, d) : ERR_OK; // a wrong file is told at once
    if (e == ERR_OK)
        *ret = c;
    else
        http_client_free(c);
    return e;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (c->exchanges)
        http_exchange_cancel(c->exchanges);
    pool_close_all(c);
    client_h2_close_all(c);
    resolver_free(c->resolver);
    tls_context_free(c->tls);
    map_done(&c->origins);
    mem_free(c);
}

size_t http_client_idle_connections(const struct http_client *c)
{
    return c->idle_len + client_h2_idle(c);
}
