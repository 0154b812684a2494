#include "gateway/http_discover.h"

#include "base/log.h"
#include "base/mem.h"

#include "base/banned.h"

#define LIST_BYTES_MAX    (4u << 20)
#define REPEAT_MS         60000
#define TIMEOUT_MS        10000
#define HEADERS_BYTES_MAX 65536

struct http_discover {
    struct http_provider *provider;
    http_discover_found *found;
    http_discover_heard *heard;
    void *ctx;
    struct http_exchange *exchange; // NULL: none runs
    struct loop_timer timer;
    struct arena arena; // of the request
    struct buf body;
    int status;
    bool told; // it has answered before
};

static void again(struct http_discover *d, bool up)
{
    d->exchange = NULL;
    d->heard(d->ctx, d->provider, up);
    loop_timer_set(d->provider->loop, &d->timer, REPEAT_MS);
}

static void tell_found(struct http_discover *d, yyjson_val *list)
{
    const struct http_kind *k = d->provider->kind;
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, max, item)
    {
        str name = json_str(json_get(item, k->models_name));
        int64_t context_max = 0;
        if (i == HTTP_DISCOVER_MODELS_MAX)
            break;
        if (!json_is_int(json_get(item, "max_model_len"), &context_max) || context_max < 0 ||
            context_max > UINT32_MAX)
            context_max = 0;
        if (name.len)
            d->found(d->ctx, d->provider, name, (uint32_t)context_max);
    }
    if (!d->told)
        log_write(LOG_INFO, "provider answers", LOG_S("provider", d->provider->config->name),
                  LOG_I("models", yyjson_arr_size(list)));
    d->told = true;
}

static void on_head(void *ctx, const struct h1_head *head)
{
    struct http_discover *d = ctx;
    d->status = head->status;
}

static void on_body(void *ctx, str bytes)
{
    struct http_discover *d = ctx;
    (void)buf_append_str(&d->body, bytes); // too long a list is no JSON then
}

static void read_models(struct http_discover *d)
{
    struct json_doc doc = {0};
    struct diag diag;
    if (d->status == 200 && !d->body.failed &&
        json_parse(&doc, buf_str(&d->body), JSON_LIMITS_DEFAULT, &diag) == ERR_OK)
        tell_found(d, json_get(doc.root, d->provider->kind->models_list));
    else
        log_write(LOG_DEBUG, "provider lists no models",
                  LOG_S("provider", d->provider->config->name), LOG_I("status", d->status));
    json_done(&doc);
}

// Any answer shows that it is there, but for one that says it is not ready.
static void on_end(void *ctx)
{
    struct http_discover *d = ctx;
    bool up = d->status < 500;
    d->exchange = NULL;
    if (up)
        read_models(d);
    again(d, up);
}

static void on_error(void *ctx, enum err e UNUSED, const struct diag *diag)
{
    struct http_discover *d = ctx;
    log_write(LOG_DEBUG, "provider lists no models", LOG_S("provider", d->provider->config->name),
              LOG_Z("why", diag->text));
    again(d, false);
}

static void ask(void *ctx)
{
    struct http_discover *d = ctx;
    static const struct http_answer_handler handler = {on_head, on_body, on_end, on_error};
    const struct http_provider *p = d->provider;
    struct http_headers headers;
    arena_reset(&d->arena);
    buf_clear(&d->body);
    d->status = 0;
    str url = arena_printf(&d->arena, STR_FMT "%s", STR_ARG(p->base), p->kind->models_path);
    if (!url.ptr || !http_provider_headers(p, &d->arena, &headers))
        return;
    const struct http_request request = {
        .method = STR("GET"),
        .url = url,
        .headers = &headers,
        .connect_timeout_ms = (uint32_t)p->config->connect_timeout_ms,
        .total_timeout_ms = TIMEOUT_MS,
        .http2 = http_provider_http2(p),
    };
    d->exchange = http_client_send(p->client, &request, &handler, d);
}

struct http_discover *http_discover_new(struct http_provider *p, http_discover_found *found,
                                        http_discover_heard *heard, void *ctx)
{
    struct http_discover *d = mem_new(struct http_discover);
    *d = (struct http_discover){.provider = p, .found = found, .heard = heard, .ctx = ctx};
    arena_init(&d->arena, HEADERS_BYTES_MAX);
    buf_init(&d->body, LIST_BYTES_MAX);
    loop_timer_init(&d->timer, ask, d);
    loop_timer_set(p->loop, &d->timer, 0);
    return d;
}

void http_discover_free(struct http_discover *d)
{
    if (!d)
        return;
    loop_timer_cancel(&d->timer);
    http_exchange_cancel(d->exchange);
    arena_done(&d->arena);
    buf_done(&d->body);
    mem_free(d);
}
