#include "gateway/http_health.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/provider_load.h"
#include "http/url.h"

#include "base/banned.h"

#define PAGE_BYTES_MAX    (256u << 10) // of metrics: more is not read
#define HEADERS_BYTES_MAX 65536
#define OFF               "off"

struct http_health {
    struct http_provider *provider;
    struct metrics_shard *shard;
    struct http_exchange *exchange; // NULL: none runs
    struct loop_timer timer;
    struct arena arena; // of the request
    struct buf page;
    int status;
    uint32_t failures;             // in a row
    bool seen_up, seen_load;       // it has been well, and has told its load, once
    bool asks_metrics;             // the question under way
    bool no_readiness, no_metrics; // it does not know the kind's path: not asked again
};

// --- What is asked

// A configured path begins at the server's root, the kind's behind its base.
static str path_of(str configured, const char *own)
{
    if (str_eq_z(configured, OFF))
        return STR_NONE;
    return configured.len ? configured : str_of(own);
}

static str readiness_path(const struct http_provider *p)
{
    const struct gateway_provider *c = p->config;
    return path_of(c->health.path, c->discover ? p->kind->health_path : NULL);
}

static str metrics_path(const struct http_provider *p)
{
    const struct gateway_provider *c = p->config;
    return path_of(c->health.metrics, c->discover ? p->kind->metrics_path : NULL);
}

bool http_health_is_asked(const struct http_provider *p)
{
    return readiness_path(p).len || metrics_path(p).len;
}

static str url_of(struct http_health *h, str path, bool configured)
{
    const struct http_provider *p = h->provider;
    str url = STR_NONE;
    if (!configured)
        return arena_printf(&h->arena, STR_FMT STR_FMT, STR_ARG(p->base), STR_ARG(path));
    return url_resolve(p->base, path, &h->arena, &url, NULL) == ERR_OK ? url : STR_NONE;
}

// --- What it means

static void count(struct http_health *h, const char *result)
{
    metrics_add(metrics_series(h->shard, METRIC_PROVIDER_CHECKS,
                               METRICS_VALUES(h->provider->config->name, str_of(result))),
                1);
}

static void show(struct http_health *h, bool up)
{
    metrics_set(
        metrics_series(h->shard, METRIC_PROVIDER_UP, METRICS_VALUES(h->provider->config->name)),
        up);
}

static void is_well(struct http_health *h)
{
    struct provider_health *state = &h->provider->health;
    count(h, "ok");
    show(h, true);
    h->failures = 0;
    if (state->down)
        log_write(LOG_INFO, "provider is ready", LOG_S("provider", h->provider->config->name));
    state->down = false;
    h->seen_up = true;
}

static void is_unwell(struct http_health *h, const char *why)
{
    struct provider_health *state = &h->provider->health;
    count(h, "failed");
    h->failures++;
    if (state->down || h->failures < (uint64_t)h->provider->config->health.failures)
        return;
    state->down = true;
    state->measured = false;
    show(h, false);
    // That an Ollama that might be there never was is no news.
    bool expected = h->provider->config->kind != GATEWAY_PROVIDER_OLLAMA;
    log_write(h->seen_up ? LOG_WARN
              : expected ? LOG_INFO
                         : LOG_DEBUG,
              "provider is not ready: it is asked only when no other can be",
              LOG_S("provider", h->provider->config->name), LOG_Z("why", why));
}

static void note_load(struct http_health *h)
{
    struct provider_health *state = &h->provider->health;
    struct provider_load load;
    str name = h->provider->config->name;
    state->measured =
        h->status == 200 && !h->page.failed && provider_load_read(buf_str(&h->page), &load);
    if (!state->measured)
        return;
    h->seen_load = true;
    state->requests = load.running + load.waiting;
    metrics_set(
        metrics_series(h->shard, METRIC_PROVIDER_REQUESTS, METRICS_VALUES(name, STR("running"))),
        load.running);
    metrics_set(
        metrics_series(h->shard, METRIC_PROVIDER_REQUESTS, METRICS_VALUES(name, STR("waiting"))),
        load.waiting);
}

// --- Asking

static void ask_metrics(struct http_health *h);

