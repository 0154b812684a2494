#include "gateway/providers_environment.h"

#include <stdlib.h>

#include "base/log.h"

#include "base/banned.h"

struct row {
    const char *name;
    enum gateway_provider_kind kind;
    const char *key, *base, *version, *models; // names of variables; NULL: none
    bool base_needed;
};

// The names that the providers' own tools read.
static const struct row rows[] = {
    {"openai", GATEWAY_PROVIDER_OPENAI, "OPENAI_API_KEY", "OPENAI_BASE_URL", NULL, NULL, false},
    {"anthropic", GATEWAY_PROVIDER_ANTHROPIC, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", NULL, NULL,
     false},
    {"azure", GATEWAY_PROVIDER_AZURE, "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT",
     "AZURE_OPENAI_API_VERSION", "AZURE_OPENAI_DEPLOYMENT", true},
    {"nim", GATEWAY_PROVIDER_NIM, "NVIDIA_API_KEY", "NIM_BASE_URL", NULL, NULL, false},
};

static str variable(struct arena *arena, const char *name)
{
    const char *value = name ? getenv(name) : NULL;
    return value && value[0] ? arena_str(arena, str_of(value)) : STR_NONE;
}

static bool start_row(struct gateway_provider *p, struct arena *arena, const char *name,
                      enum gateway_provider_kind kind)
{
    struct diag d;
    *p = (struct gateway_provider){0};
    if (option_defaults(gateway_provider_table, p, arena, &d) != ERR_OK)
        return false;
    p->name = str_of(name);
    p->kind = kind;
    return true;
}

// What is wrong in the environment is said and left out: it is not this program's own.
static bool is_good(const struct gateway_provider *p)
{
    struct diag d = {0};
    if (gateway_provider_check(p, &d) == ERR_OK)
        return true;
    log_write(LOG_WARN, "provider of the environment left out", LOG_S("provider", p->name),
              LOG_Z("why", d.text));
    return false;
}

static bool unlock(const struct row *r, struct arena *arena, struct gateway_provider *p)
{
    str key = variable(arena, r->key), base = variable(arena, r->base);
    if (!key.len || (r->base_needed && !base.len) || !start_row(p, arena, r->name, r->kind))
        return false;
    p->key = key;
    p->base_url = base;
    p->api_version = variable(arena, r->version);
    str model = variable(arena, r->models);
    p->models.items = model.len ? arena_zalloc(arena, 1, sizeof model) : NULL;
    if (p->models.items) {
        p->models.items[0] = model;
        p->models.len = 1;
    }
    return is_good(p);
}

// "", "host", "host:port", "http://host:port"; where it listens everywhere, it is also here.
static str ollama_base(struct arena *arena)
{
    str host = variable(arena, "OLLAMA_HOST");
    if (!host.len || str_starts(host, STR("0.0.0.0")))
        return STR_NONE; // its usual place
    bool whole = str_find(host, STR("://")) != SIZE_MAX;
    bool port = str_find_char(host, ':') != SIZE_MAX;
    return whole ? host
                 : arena_printf(arena, "http://" STR_FMT "%s", STR_ARG(host), port ? "" : ":11434");
}

size_t providers_environment(struct arena *arena, struct gateway_provider *ret, size_t max)
{
    size_t len = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows) && len < max; i++)
        len += unlock(&rows[i], arena, &ret[len]);
    if (len < max && start_row(&ret[len], arena, "ollama", GATEWAY_PROVIDER_OLLAMA)) {
        ret[len].base_url = ollama_base(arena);
        len += is_good(&ret[len]);
    }
    return len;
}
