// POST /api/embed, and the older /api/embeddings.
#include "dialect/ollama_common.h"
#include "dialect/openai_common.h"

#include "base/banned.h"

static bool read_input(struct reader *r, yyjson_val *v)
{
    return openai_read_prompts(r, "input", v);
}

static bool read_prompt(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_str(v))
        return field_wrong_type(r, "prompt", "a string", v);
    return openai_read_prompts(r, "prompt", v);
}

// clang-format off
#define EMBED_FIELDS                                                                               \
    {"model", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_model, NULL},                                  \
    {"options", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_options, NULL},                              \
    {"keep_alive", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}

static const struct field embed_fields[] = {
    EMBED_FIELDS,
    {"input", FIELD_CUSTOM, 0, 0, 0, 0, read_input, NULL},
    {"dimensions", FIELD_INT, OLLAMA_AT(dimensions), EXCHANGE_HAS_DIMENSIONS, 1, 1e9, NULL, NULL},
    {0},
};

static const struct field embeddings_fields[] = {
    EMBED_FIELDS,
    {"prompt", FIELD_CUSTOM, 0, 0, 0, 0, read_prompt, NULL},
    {0},
};
// clang-format on

static bool read_by(const struct field *table, const char *required, yyjson_val *root,
                    struct arena *arena, struct exchange_request *ret, struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_EMBEDDING);
    if (!fields_read(&r, table, root, ret, true))
        return false;
    return ret->prompts_len || field_missing(&r, required);
}

static bool read_embed(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                       struct api_error *ret_error)
{
    return read_by(embed_fields, "input", root, arena, ret, ret_error);
}

static bool read_embeddings(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                            struct api_error *ret_error)
{
    return read_by(embeddings_fields, "prompt", root, arena, ret, ret_error);
}

static void write_vector(struct json_writer *w, const struct exchange_choice *c)
{
    jw_array_begin(w);
    for (size_t i = 0; i < c->embedding_len; i++)
        openai_write_f32(w, c->embedding[i]);
    jw_array_end(w);
}

static void write_embed(const struct exchange_request *r UNUSED, const struct exchange_head *head,
                        const struct exchange_answer *a, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_str(&w, "model", head->model);
    jw_key(&w, "embeddings");
    jw_array_begin(&w);
    for (size_t i = 0; i < a->choices_len; i++)
        write_vector(&w, &a->choices[i]);
    jw_array_end(&w);
    jw_kv_int(&w, "total_duration", (int64_t)head->times.total_us * 1000);
    jw_kv_int(&w, "load_duration", 0);
    jw_kv_int(&w, "prompt_eval_count", (int64_t)a->usage.prompt_tokens);
    jw_object_end(&w);
}

static void write_embeddings(const struct exchange_request *r UNUSED,
                             const struct exchange_head *head UNUSED,
                             const struct exchange_answer *a, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "embedding");
    write_vector(&w, &a->choices[0]);
    jw_object_end(&w);
}

const struct dialect dialect_ollama_embed = {
    .name = "ollama.embed",
    .kind = EXCHANGE_EMBEDDING,
    .id_prefix = "",
    .read = read_embed,
    .answer = write_embed,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
    .any_content_type = true,
};

const struct dialect dialect_ollama_embeddings = {
    .name = "ollama.embeddings",
    .kind = EXCHANGE_EMBEDDING,
    .id_prefix = "",
    .read = read_embeddings,
    .answer = write_embeddings,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
    .any_content_type = true,
};
