// POST /api/generate and /api/embed at an Ollama, and what they share with /api/chat. A stream is a
// JSON object a line; the last one has "done": true.
#include "dialect/upstream_ollama.h"

#include "base/banned.h"

// --- Writing

void upstream_ollama_write_options(struct upstream_writing *w, struct json_writer *j)
{
    static const char *const carried[] = {"temperature",
                                          "top_p",
                                          "top_k",
                                          "min_p",
                                          "presence_penalty",
                                          "frequency_penalty",
                                          "repetition_penalty",
                                          "seed",
                                          "reasoning_effort",
                                          NULL};
    const struct exchange_request *r = w->request;
    const struct {
        uint32_t given;
        const char *name;
        double value;
    } rows[] = {
        {EXCHANGE_HAS_TEMPERATURE, "temperature", r->temperature},
        {EXCHANGE_HAS_TOP_P, "top_p", r->top_p},
        {EXCHANGE_HAS_MIN_P, "min_p", r->min_p},
        {EXCHANGE_HAS_PRESENCE, "presence_penalty", r->presence_penalty},
        {EXCHANGE_HAS_FREQUENCY, "frequency_penalty", r->frequency_penalty},
        {EXCHANGE_HAS_REPETITION, "repeat_penalty", r->repetition_penalty},
    };
    jw_key(j, "options");
    jw_object_begin(j);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (r->given & rows[i].given)
            jw_kv_f64(j, rows[i].name, rows[i].value);
    if (r->given & EXCHANGE_HAS_TOP_K)
        jw_kv_int(j, "top_k", r->top_k);
    if (r->given & EXCHANGE_HAS_SEED)
        jw_kv_int(j, "seed", r->seed);
    if (r->given & EXCHANGE_HAS_TOKENS_MAX)
        jw_kv_int(j, "num_predict", r->tokens_max);
    upstream_write_stops(j, r);
    jw_object_end(j);
    upstream_lose_others(w, carried);
}

static void write_think(const struct exchange_request *r, struct json_writer *j)
{
    static const struct {
        const char *effort, *think;
    } levels[] = {{"minimal", "low"}, {"low", "low"},   {"medium", "medium"},
                  {"high", "high"},   {"xhigh", "max"}, {"max", "max"}};
    if (str_eq_z(r->reasoning_effort, "none")) {
        jw_kv_bool(j, "think", false);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!str_eq_z(r->reasoning_effort, levels[i].effort))
            continue;
        jw_kv_z(j, "think", levels[i].think);
        return;
    }
    if (r->thinking_tokens_max) // the budget itself is lost
        jw_kv_bool(j, "think", true);
}

void upstream_ollama_write_answer_shape(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (r->format == EXCHANGE_FORMAT_JSON)
        jw_kv_z(j, "format", "json");
    if (r->format == EXCHANGE_FORMAT_SCHEMA) {
        jw_key(j, "format");
        jw_value(j, r->schema);
    }
    write_think(r, j);
    jw_kv_bool(j, "stream", r->stream); // its own default is true
}

static void write_limited(struct json_writer *j, const void *ctx)
{
    const struct exchange_request *r = ctx;
    yyjson_obj_iter it = yyjson_obj_iter_with(json_get(r->root, "options"));
    jw_object_begin(j);
    for (yyjson_val *key; (key = yyjson_obj_iter_next(&it));) {
        if (yyjson_equals_str(key, "num_predict"))
            continue;
        jw_key_str(j, json_str(key));
        jw_value(j, yyjson_obj_iter_get_val(key));
    }
    jw_kv_int(j, "num_predict", r->tokens_max);
    jw_object_end(j);
}

bool upstream_ollama_splice(struct upstream_writing *w, struct upstream_edits *edits)
{
    const struct exchange_request *r = w->request;
    yyjson_val *told = json_get(json_get(r->root, "options"), "num_predict");
    int64_t tokens = -1;
    bool same = json_is_int(told, &tokens) && tokens == r->tokens_max;
    if ((r->given & EXCHANGE_HAS_TOKENS_MAX) && !same)
        upstream_edit(edits, STR("options"), upstream_json(w, write_limited, r));
    return true;
}

static bool refuse_ids(struct upstream_writing *w, const char *param)
{
    return upstream_refuse(w, API_OPERATION_UNSUPPORTED, param,
                           "The provider '" STR_FMT "' takes text, not token ids.",
                           STR_ARG(w->target->provider));
}

