#include "gateway/gateway.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "gateway/provider_local.h"
#include "gateway/server.h"
#include "gateway/shadow.h"

#include "base/banned.h"

#define WORKER_THREADS 2
#define WORKER_DEPTH   256

// --- The real world

static uint64_t world_mono_us(void *ctx UNUSED)
{
    return clock_mono_us();
}

static uint64_t world_wall_ms(void *ctx UNUSED)
{
    return clock_wall_ms();
}

static void world_random_id(void *ctx UNUSED, char *out, size_t n)
{
    random_id(out, n);
}

static uint64_t world_random_u64(void *ctx UNUSED)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

static bool world_offload(void *ctx, struct offload *o)
{
    struct gateway *g = ctx;
    return worker_submit(g->worker, o) == ERR_OK;
}

static void world_timer_set(void *ctx, struct world_timer *t, uint64_t delay_ms)
{
    const struct gateway *g = ctx;
    if (!loop_timer_armed(&t->loop))
        loop_timer_init(&t->loop, t->fire, t->ctx);
    loop_timer_set(g->loop, &t->loop, delay_ms);
}

static void world_timer_cancel(void *ctx UNUSED, struct world_timer *t)
{
    loop_timer_cancel(&t->loop);
}

static struct world real_world(struct gateway *g)
{
    return (struct world){
        .ctx = g,
        .mono_us = world_mono_us,
        .wall_ms = world_wall_ms,
        .random_id = world_random_id,
        .random_u64 = world_random_u64,
        .timer_set = world_timer_set,
        .timer_cancel = world_timer_cancel,
        .offload = world_offload,
    };
}

// --- Life

enum err gateway_new(struct loop *l, const struct gateway_config *config,
                     struct gateway_shared *shared, struct metrics *metrics, struct gateway **ret,
                     struct diag *d)
{
    struct http_server_options options;
    struct gateway *g = mem_new(struct gateway);
    g->loop = l;
    g->config = config;
    g->world = real_world(g);
    // No web page reaches a unix socket, and proxies send it any Host.
    g->on_loopback =
        gateway_address_is_loopback(config->listen) && !str_starts(config->listen, STR("unix:"));
    model_routes_init(&g->routes, config);
    g->shared = shared;
    account_init(&g->account, metrics);
    cache_init(&g->cache, &config->cache);
    conversations_init(&g->conversations, &config->conversations);
    semantic_init(&g->semantic, &config->cache.semantic);
    g->local = provider_local_new(l);
    server_options(config, &options);
    enum err e = providers_init(&g->providers, l, config, &g->registry, g->account.shard, d);
    if (e == ERR_OK)
        e = worker_new(l, WORKER_THREADS, WORKER_DEPTH, &g->worker, d);
    if (e == ERR_OK && config->tls.certificate.len)
        e = listener_tls_new(l, g->worker, &config->tls, g->account.shard, &g->tls, d);
    options.tls = listener_tls_context(g->tls);
    if (e == ERR_OK)
        e = http_server_new(l, &options, &server_handler, g, &g->http, d);
    if (e != ERR_OK) {
        gateway_free(g);
        return e;
    }
    *ret = g;
    return ERR_OK;
}

enum err gateway_listen(struct gateway *g, uint16_t *ret_port, struct diag *d)
{
    char address[256];
    ERR_TRY(gateway_config_check(g->config, d));
    if (g->config->listen.len >= sizeof address)
        return diag_set(d, ERR_INVALID, "listen: the address is too long");
    memcpy(address, g->config->listen.ptr, g->config->listen.len);
    address[g->config->listen.len] = 0;
    return http_server_listen(g->http, address, false, ret_port, d);
}

void gateway_set_engine(struct gateway *g, struct engine *e)
{
    provider_local_watch(g->local, e, g->account.registry);
}

enum err gateway_add_local_model(struct gateway *g, struct engine_model *m,
                                 const struct option_strings *aliases, struct diag *d)
{
    struct model_entry entry;
    provider_local_describe(g->local, m, &entry);
    ERR_TRY(registry_add(&g->registry, &entry, false, d));
    for (size_t i = 0; aliases && i < aliases->len; i++) {
        entry.name = aliases->items[i];
        ERR_TRY(registry_add(&g->registry, &entry, true, d));
    }
    return ERR_OK;
}

void gateway_reload(struct gateway *g)
{
    listener_tls_reload(g->tls);
}

void gateway_unready(struct gateway *g)
{
    g->draining = true;
}

void gateway_drain(struct gateway *g)
{
    gateway_unready(g);
    shadows_stop(g);
    if (g->http)
        http_server_drain(g->http);
}

size_t gateway_calls(const struct gateway *g)
{
    return g->calls_len;
}

bool gateway_busy(const struct gateway *g)
{
    return g->calls_len || http_server_busy(g->http);
}

void gateway_free(struct gateway *g)
{
    if (!g)
        return;
    if (g->http)
        http_server_free(g->http);
    shadows_stop(g);
    listener_tls_stop(g->tls);
    worker_free(g->worker);
    listener_tls_free(g->tls);
    ASSERT(!g->calls_len);
    call_spares_free(g);
    providers_done(&g->providers);
    provider_local_free(g->local);
    targets_done(&g->targets);
    model_routes_done(&g->routes);
    account_done(&g->account);
    semantic_done(&g->semantic);
    cache_done(&g->cache);
    conversations_done(&g->conversations);
    scan_scratch_done(&g->guard_scratch);
    mem_free(g);
}
