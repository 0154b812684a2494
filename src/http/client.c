// Exchanges: a request's way through pool or connector, its deadlines, one retry, redirects.
#include "http/client.h"

#include "base/clock.h"
#include "base/text.h"
#include "http/client_internal.h"

#include "base/banned.h"

enum {
    EXCHANGE_MEMORY_MAX = 1 << 20,
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
    arena_done(&x->arena);
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
void exchange_fail_later(struct http_exchange *x, enum err e)
{
    x->step = EXCHANGE_FAILED;
    x->d.code = e;
    loop_later_set(x->client->loop, &x->later);
}

// --- Deadlines

static uint32_t or_default(uint32_t given, uint32_t otherwise)
{
    return given ? given : otherwise;
}

uint32_t exchange_connect_timeout_ms(const struct http_exchange *x)
{
    return or_default(x->r.connect_timeout_ms, x->client->o.connect_timeout_ms);
}

static void phase_over(void *ctx)
{
    struct http_exchange *x = ctx;
    struct diag d = {0};
    if (x->step == EXCHANGE_CONNECT)
        diag_set(&d, ERR_TIMEOUT, "no connection to " STR_FMT " had room for it within %u ms",
                 STR_ARG(x->url.authority), exchange_connect_timeout_ms(x));
    else if (x->step == EXCHANGE_HEAD)
        diag_set(&d, ERR_TIMEOUT, STR_FMT " did not begin to answer within %u ms",
                 STR_ARG(x->url.authority),
                 or_default(x->r.headers_timeout_ms, x->client->o.headers_timeout_ms));
    else
        diag_set(&d, ERR_TIMEOUT, STR_FMT " sent nothing for %u ms", STR_ARG(x->url.authority),
                 or_default(x->r.idle_timeout_ms, x->client->o.idle_timeout_ms));
    fail(x, ERR_TIMEOUT, &d);
}

static void total_over(void *ctx)
{
    struct http_exchange *x = ctx;
    struct diag d = {0};
    diag_set(&d, ERR_TIMEOUT, "the exchange with " STR_FMT " was not over within %u ms",
             STR_ARG(x->url.authority),
             or_default(x->r.total_timeout_ms, x->client->o.total_timeout_ms));
    fail(x, ERR_TIMEOUT, &d);
}

// --- Getting a connection

void exchange_on_its_way(struct http_exchange *x)
{
    x->step = EXCHANGE_HEAD;
    x->answered = false;
    loop_timer_set(x->client->loop, &x->phase,
                   or_default(x->r.headers_timeout_ms, x->client->o.headers_timeout_ms));
}

static void send_on(struct http_exchange *x, struct client_conn *k)
{
    exchange_on_its_way(x);
    client_conn_send(k, x);
}

void exchange_send_on_stream(struct http_exchange *x, struct stream *s)
{
    struct client_conn *k = client_conn_new(x->client, x->origin_key);
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

static void open_connection(struct http_exchange *x, str proxy)
{
    struct http_client *c = x->client;
    if (x->url.tls && client_need_tls(c, &x->d) != ERR_OK) {
        fail(x, x->d.code, &x->d);
        return;
    }
    struct client_conn *k = client_conn_new(c, x->origin_key);
    k->exchange = x;
    x->conn = k; // closed with the exchange
    x->step = EXCHANGE_CONNECT;
    const struct connect_target t = {
        .host = x->url.host,
        .port = x->url.port,
        .tls = x->url.tls ? c->tls : NULL,
        .proxy = proxy,
        .timeout_ms = exchange_connect_timeout_ms(x),
        .h2 = x->url.tls && x->r.http2,
    };
    x->connecting = connect_begin(c->loop, c->resolver, &t, &client_conn_handler, k, connected, k);
}

static void start(struct http_exchange *x)
{
    struct http_client *c = x->client;
    bool h2 = x->url.tls ? x->r.http2 != HTTP2_OFF : x->r.http2 == HTTP2_PRIOR_KNOWLEDGE;
    str proxy = connect_proxy_for(&c->proxies, x->url.tls, x->url.host, x->url.port);
    char port[TEXT_U64_MAX];
    x->origin_key = ARENA_JOIN(&x->arena, h2 ? STR("h2+") : STR(""),
                               x->url.tls ? STR("https://") : STR("http://"), x->url.host, STR(":"),
                               str_slice(port, text_digits(port, x->url.port)), STR(" "), proxy);
    if (!x->origin_key.ptr) {
        diag_set(&x->d, ERR_LIMIT, "the request is too large");
        fail(x, ERR_LIMIT, &x->d);
        return;
    }
    x->began_us = clock_mono_us();
    if (h2 && client_h2_start(x))
        return;
    struct client_conn *k = x->retried ? NULL : pool_take(c, x->origin_key);
    x->reused = k != NULL;
    if (k)
        send_on(x, k);
    else
        open_connection(x, proxy);
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
        fail(x, x->d.code, &x->d);
    else
        start(x);
}

// --- What connections tell

static bool repeatable(const struct http_exchange *x)
{
    static const char *const methods[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_eq_z(x->r.method, methods[i]))
            return true;
    return x->r.repeatable;
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
    bool method = str_eq_z(x->r.method, "GET") || str_eq_z(x->r.method, "HEAD");
    return status && method && x->redirects < x->r.redirects_max &&
           http_header_find(head->headers, head->headers_len, STR("location")).len;
}

// Credentials are for the origin that they were given for.
static void drop_credentials(struct http_exchange *x)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->headers_len; i++) {
        str name = x->headers[i].name;
        if (!str_eq_nocase(name, STR("authorization")) && !str_eq_nocase(name, STR("cookie")) &&
            !str_eq_nocase(name, STR("x-api-key")) && !str_eq_nocase(name, STR("api-key")))
            x->headers[kept++] = x->headers[i];
    }
    x->headers_len = kept;
}

