#include "gateway/provider_http.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

#define ARENA_BYTES_MAX (1u << 20)

// --- Address and headers

static bool unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           memchr("-._~", c, 4);
}

// A deployment's name in a path: clients may say anything.
static str path_segment(str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        if (unreserved(text.ptr[i])) {
            out[len++] = text.ptr[i];
            continue;
        }
        out[len++] = '%';
        encode_hex(out + len, text.ptr + i, 1);
        len += 2;
    }
    return out ? str_slice(out, len) : STR_NONE;
}

static bool has_date(const struct http_provider *p)
{
    str version = p->config->api_version;
    return p->config->kind == GATEWAY_PROVIDER_AZURE && version.len && !str_eq_z(version, "v1");
}

str http_provider_url(const struct http_provider *p, str model, const char *path,
                      struct arena *arena)
{
    if (!has_date(p))
        return ARENA_JOIN(arena, p->base, str_of(path));
    str deployment = path_segment(model, arena);
    if (!deployment.ptr)
        return STR_NONE;
    return ARENA_JOIN(arena, p->base, STR("/openai/deployments/"), deployment, str_of(path),
                      STR("?api-version="), p->config->api_version);
}

static bool add_configured(const struct http_provider *p, struct http_headers *h)
{
    for (size_t i = 0; i < p->config->headers.len; i++) {
        str line = p->config->headers.items[i];
        size_t colon = str_find_char(line, ':');
        str name = str_sub(line, 0, colon), value = str_trim(str_sub(line, colon + 1, SIZE_MAX));
        if (http_headers_add(h, name, value) != ERR_OK)
            return false;
    }
    return true;
}

bool http_provider_headers(const struct http_provider *p, struct arena *arena,
                           struct http_headers *ret)
{
    const struct http_kind *k = p->kind;
    ret->len = 0;
    if (http_headers_add(ret, STR("User-Agent"), STR("weir/" WEIR_VERSION)) != ERR_OK)
        return false;
    if (p->config->key.len) {
        str value = ARENA_JOIN(arena, str_of(k->key_prefix), p->config->key);
        if (!value.ptr || http_headers_add(ret, str_of(k->key_header), value) != ERR_OK)
            return false;
    }
    str value = str_of(k->header_value);
    if (k->header && p->config->api_version.len)
        value = p->config->api_version;
    if (k->header && http_headers_add(ret, str_of(k->header), value) != ERR_OK)
        return false;
    return add_configured(p, ret);
}

enum http2_use http_provider_http2(const struct http_provider *p)
{
    static const enum http2_use uses[] = {[GATEWAY_HTTP2_AUTO] = HTTP2_AUTO,
                                          [GATEWAY_HTTP2_OFF] = HTTP2_OFF,
                                          [GATEWAY_HTTP2_PRIOR_KNOWLEDGE] = HTTP2_PRIOR_KNOWLEDGE};
    return uses[p->config->http2];
}

static enum err make_address(struct http_provider *p, str model, const char *path,
                             struct arena *arena, struct http_address **ret, struct diag *d)
{
    struct http_headers headers;
    str url = http_provider_url(p, model, path, arena);
    if (!url.ptr || !http_provider_headers(p, arena, &headers) ||
        http_headers_add(&headers, STR("Content-Type"), STR("application/json")) != ERR_OK)
        return diag_set(d, ERR_LIMIT, "the configured headers are too many or too long");
    return http_address_new(p->client, STR("POST"), url, headers.items, headers.len,
                            http_provider_http2(p), ret, d);
}

enum err http_provider_address(struct http_provider *p, str model, enum exchange_kind kind,
                               struct http_address **ret, struct diag *d)
{
    struct http_address **kept = has_date(p) ? NULL : &p->addresses[kind];
    struct arena arena;
    enum err e = ERR_OK;
    if (kept && *kept) {
        *ret = http_address_keep(*kept);
        return ERR_OK;
    }
    arena_init(&arena, ARENA_BYTES_MAX);
    e = make_address(p, model, p->kind->dialects[kind]->path, &arena, ret, d);
    arena_done(&arena);
    if (e == ERR_OK && kept)
        *kept = http_address_keep(*ret);
    return e;
}

// --- Life

static str trim_base(str base)
{
    while (base.len && base.ptr[base.len - 1] == '/')
        base.len--;
    return base;
}

// Paths of Anthropic and Ollama begin at the root; people write the /v1 of others all the same.
static str without_version(str base)
{
    return str_ends(base, STR("/v1")) ? str_sub(base, 0, base.len - 3) : base;
}

// What follows the address of an Azure resource depends on the API's version.
static str base_of(struct http_provider *p)
{
    const struct gateway_provider *c = p->config;
    str base = trim_base(c->base_url.len ? c->base_url : str_of(p->kind->base_url));
    if (c->kind == GATEWAY_PROVIDER_AZURE && !has_date(p) && !str_ends(base, STR("/openai/v1")))
        return arena_printf(&p->arena, STR_FMT "/openai/v1", STR_ARG(base));
    if (c->kind == GATEWAY_PROVIDER_ANTHROPIC || c->kind == GATEWAY_PROVIDER_OLLAMA)
        return without_version(base);
    return base;
}

static enum err open_client(struct http_provider *p, struct http_client *shared, struct diag *d)
{
    struct http_client_options o = http_client_options_default;
    p->client = shared;
    if (!p->config->ca_file.len)
        return ERR_OK;
    o.ca_file = arena_str(&p->arena, p->config->ca_file).ptr;
    ERR_TRY(http_client_new(p->loop, &o, &p->own_client, d));
    p->client = p->own_client;
    return ERR_OK;
}

enum err http_provider_new(struct loop *l, struct http_client *shared,
                           const struct gateway_provider *config, size_t answer_bytes_max,
                           struct http_provider **ret, struct diag *d)
{
    struct http_provider *p = mem_new(struct http_provider);
    p->kind = http_kind_of((enum gateway_provider_kind)config->kind);
    p->config = config;
    p->loop = l;
    p->answer_bytes_max = answer_bytes_max;
    arena_init(&p->arena, ARENA_BYTES_MAX);
    p->base = base_of(p);
    p->label = arena_printf(&p->arena, STR_FMT "/*", STR_ARG(config->name));
    p->own_only = config->kind == GATEWAY_PROVIDER_AZURE ||
                  str_starts(p->base, STR("https://api.openai.com/"));
    enum err e = p->base.ptr && p->label.ptr ? open_client(p, shared, d)
                                             : diag_set(d, ERR_LIMIT, "base_url is too long");
    if (e != ERR_OK) {
        diag_where(d, "providers." STR_FMT, STR_ARG(config->name));
        http_provider_free(p);
        return e;
    }
    *ret = p;
    return ERR_OK;
}

void http_provider_free(struct http_provider *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < ARRAY_LEN(p->addresses); i++)
        http_address_drop(p->addresses[i]);
    http_client_free(p->own_client);
    arena_done(&p->arena);
    mem_free(p);
}

void http_provider_describe(struct http_provider *p, str name, str model, struct model_entry *ret)
{
    *ret = (struct model_entry){
        .name = name,
        .root = model,
        .created_s = (int64_t)(clock_wall_ms() / 1000),
        .provider = &p->kind->ops,
        .provider_model = p,
        .provider_name = p->config->name,
        .health = &p->health,
        .remote = true,
        .strict = p->config->strict,
        .continues = p->config->continues,
    };
}
