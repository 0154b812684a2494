// GET /v1/models and /v1/models/{id}: what the caller's key may use.
#include "base/mem.h"
#include "dialect/openai_models.h"
#include "gateway/server.h"
#include "gateway/visible.h"

#include "base/banned.h"

#define PAGE_BYTES_MAX (1u << 20)

static struct openai_model describe(const struct visible_model *m)
{
    return (struct openai_model){
        .id = m->name,
        .root = m->entry->root,
        .provider = m->entry->provider_name,
        .created_s = m->entry->created_s,
        .context_max = m->context_max,
    };
}

void models_list(struct gateway *g, struct http_call *hc)
{
    struct visible_model *seen = mem_array(VISIBLE_MAX, sizeof *seen);
    struct openai_model *models = mem_array(VISIBLE_MAX, sizeof *models);
    struct buf out;
    size_t len = visible_list(g, server_key(g, hc), seen);
    for (size_t i = 0; i < len; i++)
        models[i] = describe(&seen[i]);
    buf_init(&out, PAGE_BYTES_MAX);
    openai_models_list(models, len, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
    mem_free(models);
    mem_free(seen);
}

static void refuse(struct gateway *g, struct http_call *hc, str id, enum visible why)
{
    struct api_error error;
    char names[320];
    const struct key *k = server_key(g, hc);
    int len = (int)min_size(id.len, 128);
    if (why == VISIBLE_NOT_ALLOWED) {
        api_error_set(&error, API_MODEL_NOT_ALLOWED, "model",
                      "The API key '" STR_FMT "' may not use the model '%.*s'.", STR_ARG(k->name),
                      len, id.ptr);
    } else {
        visible_names(g, k, names, sizeof names);
        api_error_set(&error, API_MODEL_NOT_FOUND, "model",
                      "The model '%.*s' does not exist here. There is %s.", len, id.ptr, names);
    }
    server_refuse(g, hc, &error, NULL);
}

void models_one(struct gateway *g, struct http_call *hc, str id)
{
    struct visible_model seen;
    struct buf out;
    enum visible found = visible_find(g, server_key(g, hc), id, &seen);
    if (found != VISIBLE) {
        refuse(g, hc, id, found);
        return;
    }
    struct openai_model m = describe(&seen);
    buf_init(&out, PAGE_BYTES_MAX);
    openai_models_one(&m, &out);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}