static enum err follow(struct http_exchange *x, str location, struct diag *d)
{
    struct url next;
    str text;
    ERR_TRY(url_resolve(x->url_text, location, &x->arena, &text, d));
    ERR_TRY(url_parse(text, &next, d));
    if (x->url.tls && !next.tls)
        return diag_set(d, ERR_UPSTREAM, "the server redirects from https to http: " STR_FMT,
                        STR_ARG(text));
    if (!url_same_origin(&x->url, &next))
        drop_credentials(x);
    x->url = next;
    x->url_text = text;
    x->redirects++;
    x->redirecting = true;
    x->skipped_bytes = 0;
    return ERR_OK;
}

void exchange_head(struct http_exchange *x, const struct h1_head *head)
{
    struct diag d = {0};
    x->step = EXCHANGE_BODY;
    loop_timer_set(x->client->loop, &x->phase,
                   or_default(x->r.idle_timeout_ms, x->client->o.idle_timeout_ms));
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
    loop_timer_set(x->client->loop, &x->phase,
                   or_default(x->r.idle_timeout_ms, x->client->o.idle_timeout_ms));
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

static enum err copy_headers(struct http_exchange *x, const struct http_headers *h, struct diag *d)
{
    x->headers = arena_zalloc(&x->arena, h->len ? h->len : 1, sizeof *x->headers);
    for (size_t i = 0; x->headers && i < h->len; i++) {
        x->headers[i].name = arena_str(&x->arena, h->items[i].name);
        x->headers[i].value = arena_str(&x->arena, h->items[i].value);
        if (!x->headers[i].name.ptr || !x->headers[i].value.ptr)
            return diag_set(d, ERR_LIMIT, "the request's headers are too large");
        x->headers_len = i + 1;
        if (!http_token_ok(h->items[i].name) || !http_value_ok(h->items[i].value))
            return diag_set(d, ERR_INVALID, "header %zu holds bytes that a header may not hold",
                            i + 1);
    }
    return x->headers ? ERR_OK : diag_set(d, ERR_LIMIT, "the request is too large");
}

static enum err copy_request(struct http_exchange *x, const struct http_request *r, struct diag *d)
{
    x->r = *r;
    x->r.method = arena_str(&x->arena, r->method);
    x->url_text = arena_str(&x->arena, r->url);
    if (!x->r.method.ptr || !x->url_text.ptr)
        return diag_set(d, ERR_LIMIT, "the request is too large");
    if (r->headers)
        ERR_TRY(copy_headers(x, r->headers, d));
    if (!http_token_ok(x->r.method))
        return diag_set(d, ERR_INVALID, "the method is not a word");
    return url_parse(x->url_text, &x->url, d);
}

struct http_exchange *http_client_send(struct http_client *c, const struct http_request *r,
                                       const struct http_answer_handler *h, void *ctx)
{
    struct http_exchange *x = mem_new(struct http_exchange);
    x->client = c;
    x->h = h;
    x->ctx = ctx;
    x->next = c->exchanges;
    if (x->next)
        x->next->prev = x;
    c->exchanges = x;
    arena_init(&x->arena, EXCHANGE_MEMORY_MAX);
    loop_later_init(&x->later, begin, x);
    loop_timer_init(&x->phase, phase_over, x);
    loop_timer_init(&x->total, total_over, x);
    uint32_t total_ms = or_default(r->total_timeout_ms, c->o.total_timeout_ms);
    enum err e = copy_request(x, r, &x->d);
    if (e != ERR_OK) {
        exchange_fail_later(x, e);
        return x;
    }
    if (total_ms)
        loop_timer_set(c->loop, &x->total, total_ms);
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
    x->h = &nobody;
    x->ctx = NULL;
    loop_timer_set(x->client->loop, &x->total, linger_ms);
    http_exchange_resume(x);
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
    loop_timer_set(x->client->loop, &x->phase,
                   or_default(x->r.idle_timeout_ms, x->client->o.idle_timeout_ms));
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
