#include "gateway/provider_fault.h"

#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "fault/fault.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 4 << 20, SCRIPT_BYTES_MAX = 1 << 20, KEY_LEN = 32 };

struct provider_fault {
    struct arena arena;
    struct script script;
    struct fault *server;
    struct gateway_provider config; // as the gateway shall see it
};

static enum err read_script(const struct gateway_provider *c, struct arena *arena,
                            struct script *ret, struct diag *d)
{
    struct buf text;
    struct order always;
    if (c->script.len) {
        str path = arena_str(arena, c->script);
        if (!path.ptr)
            return diag_set(d, ERR_LIMIT, "the path is too long");
        ERR_TRY(fs_read(path.ptr, SCRIPT_BYTES_MAX, &text, d));
        enum err e = script_parse(buf_str(&text), arena, ret, d);
        buf_done(&text);
        ERR_TRY(e);
    } else {
        ERR_TRY(script_defaults(ret, arena, d));
    }
    ERR_TRY(order_parse(c->always, arena, &always, d));
    order_lay_over(&ret->always, &always);
    return ERR_OK;
}

enum err provider_fault_check(const struct gateway_provider *config, struct diag *d)
{
    struct arena arena;
    struct script script;
    arena_init(&arena, ARENA_BYTES_MAX);
    enum err e = read_script(config, &arena, &script, d);
    arena_done(&arena);
    return e;
}

// Whoever else is on this machine and finds the port has no key.
static str make_key(struct arena *arena)
{
    char key[KEY_LEN + 1];
    random_id(key, KEY_LEN);
    return arena_str(arena, str_of(key));
}

static enum err open_server(struct provider_fault *p, struct loop *l, struct diag *d)
{
    uint16_t port;
    struct gateway_provider *c = &p->config;
    if (!c->key.len)
        c->key = make_key(&p->arena);
    p->script.key = c->key;
    ERR_TRY(fault_new(l, &p->script, &p->server, d));
    ERR_TRY(fault_listen(p->server, "127.0.0.1:0", &port, d));
    bool versioned = c->speaks == GATEWAY_PROVIDER_OPENAI || c->speaks == GATEWAY_PROVIDER_NIM;
    c->kind = c->speaks;
    c->base_url = arena_printf(&p->arena, "http://127.0.0.1:%u%s", port, versioned ? "/v1" : "");
    if (!c->models.len)
        c->models = p->script.models;
    if (!c->key.ptr || !c->base_url.ptr)
        return diag_set(d, ERR_LIMIT, "the provider's configuration is too long");
    log_write(LOG_INFO, "fault provider listens", LOG_S("provider", c->name), LOG_I("port", port));
    return ERR_OK;
}

enum err provider_fault_new(struct loop *l, const struct gateway_provider *config,
                            struct provider_fault **ret, const struct gateway_provider **ret_config,
                            struct diag *d)
{
    struct provider_fault *p = mem_new(struct provider_fault);
    arena_init(&p->arena, ARENA_BYTES_MAX);
    p->config = *config;
    enum err e = read_script(config, &p->arena, &p->script, d);
    if (e == ERR_OK)
        e = open_server(p, l, d);
    if (e != ERR_OK) {
        diag_where(d, "providers." STR_FMT, STR_ARG(config->name));
        provider_fault_free(p);
        return e;
    }
    *ret = p;
    *ret_config = &p->config;
    return ERR_OK;
}

void provider_fault_free(struct provider_fault *p)
{
    if (!p)
        return;
    fault_free(p->server);
    arena_done(&p->arena);
    mem_free(p);
}
