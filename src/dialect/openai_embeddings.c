// POST /v1/embeddings.
#include "dialect/openai_common.h"

#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

static bool read_input(struct reader *r, yyjson_val *v)
{
    return openai_read_prompts(r, "input", v);
}

static bool read_encoding(struct reader *r, yyjson_val *v)
{
    if (yyjson_equals_str(v, "base64"))
        r->request->base64 = true;
    else if (!yyjson_equals_str(v, "float"))
        return field_refuse(r, API_INVALID_VALUE, "encoding_format",
                            "must be 'float' or 'base64'.");
    return true;
}

static bool read_pooling(struct reader *r, yyjson_val *v)
{
    if (yyjson_equals_str(v, "mean"))
        r->request->pooling = EXCHANGE_POOLING_MEAN;
    else if (yyjson_equals_str(v, "last"))
        r->request->pooling = EXCHANGE_POOLING_LAST;
    else
        return field_refuse(r, API_INVALID_VALUE, "pooling", "must be 'mean' or 'last'.");
    return true;
}

// clang-format off
static const struct field fields[] = {
    {"model", FIELD_STRING, OPENAI_AT(model), 0, 0, 0, NULL, NULL},
    {"input", FIELD_CUSTOM, 0, 0, 0, 0, read_input, NULL},
    {"encoding_format", FIELD_CUSTOM, 0, 0, 0, 0, read_encoding, NULL},
    {"dimensions", FIELD_INT, OPENAI_AT(dimensions), EXCHANGE_HAS_DIMENSIONS, 1, 1e9, NULL, NULL},
    {"pooling", FIELD_CUSTOM, 0, 0, 0, 0, read_pooling, NULL},
    {"user", FIELD_STRING, OPENAI_AT(user), 0, 0, 0, NULL, NULL},
    {"add_special_tokens", FIELD_BOOL, OPENAI_AT(add_special), EXCHANGE_HAS_ADD_SPECIAL, 0, 0, NULL, NULL},
    {0},
};
// clang-format on

static bool check_embedding(struct reader *r)
{
    struct exchange_request *q = r->request;
    if (!q->prompts_len)
        return field_missing(r, "input");
    for (size_t i = 0; i < q->prompts_len; i++)
        if (!q->prompts[i].is_ids && !q->prompts[i].text.len)
            return field_refuse(r, API_INVALID_VALUE, "input", "must not have an empty string.");
    return true;
}

static bool read_embedding(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                           struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_EMBEDDING);
    return fields_read(&r, fields, root, ret, true) && check_embedding(&r);
}

// Little-endian float32, as the SDKs decode it.
static void write_base64(struct json_writer *w, const float *v, size_t len)
{
    struct buf text;
    uint8_t *bytes = mem_array(len, 4);
    for (size_t i = 0; i < len; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], 4);
        for (size_t k = 0; k < 4; k++)
            bytes[4 * i + k] = (uint8_t)(bits >> (8 * k));
    }
    buf_init(&text, SIZE_MAX / 2);
    encode_base64(&text, bytes, len * 4);
    jw_kv_str(w, "embedding", buf_str(&text));
    buf_done(&text);
    mem_free(bytes);
}

static void write_item(struct json_writer *w, const struct exchange_request *r, size_t index,
                       const struct exchange_choice *c)
{
    jw_object_begin(w);
    jw_kv_z(w, "object", "embedding");
    jw_kv_int(w, "index", (int64_t)index);
    if (r->base64) {
        write_base64(w, c->embedding, c->embedding_len);
    } else {
        jw_key(w, "embedding");
        jw_array_begin(w);
        for (size_t i = 0; i < c->embedding_len; i++)
            openai_write_f32(w, c->embedding[i]);
        jw_array_end(w);
    }
    jw_object_end(w);
}

static void write_answer(const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "object", "list");
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < a->choices_len; i++)
        write_item(&w, r, i, &a->choices[i]);
    jw_array_end(&w);
    jw_kv_str(&w, "model", head->model);
    jw_key(&w, "usage");
    jw_object_begin(&w);
    jw_kv_int(&w, "prompt_tokens", (int64_t)a->usage.prompt_tokens);
    jw_kv_int(&w, "total_tokens", (int64_t)a->usage.prompt_tokens);
    jw_object_end(&w);
    jw_object_end(&w);
}

const struct dialect dialect_openai_embeddings = {
    .name = "openai.embeddings",
    .kind = EXCHANGE_EMBEDDING,
    .id_prefix = "emb-",
    .read = read_embedding,
    .answer = write_answer,
    .error = openai_error,
    .stream_error = openai_stream_error,
};
