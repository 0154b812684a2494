#include "gateway/shared.h"

#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "store/place.h"

#include "base/banned.h"

static void on_keys(void *ctx, const struct store_key *keys, const int64_t *spent_nano_usd,
                    size_t len)
{
    keyring_update(ctx, keys, spent_nano_usd, len);
}

static void tell_missing(struct store *s)
{
    struct store_stats stats;
    store_stats(s, &stats);
    if (stats.missing)
        log_write(LOG_WARN, "earlier runs took records and never wrote them",
                  LOG_I("records", stats.missing));
}

// Nobody asked for a store there, and there is none: better to serve without one than not at all. A
// file that is there and cannot be read may hold keys: then nothing is served.
static bool may_do_without(const struct gateway_config *config, const char *path)
{
    return !config->store.path.len && !getenv("WEIR_STORE") && !fs_exists(path);
}

static enum err open_at(struct gateway_shared *s, const struct gateway_config *config,
                        const char *path, struct diag *d)
{
    struct store_options o = {
        .path = path, .records_max = config->store.records_max, .keys = on_keys, .ctx = &s->keys};
    enum err e = store_open(&o, &s->store, d);
    if (e == ERR_OK)
        tell_missing(s->store);
    return e;
}

static enum err open_store(struct gateway_shared *s, const struct gateway_config *config,
                           struct arena *a, struct diag *d)
{
    str path = STR_NONE;
    char text[640];
    enum err e = store_place(config->store.path, a, &path, d);
    if (e == ERR_OK && !path.ptr)
        return ERR_OK;
    if (e == ERR_OK)
        e = open_at(s, config, path.ptr, d);
    if (e == ERR_OK || !path.ptr || !may_do_without(config, path.ptr))
        return e;
    log_write(LOG_WARN, "no records are kept: the store cannot be made",
              LOG_Z("error", diag_format(d, text, sizeof text)));
    return ERR_OK;
}

static enum err open_prompts(struct gateway_shared *s, const struct gateway_config *config,
                             struct arena *a, struct diag *d)
{
    str folder = arena_str(a, config->prompts);
    if (!folder.ptr)
        return diag_set(d, ERR_LIMIT, "prompts: the path is too long");
    return prompts_load(folder.ptr, &s->prompts, d);
}

enum err gateway_shared_open(struct gateway_shared *s, const struct gateway_config *config,
                             struct diag *d)
{
    struct arena a;
    *s = (struct gateway_shared){0};
    keyring_init(&s->keys, config);
    prices_init(&s->prices, config);
    admission_rules_init(&s->rules, config);
    arena_init(&a, 65536);
    enum err e = open_store(s, config, &a, d);
    if (e == ERR_OK && config->prompts.len)
        e = open_prompts(s, config, &a, d);
    arena_done(&a);
    if (e != ERR_OK)
        gateway_shared_close(s);
    return e;
}

void gateway_shared_close(struct gateway_shared *s)
{
    store_close(s->store);
    prompts_free(s->prompts);
    keyring_done(&s->keys);
    prices_done(&s->prices);
    admission_rules_done(&s->rules);
    *s = (struct gateway_shared){0};
}
