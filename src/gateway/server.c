#include "gateway/server.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/origin.h"
#include "gateway/routes.h"

#include "base/banned.h"

#define ERROR_BYTES_MAX 65536

// --- Headers

static void add_cors(struct gateway *g, struct http_call *hc, struct http_headers *out)
{
    str allowed = origin_allowed(g->config, http_call_header(hc, "origin"));
    if (!allowed.len)
        return;
    http_headers_add(out, STR("Access-Control-Allow-Origin"), allowed);
    http_headers_add(
        out, STR("Access-Control-Expose-Headers"),
        STR("x-request-id, request-id, x-weir-model, x-weir-seed, x-weir-ignored-fields, "
            "x-weir-request-id, x-weir-provider, x-weir-attempts, x-weir-cost, "
            "x-weir-overhead-us, x-weir-cache, x-weir-conversation, x-weir-cache-source, "
            "Server-Timing, "
            "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
            "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
            "x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
            "x-weir-dropped-params, retry-after, retry-after-ms, x-should-retry"));
    http_headers_add(out, STR("Vary"), STR("Origin"));
}

static void fill_headers(struct gateway *g, struct http_call *hc, const struct answer_headers *h,
                         struct http_headers *out)
{
    out->len = 0;
    for (size_t i = 0; h && i < h->len; i++)
        http_headers_add(out, str_of(h->items[i].name), h->items[i].value);
    add_cors(g, hc, out);
}

void server_answer(struct gateway *g, struct http_call *hc, int status, const char *type,
                   const struct answer_headers *h, str body)
{
    struct http_headers headers;
    fill_headers(g, hc, h, &headers);
    http_call_respond(hc, status, str_of(type), &headers, body);
}

void server_refuse(struct gateway *g, struct http_call *hc, const struct api_error *e,
                   const struct answer_headers *more)
{
    struct answer_headers h = {.len = 0};
    struct buf out;
    if (more)
        h = *more;
    answer_headers_error(&h, e);
    buf_init(&out, ERROR_BYTES_MAX);
    const struct dialect *d = route_dialect(http_call_path(hc));
    if (d->request_id_header)
        answer_headers_add(&h, d->request_id_header, http_call_request_id(hc));
    d->error(e, http_call_request_id(hc), &out);
    server_answer(g, hc, dialect_status(d, e), "application/json", &h, buf_str(&out));
    buf_done(&out);
}

// --- A call over HTTP

static void output_respond(void *ctx, int status, const char *type, const struct answer_headers *h,
                           str body)
{
    struct http_call *hc = ctx;
    struct call *c = http_call_data(hc);
    http_call_set_data(hc, NULL);
    server_answer(c->gateway, hc, status, type, h, body);
}

static void output_begin(void *ctx, int status, const char *type, const struct answer_headers *h)
{
    struct http_call *hc = ctx;
    struct call *c = http_call_data(hc);
    struct http_headers headers;
    fill_headers(c->gateway, hc, h, &headers);
    http_call_begin(hc, status, str_of(type), &headers);
}

static enum err output_write(void *ctx, str bytes)
{
    return http_call_write(ctx, bytes);
}

static void output_end(void *ctx)
{
    http_call_set_data(ctx, NULL);
    http_call_end(ctx);
}

static void output_abort(void *ctx)
{
    http_call_set_data(ctx, NULL);
    http_call_abort(ctx);
}

static void output_take_body(void *ctx, struct buf *ret)
{
    http_call_take_body(ctx, ret);
}

static const struct call_output http_output = {
    .respond = output_respond,
    .begin = output_begin,
    .write = output_write,
    .end = output_end,
    .abort = output_abort,
    .take_body = output_take_body,
};

static struct auth_headers auth_headers(struct http_call *hc)
{
    return (struct auth_headers){
        .authorization = http_call_header(hc, "authorization"),
        .x_api_key = http_call_header(hc, "x-api-key"),
        .api_key = http_call_header(hc, "api-key"),
    };
}