static bool write_generate(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    if (r->prompts_len != 1)
        return upstream_refuse(w, API_ARRAY_TOO_LONG, "prompt",
                               "The provider '" STR_FMT "' takes one prompt a request.",
                               STR_ARG(w->target->provider));
    if (r->prompts[0].is_ids)
        return refuse_ids(w, "prompt");
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    jw_kv_str(j, "prompt", r->prompts[0].text);
    jw_kv_bool(j, "raw", true); // a completion has no template
    upstream_ollama_write_answer_shape(w, j);
    upstream_ollama_write_options(w, j);
    jw_object_end(j);
    return upstream_one_choice(w);
}

static bool write_embed(struct upstream_writing *w, struct json_writer *j)
{
    static const char *const carried[] = {"dimensions", NULL};
    const struct exchange_request *r = w->request;
    jw_object_begin(j);
    jw_kv_str(j, "model", w->target->model);
    jw_key(j, "input");
    jw_array_begin(j);
    for (size_t i = 0; i < r->prompts_len; i++) {
        if (r->prompts[i].is_ids)
            return refuse_ids(w, "input");
        jw_str(j, r->prompts[i].text);
    }
    jw_array_end(j);
    if (r->given & EXCHANGE_HAS_DIMENSIONS)
        jw_kv_int(j, "dimensions", r->dimensions);
    jw_object_end(j);
    upstream_lose_others(w, carried);
    return true;
}

// --- Reading

void upstream_ollama_end(struct upstream_reader *r, yyjson_val *root)
{
    str reason = json_str(json_get(root, "done_reason"));
    enum exchange_finish finish = upstream_finish_of(reason);
    if (!yyjson_is_true(json_get(root, "done")))
        return;
    if (r->choices[0].calls_len && finish == EXCHANGE_FINISH_STOP)
        finish = EXCHANGE_FINISH_TOOL_CALLS;
    r->usage.prompt_tokens = upstream_count(json_get(root, "prompt_eval_count"));
    r->usage.completion_tokens = upstream_count(json_get(root, "eval_count"));
    // a prompt that was all in its cache is not counted at all
    r->usage_known = r->usage.prompt_tokens && json_get(root, "eval_count");
    upstream_finish(r, 0, finish, STR_NONE);
    upstream_end(r);
}

static void read_generated(struct upstream_reader *r, yyjson_val *root)
{
    upstream_begin(r);
    upstream_thinking(r, 0, json_str(json_get(root, "thinking")), STR_NONE);
    upstream_text(r, 0, json_str(json_get(root, "response")));
    upstream_ollama_end(r, root);
}

static void read_line(struct upstream_reader *r, str event UNUSED, str data UNUSED,
                      yyjson_val *root)
{
    read_generated(r, root);
}

static void read_vector(struct upstream_reader *r, int64_t choice, yyjson_val *v)
{
    size_t i, max;
    yyjson_val *item;
    float *values = arena_alloc(&r->arena, (yyjson_arr_size(v) + 1) * sizeof *values);
    yyjson_arr_foreach(v, i, max, item)
    {
        double value;
        if (!values || !json_is_num(item, &value)) {
            values = NULL;
            break;
        }
        values[i] = (float)value;
    }
    upstream_embedding(r, choice, yyjson_is_arr(v) ? values : NULL, yyjson_arr_size(v));
}

static void read_embeddings(struct upstream_reader *r, yyjson_val *root)
{
    size_t i, max;
    yyjson_val *item;
    r->usage.prompt_tokens = upstream_count(json_get(root, "prompt_eval_count"));
    r->usage_known = json_get(root, "prompt_eval_count") != NULL;
    yyjson_arr_foreach(json_get(root, "embeddings"), i, max, item) read_vector(r, (int64_t)i, item);
}

static void no_line(struct upstream_reader *r, str event UNUSED, str data UNUSED,
                    yyjson_val *root UNUSED)
{
    upstream_malformed(r, "streams embeddings");
}

const struct upstream_dialect upstream_ollama_generate = {
    .name = "ollama.generate",
    .kind = EXCHANGE_COMPLETION,
    .framing = UPSTREAM_NDJSON,
    .same = &dialect_ollama_generate,
    .path = "/api/generate",
    .write = write_generate,
    .splice = upstream_ollama_splice,
    .whole = read_generated,
    .frame = read_line,
};

const struct upstream_dialect upstream_ollama_embed = {
    .name = "ollama.embed",
    .kind = EXCHANGE_EMBEDDING,
    .framing = UPSTREAM_NDJSON,
    .same = &dialect_ollama_embed,
    .path = "/api/embed",
    .write = write_embed,
    .whole = read_embeddings,
    .frame = no_line,
};