static void sleep_on(struct http_health *h)
{
    if (h->no_readiness && (h->no_metrics || !metrics_path(h->provider).len))
        return; // a service that has neither: there is nothing to ask
    loop_timer_set(h->provider->loop, &h->timer, (uint64_t)h->provider->config->health.interval_ms);
}

// Who has known it once, knows it.
static bool is_unknown_path(const struct http_health *h, str configured, bool known)
{
    return !known && !configured.len && (h->status == 404 || h->status == 405 || h->status == 501);
}

// Of a path that somebody configured a good answer is wanted; of the kind's any that shows that it
// is there and ready.
static bool is_good(const struct http_health *h)
{
    bool configured = h->provider->config->health.path.len;
    return configured ? h->status >= 200 && h->status < 400 : h->status < 500;
}

static void told_readiness(struct http_health *h)
{
    char why[64];
    h->no_readiness = is_unknown_path(h, h->provider->config->health.path, h->seen_up);
    snprintf(why, sizeof why, "it answers %d", h->status);
    if (is_good(h) || h->no_readiness)
        is_well(h);
    else
        is_unwell(h, why);
    ask_metrics(h);
}

static void on_head(void *ctx, const struct h1_head *head)
{
    struct http_health *h = ctx;
    h->status = head->status;
}

static void on_body(void *ctx, str bytes)
{
    struct http_health *h = ctx;
    if (h->asks_metrics)
        (void)buf_append_str(&h->page, bytes);
}

static void on_end(void *ctx)
{
    struct http_health *h = ctx;
    h->exchange = NULL;
    if (!h->asks_metrics) {
        told_readiness(h);
        return;
    }
    h->no_metrics = is_unknown_path(h, h->provider->config->health.metrics, h->seen_load);
    note_load(h);
    sleep_on(h);
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct http_health *h = ctx;
    h->exchange = NULL;
    if (h->asks_metrics)
        h->provider->health.measured = false;
    else
        is_unwell(h, d->text[0] ? d->text : err_name(e));
    sleep_on(h);
}

static bool ask_for(struct http_health *h, str url)
{
    static const struct http_answer_handler handler = {on_head, on_body, on_end, on_error};
    const struct http_provider *p = h->provider;
    struct http_headers headers;
    if (!url.ptr || !http_provider_headers(p, &h->arena, &headers))
        return false;
    const struct http_request request = {
        .method = STR("GET"),
        .url = url,
        .headers = &headers,
        .http2 = http_provider_http2(p),
        .connect_timeout_ms = (uint32_t)p->config->health.timeout_ms,
        .total_timeout_ms = (uint32_t)p->config->health.timeout_ms,
    };
    h->status = 0;
    h->exchange = http_client_send(p->client, &request, &handler, h);
    return true;
}

static void ask_metrics(struct http_health *h)
{
    const struct http_provider *p = h->provider;
    str path = metrics_path(p);
    arena_reset(&h->arena);
    buf_clear(&h->page);
    h->asks_metrics = true;
    bool asked = path.len && !h->no_metrics && !p->health.down &&
                 ask_for(h, url_of(h, path, p->config->health.metrics.len));
    if (!asked)
        sleep_on(h);
}

static void ask(void *ctx)
{
    struct http_health *h = ctx;
    const struct http_provider *p = h->provider;
    str path = readiness_path(p);
    arena_reset(&h->arena);
    h->asks_metrics = false;
    if (!path.len || h->no_readiness || !ask_for(h, url_of(h, path, p->config->health.path.len)))
        ask_metrics(h);
}

// --- Life

struct http_health *http_health_new(struct http_provider *p, struct metrics_shard *shard)
{
    struct http_health *h = mem_new(struct http_health);
    h->provider = p;
    h->shard = shard;
    arena_init(&h->arena, HEADERS_BYTES_MAX);
    buf_init(&h->page, PAGE_BYTES_MAX);
    loop_timer_init(&h->timer, ask, h);
    loop_timer_set(p->loop, &h->timer, 0);
    return h;
}

void http_health_free(struct http_health *h)
{
    if (!h)
        return;
    loop_timer_cancel(&h->timer);
    http_exchange_cancel(h->exchange);
    arena_done(&h->arena);
    buf_done(&h->page);
    mem_free(h);
}