static void begin_call(struct gateway *g, struct http_call *hc, const struct route *r)
{
    struct call_input in = {
        .auth = auth_headers(hc),
        .open = r->open || (r->call->without_body && g->config->metrics_public),
        .strict = str_eq_nocase(http_call_header(hc, "x-weir-strict"), STR("true")),
        .totals = str_eq_nocase(http_call_header(hc, "x-weir-totals"), STR("true")),
        .cache = cache_wish_read(http_call_header(hc, "x-weir-cache")),
        .content_type = http_call_header(hc, "content-type"),
        .accept = http_call_header(hc, "accept"),
        .request_id = http_call_request_id(hc),
        .conversation = http_call_header(hc, "x-weir-conversation"),
        .peer = http_call_peer(hc),
        .body = http_call_body(hc),
    };
    if (r->call->without_body) {
        account_loop(&g->account, g->loop);
        listener_tls_measure(g->tls);
    }
    struct call *c = call_new(g, r->call, &in, &http_output, hc);
    http_call_set_data(hc, c);
    call_step(c, CALL_BEGIN);
}

// --- Who may ask at all

static bool guard(struct gateway *g, struct http_call *hc)
{
    struct api_error e;
    str host = http_call_header(hc, "host"), origin = http_call_header(hc, "origin");
    bool let_in = origin_allowed(g->config, origin).len > 0;
    if (!g->on_loopback || keyring_any(&g->shared->keys))
        return true;
    if (host.ptr && !origin_host_is_loopback(host))
        api_error_set(&e, API_FOREIGN_HOST, NULL,
                      "This server answers on this machine only, and the Host header names "
                      "another. Configure keys to serve other names.");
    else if (origin.len && !let_in && !origin_is_loopback(origin))
        api_error_set(&e, API_FOREIGN_ORIGIN, NULL,
                      "Web pages of other origins may not call this server. Name the origin under "
                      "cors.origins to let it in.");
    else
        return true;
    server_refuse(g, hc, &e, NULL);
    return false;
}

// OPTIONS: what a path takes, and a browser's question before it sends.
static void answer_options(struct gateway *g, struct http_call *hc, const char *allow)
{
    struct answer_headers h = {.len = 0};
    str wanted = http_call_header(hc, "access-control-request-headers");
    answer_headers_add(&h, "Allow", str_of(allow));
    if (origin_allowed(g->config, http_call_header(hc, "origin")).len) {
        answer_headers_add(&h, "Access-Control-Allow-Methods", str_of(allow));
        answer_headers_add(&h, "Access-Control-Allow-Headers",
                           wanted.len ? wanted : STR("authorization, content-type"));
        answer_headers_add(&h, "Access-Control-Max-Age", STR("600"));
    }
    server_answer(g, hc, 204, "", &h, STR(""));
}

static void refuse_path(struct gateway *g, struct http_call *hc, const char *allow)
{
    struct api_error e;
    struct answer_headers h = {.len = 0};
    str method = http_call_method(hc), path = http_call_path(hc);
    if (!allow[0]) {
        api_error_set(&e, API_UNKNOWN_URL, NULL,
                      "Unknown request URL: %.*s %.*s. GET / lists the "
                      "paths there are.",
                      (int)min_size(method.len, 32), method.ptr, (int)min_size(path.len, 200),
                      path.ptr);
    } else {
        api_error_set(&e, API_METHOD_NOT_ALLOWED, NULL, "%.*s does not take %.*s, but %s.",
                      (int)min_size(path.len, 200), path.ptr, (int)min_size(method.len, 32),
                      method.ptr, allow);
        answer_headers_add(&h, "Allow", str_of(allow));
    }
    server_refuse(g, hc, &e, &h);
}

const struct key *server_key(const struct gateway *g, struct http_call *hc)
{
    struct key *key = NULL;
    struct auth_headers headers = auth_headers(hc);
    struct api_error e;
    bool ok = auth_check(&g->shared->keys, &headers, clock_wall_ms(), &key, &e);
    return ok ? key : NULL;
}

static void handle(struct gateway *g, struct http_call *hc, const struct route *r, str item)
{
    struct key *key;
    struct auth_headers headers = auth_headers(hc);
    struct api_error e;
    if (!r->open && !auth_check(&g->shared->keys, &headers, clock_wall_ms(), &key, &e))
        server_refuse(g, hc, &e, NULL);
    else if (r->handle_item)
        r->handle_item(g, hc, item);
    else
        r->handle(g, hc);
}

static void on_request(void *ctx, struct http_call *hc)
{
    struct gateway *g = ctx;
    const char *allow;
    str item;
    if (!guard(g, hc))
        return;
    const struct route *r = route_find(http_call_method(hc), http_call_path(hc), &item, &allow);
    if (!r && allow[0] && str_eq(http_call_method(hc), STR("OPTIONS")))
        answer_options(g, hc, allow);
    else if (!r)
        refuse_path(g, hc, allow);
    else if (r->call)
        begin_call(g, hc, r);
    else
        handle(g, hc, r, item);
}

