#include "gateway/ollama_routes.h"

#include "dialect/ollama_models.h"
#include "gateway/server.h"

#include "base/banned.h"

#define PAGE_BYTES_MAX (1u << 20)

static struct ollama_model describe(const struct model_entry *e)
{
    struct model_facts facts = {0};
    if (e->provider->facts)
        e->provider->facts(e, &facts);
    return (struct ollama_model){
        .name = e->name,
        .root = e->root,
        .modified_s = e->created_s,
        .context_max = e->context_max,
        .fingerprint = e->fingerprint,
        .architecture = facts.architecture,
        .quantization = facts.quantization,
        .parameters = facts.parameters,
        .bytes = facts.bytes,
        .tools = facts.tools,
        .remote = e->remote,
    };
}

static void answer_list(struct gateway *g, struct http_call *hc, bool running)
{
    struct ollama_model models[REGISTRY_MAX];
    struct buf out;
    const struct registry *r = &g->registry;
    size_t names = registry_len(r), len = 0;
    for (size_t i = 0; i < names; i++) {
        const struct model_entry *e = &r->entries[i];
        if (registry_find(r, e->name) == e && !(running && e->remote))
            models[len++] = describe(e);
    }
    buf_init(&out, PAGE_BYTES_MAX);
    if (running)
        ollama_models_running(models, len, &out);
    else
        ollama_models_list(models, len, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}

void ollama_tags(struct gateway *g, struct http_call *hc)
{
    answer_list(g, hc, false);
}

void ollama_ps(struct gateway *g, struct http_call *hc)
{
    answer_list(g, hc, true);
}

void ollama_version(struct gateway *g, struct http_call *hc)
{
    server_answer(g, hc, 200, "application/json", NULL, STR("{\"version\":\"" WEIR_VERSION "\"}"));
}

bool ollama_show_work(struct call *c)
{
    struct ollama_model m = describe(c->model);
    ollama_models_show(&m, &c->out);
    return true;
}
