// GET /v1/models and /v1/models/{id}.
#include "dialect/openai_models.h"
#include "gateway/server.h"

#include "base/banned.h"

#define PAGE_BYTES_MAX (1u << 20)

static struct openai_model describe(const struct model_entry *e)
{
    return (struct openai_model){
        .id = e->name,
        .root = e->root,
        .provider = e->provider_name,
        .created_s = e->created_s,
        .context_max = e->context_max,
    };
}

void models_list(struct gateway *g, struct http_call *hc)
{
    struct openai_model models[REGISTRY_MAX];
    struct buf out;
    const struct registry *r = &g->registry;
    size_t names = registry_len(r), len = 0;
    for (size_t i = 0; i < names; i++)
        if (registry_find(r, r->entries[i].name) == &r->entries[i])
            models[len++] = describe(&r->entries[i]);
    buf_init(&out, PAGE_BYTES_MAX);
    openai_models_list(models, len, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}

void models_one(struct gateway *g, struct http_call *hc, str id)
{
    const struct model_entry *e = registry_find(&g->registry, id);
    struct api_error error;
    struct buf out;
    char names[320];
    if (!e) {
        registry_names(&g->registry, names, sizeof names);
        api_error_set(&error, API_MODEL_NOT_FOUND, "model",
                      "The model '%.*s' does not exist here. There is %s.",
                      (int)min_size(id.len, 128), id.ptr, names);
        server_refuse(g, hc, &error, NULL);
        return;
    }
    struct openai_model m = describe(e);
    buf_init(&out, PAGE_BYTES_MAX);
    openai_models_one(&m, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}
