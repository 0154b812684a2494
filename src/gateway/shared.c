#include "gateway/shared.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "store/place.h"
#include "store/spend.h"
#include "telemetry/names.h"

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

// Keys of the configuration are not in the store; what they have spent is.
static enum err restore_one(struct gateway_shared *s, const struct gateway_key *c, struct db *b,
                            struct diag *d)
{
    char periods[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX];
    int64_t spent = 0;
    struct key *k = keyring_find(&s->keys, c->secret);
    ASSERT(k); // keyring_init has put it there
    spend_periods((int64_t)clock_wall_ms(), periods);
    ERR_TRY(spend_read(b, k->id, periods[k->budget.period], &spent, d));
    atomic_fetch_add(&k->budget.total, spent);
    return ERR_OK;
}

static enum err restore_spend(struct gateway_shared *s, const struct gateway_config *config,
                              const char *path, struct diag *d)
{
    struct db b;
    enum err e = ERR_OK;
    ERR_TRY(db_open(path, DB_EXISTING, &b, d));
    for (size_t i = 0; i < config->keys.len && e == ERR_OK; i++)
        e = restore_one(s, &gateway_config_keys(config)[i], &b, d);
    db_close(&b);
    return e;
}

static enum err open_at(struct gateway_shared *s, const struct gateway_config *config,
                        const char *path, struct diag *d)
{
    struct store_options o = {
        .path = path, .records_max = config->store.records_max, .keys = on_keys, .ctx = &s->keys};
    ERR_TRY(store_open(&o, &s->store, d));
    tell_missing(s->store);
    return restore_spend(s, config, path, d);
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
    if (e == ERR_OK)
        e = guards_new(config, &s->guards, d);
    arena_done(&a);
    if (e != ERR_OK)
        gateway_shared_close(s);
    return e;
}

static void collect(void *ctx, struct metrics_shard *m)
{
    const struct gateway_shared *s = ctx;
    struct store_stats now;
    if (!s->store)
        return;
    store_stats(s->store, &now);
    const struct {
        str state;
        uint64_t count;
    } rows[] = {{STR("written"), now.written},
                {STR("dropped"), now.dropped},
                {STR("missing"), now.missing}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        metrics_set(metrics_series(m, METRIC_RECORDS, &rows[i].state), (double)rows[i].count);
    metrics_set(metrics_series(m, METRIC_RECORDS_WAITING, NULL), (double)now.waiting);
}

void gateway_shared_watch(struct gateway_shared *s, struct metrics *metrics)
{
    metrics_collector(metrics, collect, s);
}

void gateway_shared_close(struct gateway_shared *s)
{
    store_close(s->store);
    prompts_free(s->prompts);
    guards_free(s->guards);
    keyring_done(&s->keys);
    prices_done(&s->prices);
    admission_rules_done(&s->rules);
    *s = (struct gateway_shared){0};
}