static void on_cancel(void *ctx UNUSED, struct http_call *hc)
{
    struct call *c = http_call_data(hc);
    if (c)
        call_step(c, CALL_GONE);
}

static void on_drained(void *ctx UNUSED, struct http_call *hc)
{
    struct call *c = http_call_data(hc);
    if (c)
        call_step(c, CALL_DRAINED);
}

static void on_refusal(void *ctx, const struct http_refusal *r, struct buf *out)
{
    const struct gateway *g = ctx;
    struct api_error e;
    enum api_error_code code = api_error_find(r->reason, r->status);
    if (code == API_BODY_TOO_LARGE)
        api_error_set(&e, code, NULL,
                      "The body is larger than %lld bytes, which this server takes at most "
                      "(limits.body_bytes_max).",
                      (long long)g->config->limits.body_bytes_max);
    else
        api_error_set(&e, code, NULL, "%s", r->text);
    route_dialect(r->path)->error(&e, r->request_id, out);
}

static void on_finished(void *ctx, const struct http_call *hc, int status, uint64_t body_bytes,
                        uint64_t duration_us)
{
    struct gateway *g = ctx;
    const char *allow, *endpoint = "other";
    str item;
    const struct route *r =
        hc ? route_find(http_call_method(hc), http_call_path(hc), &item, &allow) : NULL;
    if (r)
        endpoint = r->endpoint;
    account_http(&g->account, endpoint, status);
    if (!hc || (r && r->call) || !log_enabled(LOG_DEBUG))
        return; // a call writes its own line
    log_write(LOG_DEBUG, "answered", LOG_S("request_id", http_call_request_id(hc)),
              LOG_S("method", http_call_method(hc)), LOG_Z("endpoint", endpoint),
              LOG_I("status", status), LOG_I("bytes", body_bytes), LOG_I("us", duration_us));
}

// A port that is open to others is scanned all day: one line a second is enough.
static void on_no_contact(void *ctx, str peer, const struct diag *why)
{
    struct gateway *g = ctx;
    uint64_t now = clock_mono_ms();
    if (g->tls)
        listener_tls_no_contact(g->account.shard);
    if (g->no_contact_ms && now < g->no_contact_ms + 1000)
        return;
    g->no_contact_ms = now;
    log_write(LOG_WARN, "client not understood", LOG_S("peer", peer), LOG_Z("why", why->text));
}

const struct http_handler server_handler = {
    .request = on_request,
    .cancel = on_cancel,
    .drained = on_drained,
    .refusal = on_refusal,
    .finished = on_finished,
    .no_contact = on_no_contact,
};

void server_options(const struct gateway_config *c, struct http_server_options *ret)
{
    const struct gateway_limits *l = &c->limits;
    *ret = (struct http_server_options){.limits = http_limits_default,
                                        .half_close_cancels = c->half_close_cancels};
    ret->limits.header_bytes_max = (size_t)l->header_bytes_max;
    ret->limits.headers_max = (uint32_t)l->headers_max;
    ret->limits.target_bytes_max = (size_t)l->target_bytes_max;
    ret->limits.body_bytes_max = (size_t)l->body_bytes_max;
    ret->limits.header_timeout_ms = (uint32_t)l->header_timeout_ms;
    ret->limits.body_rate_min = (uint32_t)l->body_rate_min;
    ret->limits.idle_timeout_ms = (uint32_t)l->idle_timeout_ms;
    ret->limits.write_timeout_ms = (uint32_t)l->write_timeout_ms;
    ret->limits.connections_max = (uint32_t)l->connections_max;
    ret->limits.connections_per_address_max = (uint32_t)l->connections_per_address_max;
    ret->limits.handshakes_max = (uint32_t)l->handshakes_max;
}

void server_index(struct gateway *g, struct http_call *hc)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, ERROR_BYTES_MAX);
    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_kv_z(&w, "name", "weir");
    jw_kv_z(&w, "version", WEIR_VERSION);
    jw_key(&w, "paths");
    jw_array_begin(&w);
    for (const struct route *r = routes; r->path.len; r++) {
        char text[80];
        snprintf(text, sizeof text, "%s " STR_FMT, r->method == ROUTE_POST ? "POST" : "GET",
                 STR_ARG(r->path));
        jw_z(&w, text);
    }
    jw_array_end(&w);
    jw_object_end(&w);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}
