// POST /completions and /embeddings at a provider of OpenAI's shape.
#include "base/encode.h"
#include "dialect/upstream_openai.h"

#include "base/banned.h"

// --- Completions

static bool write_completion(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    jw_object_begin(j);
    upstream_openai_write_common(w, j);
    upstream_openai_write_prompts(r, j, "prompt");
    if (r->echo)
        jw_kv_bool(j, "echo", true);
    if (r->logprobs) // its scores are not read; spliced answers have them
        upstream_lose(w, "logprobs");
    jw_object_end(j);
    return true;
}

static void read_choices(struct upstream_reader *r, yyjson_val *root)
{
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(json_get(root, "choices"), i, max, item)
    {
        int64_t index = (int64_t)i;
        (void)json_is_int(json_get(item, "index"), &index);
        upstream_text(r, index, json_str(json_get(item, "text")));
        str reason = json_str(json_get(item, "finish_reason"));
        if (reason.len)
            upstream_finish(r, index, upstream_finish_of(reason), STR_NONE);
    }
    upstream_openai_read_usage(r, json_get(root, "usage"));
}

static void read_whole_completion(struct upstream_reader *r, yyjson_val *root)
{
    if (yyjson_is_arr(json_get(root, "choices")))
        read_choices(r, root);
    else
        upstream_malformed(r, "answered without 'choices'");
}

static void read_frame(struct upstream_reader *r, str event UNUSED, str data, yyjson_val *root)
{
    upstream_begin(r);
    read_choices(r, root);
    upstream_openai_hide_usage(r, root, data);
}

const struct upstream_dialect upstream_openai_completions = {
    .name = "openai.completions",
    .kind = EXCHANGE_COMPLETION,
    .framing = UPSTREAM_SSE,
    .same = &dialect_openai_completions,
    .path = "/completions",
    .write = write_completion,
    .splice = upstream_openai_splice,
    .whole = read_whole_completion,
    .frame = read_frame,
    .ends_with_done = true,
    .usage_frame = upstream_openai_usage_frame,
};

// --- Embeddings

static bool splice_embedding(struct upstream_writing *w, struct upstream_edits *edits)
{
    if (w->target->input_type && !json_get(w->request->root, "input_type"))
        upstream_edit(edits, STR("input_type"), STR("\"query\""));
    return true;
}

static bool write_embedding(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    upstream_openai_write_prompts(r, j, "input");
    jw_kv_z(j, "encoding_format", "float");
    if (r->given & EXCHANGE_HAS_DIMENSIONS)
        jw_kv_int(j, "dimensions", r->dimensions);
    if (r->user.len)
        jw_kv_str(j, "user", r->user);
    if (w->target->input_type)
        jw_kv_z(j, "input_type", "query");
    jw_object_end(j);
    return true;
}

static float *read_floats(struct upstream_reader *r, yyjson_val *v, size_t *ret_len)
{
    size_t i, max;
    yyjson_val *item;
    float *values = arena_alloc(&r->arena, (yyjson_arr_size(v) + 1) * sizeof *values);
    yyjson_arr_foreach(v, i, max, item)
    {
        double value;
        if (!values || !json_is_num(item, &value))
            return NULL;
        values[i] = (float)value;
    }
    *ret_len = yyjson_arr_size(v);
    return values;
}

// Little-endian float32.
static float *read_base64(struct upstream_reader *r, str text, size_t *ret_len)
{
    struct buf bytes;
    float *values = NULL;
    buf_init(&bytes, UPSTREAM_FRAME_BYTES_MAX);
    if (decode_base64(&bytes, text) == ERR_OK && bytes.len && bytes.len % sizeof *values == 0)
        values = arena_alloc(&r->arena, bytes.len);
    const unsigned char *b = (const unsigned char *)buf_ptr(&bytes);
    *ret_len = bytes.len / sizeof *values;
    for (size_t i = 0; values && b && i < *ret_len; i++, b += sizeof *values) {
        uint32_t bits = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        memcpy(&values[i], &bits, sizeof bits);
    }
    buf_done(&bytes);
    return values;
}

static void read_item(struct upstream_reader *r, int64_t choice, yyjson_val *item)
{
    size_t len = 0;
    yyjson_val *v = json_get(item, "embedding");
    const float *values = yyjson_is_str(v)   ? read_base64(r, json_str(v), &len)
                          : yyjson_is_arr(v) ? read_floats(r, v, &len)
                                             : NULL;
    upstream_embedding(r, choice, values, len);
}

static void read_embeddings(struct upstream_reader *r, yyjson_val *root)
{
    size_t i, max;
    yyjson_val *item;
    yyjson_val *usage = json_get(root, "usage");
    yyjson_arr_foreach(json_get(root, "data"), i, max, item)
    {
        int64_t index = (int64_t)i;
        (void)json_is_int(json_get(item, "index"), &index);
        read_item(r, index, item);
    }
    upstream_openai_read_usage(r, usage);
}

static void no_frame(struct upstream_reader *r, str event UNUSED, str data UNUSED,
                     yyjson_val *root UNUSED)
{
    upstream_malformed(r, "streams embeddings");
}

const struct upstream_dialect upstream_openai_embeddings = {
    .name = "openai.embeddings",
    .kind = EXCHANGE_EMBEDDING,
    .framing = UPSTREAM_SSE,
    .same = &dialect_openai_embeddings,
    .path = "/embeddings",
    .write = write_embedding,
    .splice = splice_embedding,
    .whole = read_embeddings,
    .frame = no_frame,
};
