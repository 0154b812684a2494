#include "gateway/ollama_routes.h"

#include "base/mem.h"
#include "dialect/ollama_models.h"
#include "gateway/server.h"
#include "gateway/visible.h"

#include "base/banned.h"

#define PAGE_BYTES_MAX (1u << 20)

static struct ollama_model describe(const struct model_entry *e, str name, uint32_t context_max)
{
    struct model_facts facts = {0};
    if (e->provider->facts)
        e->provider->facts(e, &facts);
    return (struct ollama_model){
        .name = name,
        .root = e->root,
        .modified_s = e->created_s,
        .context_max = context_max,
        .fingerprint = e->fingerprint,
        .architecture = facts.architecture,
        .quantization = facts.quantization,
        .parameters = facts.parameters,
        .bytes = facts.bytes,
        .tools = facts.tools,
        .remote = e->remote,
    };
}

static bool is_running(const struct model_entry *e)
{
    struct model_facts facts = {0};
    if (!e->remote && e->provider->facts)
        e->provider->facts(e, &facts);
    return !e->remote && !facts.unloaded;
}

static void answer_list(struct gateway *g, struct http_call *hc, bool running)
{
    struct visible_model *seen = mem_array(VISIBLE_MAX, sizeof *seen);
    struct ollama_model *models = mem_array(VISIBLE_MAX, sizeof *models);
    struct buf out;
    size_t names = visible_list(g, server_key(g, hc), seen), len = 0;
    for (size_t i = 0; i < names; i++)
        if (!running || is_running(seen[i].entry))
            models[len++] = describe(seen[i].entry, seen[i].name, seen[i].context_max);
    buf_init(&out, PAGE_BYTES_MAX);
    if (running)
        ollama_models_running(models, len, &out);
    else
        ollama_models_list(models, len, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
    mem_free(models);
    mem_free(seen);
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
    struct ollama_model m = describe(c->model, c->model->name, c->model->context_max);
    ollama_models_show(&m, &c->out);
    return true;
}
