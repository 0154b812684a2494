#include "gateway/providers.h"

#include "base/log.h"
#include "base/mem.h"
#include "gateway/providers_environment.h"

#include "base/banned.h"

#define ENVIRONMENT_BYTES_MAX (1u << 20)

// The provider that "PROVIDER/MODEL" begins with, or NULL.
static struct http_provider *provider_of(const struct providers *p, str name)
{
    size_t slash = str_find_char(name, '/');
    if (slash == SIZE_MAX || slash + 1 == name.len)
        return NULL;
    for (size_t i = 0; i < p->len; i++)
        if (str_eq(p->items[i]->config->name, str_sub(name, 0, slash)))
            return p->items[i];
    return NULL;
}

static str model_of(str name)
{
    return str_sub(name, str_find_char(name, '/') + 1, SIZE_MAX);
}

// Both names of a model: PROVIDER/MODEL always, its own where it is free.
static enum err list_model(struct providers *p, struct http_provider *h, str model,
                           uint32_t context_max, struct diag *d)
{
    struct model_entry entry;
    str full =
        arena_printf(&h->arena, STR_FMT "/" STR_FMT, STR_ARG(h->config->name), STR_ARG(model));
    str own = arena_str(&h->arena, model);
    if (!full.ptr || !own.ptr)
        return diag_set(d, ERR_LIMIT, "the model names are too long");
    http_provider_describe(h, full, own, &entry);
    entry.context_max = context_max;
    ERR_TRY(registry_add(p->registry, &entry, false, d));
    entry.name = own;
    enum err e = registry_add(p->registry, &entry, true, d);
    return e == ERR_INVALID ? ERR_OK : e; // another provider has it first
}

static bool is_listed(const struct providers *p, const struct http_provider *h, str model)
{
    size_t len = registry_len(p->registry);
    for (size_t i = 0; i < len; i++)
        if (p->registry->entries[i].provider_model == h &&
            str_eq(p->registry->entries[i].root, model))
            return true;
    return false;
}

static void on_found(void *ctx, struct http_provider *h, str model, uint32_t context_max)
{
    struct providers *p = ctx;
    struct diag d = {0};
    if (p->full || is_listed(p, h, model) || list_model(p, h, model, context_max, &d) == ERR_OK)
        return;
    p->full = d.code == ERR_LIMIT;
    log_write(LOG_WARN, "model not listed", LOG_S("provider", h->config->name),
              LOG_S("model", model), LOG_Z("why", d.text));
}

static void on_heard(void *ctx, struct http_provider *h, bool up)
{
    struct providers *p = ctx;
    if (http_health_is_asked(h))
        return; // it knows better
    metrics_set(metrics_series(p->shard, METRIC_PROVIDER_UP, METRICS_VALUES(h->config->name)), up);
}

static bool lists(const struct http_provider *h)
{
    return h->config->discover && !h->config->models.len && h->kind->models_path;
}

static enum err add(struct providers *p, struct loop *l, const struct gateway_provider *c,
                    size_t answer_bytes_max, struct diag *d)
{
    struct http_provider *h;
    if (p->len == PROVIDERS_MAX)
        return diag_set(d, ERR_LIMIT, "more than %d providers", PROVIDERS_MAX);
    if (c->kind == GATEWAY_PROVIDER_FAULT) {
        ERR_TRY(provider_fault_new(l, c, &p->faults[p->faults_len], &c, d));
        p->faults_len++;
    }
    ERR_TRY(http_provider_new(l, p->client, c, answer_bytes_max, &h, d));
    p->items[p->len++] = h;
    if (http_health_is_asked(h))
        p->healths[p->len - 1] = http_health_new(h, p->shard);
    if (lists(h))
        p->discoveries[p->len - 1] = http_discover_new(h, on_found, on_heard, p);
    h->index = registry_reserve(p->registry);
    for (size_t i = 0; i < c->models.len; i++)
        ERR_TRY(list_model(p, h, c->models.items[i], 0, d));
    return ERR_OK;
}

static enum err list_target(struct providers *p, str name, struct diag *d)
{
    struct http_provider *h = provider_of(p, name);
    return h && !registry_find(p->registry, name) ? list_model(p, h, model_of(name), 0, d) : ERR_OK;
}

// What routes name is listed, too: a target must be found whenever a call looks for it.
static enum err list_targets(struct providers *p, const struct gateway_config *config,
                             struct diag *d)
{
    for (size_t i = 0; i < config->routes.len; i++) {
        const struct gateway_route *r = (const struct gateway_route *)config->routes.items + i;
        const struct gateway_target *targets = r->targets.items;
        for (size_t k = 0; k < r->targets.len; k++)
            ERR_TRY(list_target(p, targets[k].name, d));
        ERR_TRY(list_target(p, r->shadow.target, d));
    }
    return ERR_OK;
}

// A name of the configuration comes first.
static enum err add_environment(struct providers *p, struct loop *l, size_t answer_bytes_max,
                                struct diag *d)
{
    struct gateway_provider *found = arena_zalloc(&p->arena, PROVIDERS_MAX, sizeof *found);
    size_t len = found ? providers_environment(&p->arena, found, PROVIDERS_MAX) : 0;
    size_t configured = p->len;
    for (size_t i = 0; i < len; i++) {
        bool taken = false;
        for (size_t k = 0; k < configured; k++)
            taken = taken || str_eq(p->items[k]->config->name, found[i].name);
        if (!taken)
            ERR_TRY(add(p, l, &found[i], answer_bytes_max, d));
    }
    return ERR_OK;
}

enum err providers_init(struct providers *p, struct loop *l, const struct gateway_config *config,
                        struct registry *registry, struct metrics_shard *shard, struct diag *d)
{
    size_t answer_bytes_max = (size_t)config->limits.answer_bytes_max;
    *p = (struct providers){.registry = registry, .shard = shard};
    arena_init(&p->arena, ENVIRONMENT_BYTES_MAX);
    ERR_TRY(http_client_new(l, &http_client_options_default, &p->client, d));
    for (size_t i = 0; i < config->providers.len; i++)
        ERR_TRY(add(p, l, &gateway_config_providers(config)[i], answer_bytes_max, d));
    if (config->providers_from_environment)
        ERR_TRY(add_environment(p, l, answer_bytes_max, d));
    return list_targets(p, config, d);
}

void providers_done(struct providers *p)
{
    for (size_t i = 0; i < p->len; i++) {
        http_discover_free(p->discoveries[i]);
        http_health_free(p->healths[i]);
        http_provider_free(p->items[i]);
    }
    http_client_free(p->client);
    for (size_t i = 0; i < p->faults_len; i++)
        provider_fault_free(p->faults[i]);
    arena_done(&p->arena);
    *p = (struct providers){0};
}

const struct model_entry *providers_find(const struct providers *p, str name, struct arena *arena)
{
    struct http_provider *h = provider_of(p, name);
    struct model_entry *e = h ? arena_zalloc(arena, 1, sizeof *e) : NULL;
    if (!e)
        return NULL;
    http_provider_describe(h, name, model_of(name), e);
    e->label = h->label;
    e->index = h->index;
    return e;
}
