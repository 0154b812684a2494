#include "dialect/openai_models.h"

#include "base/clock.h"

#include "base/banned.h"

// Not every provider says it.
static void write_length(struct json_writer *w, const char *name, uint32_t tokens)
{
    if (tokens)
        jw_kv_int(w, name, tokens);
    else
        jw_kv_null(w, name);
}

static void write_model(struct json_writer *w, const struct openai_model *m)
{
    char created[25];
    jw_object_begin(w);
    jw_kv_str(w, "id", m->id);
    jw_kv_z(w, "object", "model");
    jw_kv_int(w, "created", m->created_s);
    jw_kv_z(w, "owned_by", "weir");
    jw_kv_str(w, "root", m->root);
    jw_kv_null(w, "parent");
    jw_kv_str(w, "provider", m->provider);
    write_length(w, "context_length", m->context_max);
    write_length(w, "max_model_len", m->context_max);
    // What Anthropic's clients read, who ask on the same path.
    clock_iso8601((uint64_t)m->created_s * 1000, created);
    jw_kv_z(w, "type", "model");
    jw_kv_str(w, "display_name", m->id);
    jw_kv_z(w, "created_at", created);
    jw_object_end(w);
}

void openai_models_one(const struct openai_model *m, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    write_model(&w, m);
}

static void write_id(struct json_writer *w, const char *name, const struct openai_model *m)
{
    if (m)
        jw_kv_str(w, name, m->id);
    else
        jw_kv_null(w, name);
}

void openai_models_list(const struct openai_model *models, size_t len, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "object", "list");
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++)
        write_model(&w, &models[i]);
    jw_array_end(&w);
    jw_kv_bool(&w, "has_more", false);
    write_id(&w, "first_id", len ? &models[0] : NULL);
    write_id(&w, "last_id", len ? &models[len - 1] : NULL);
    jw_object_end(&w);
}
