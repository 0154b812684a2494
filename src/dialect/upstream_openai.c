#include "dialect/upstream_openai.h"

#include <stdio.h>

#include "base/mem.h"
#include "dialect/openai_common.h"

#include "base/banned.h"

#define NAME_BYTES_MAX 95

// --- Writing

static void write_bias(struct json_writer *j, const struct exchange_request *r)
{
    if (!r->bias_len)
        return;
    jw_key(j, "logit_bias");
    jw_object_begin(j);
    for (size_t i = 0; i < r->bias_len; i++) {
        char id[16];
        struct buf key;
        buf_init(&key, sizeof id);
        (void)buf_printf(&key, "%d", r->bias[i].token);
        jw_key_str(j, buf_str(&key));
        jw_f64(j, (double)r->bias[i].bias);
        buf_done(&key);
    }
    jw_object_end(j);
}

// Servers of OpenAI's shape take the first ones as well, which are none of its own.
#define NOT_ITS_OWN 3

static void lose(struct upstream_writing *w)
{
    static const char *const carried[] = {"top_k",
                                          "min_p",
                                          "repetition_penalty",
                                          "temperature",
                                          "top_p",
                                          "presence_penalty",
                                          "frequency_penalty",
                                          "seed",
                                          "logit_bias",
                                          "user",
                                          "logprobs",
                                          "echo",
                                          "parallel_tool_calls",
                                          "reasoning_effort",
                                          "prediction",
                                          NULL};
    upstream_lose_others(w, carried + (w->target->own_only ? NOT_ITS_OWN : 0));
}

// What servers of OpenAI's shape understand beyond its own members: vLLM, llama.cpp, weir.
static void write_extensions(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    const struct {
        uint32_t given;
        const char *name;
        double value;
    } rows[] = {
        {EXCHANGE_HAS_TOP_K, "top_k", (double)r->top_k},
        {EXCHANGE_HAS_MIN_P, "min_p", r->min_p},
        {EXCHANGE_HAS_REPETITION, "repetition_penalty", r->repetition_penalty},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if ((r->given & rows[i].given) && !w->target->own_only)
            jw_kv_f64(j, rows[i].name, rows[i].value);
    }
}

static const char *limit_name(const struct upstream_writing *w)
{
    bool newer = w->target->own_only && w->request->kind == EXCHANGE_CHAT;
    return newer ? "max_completion_tokens" : "max_tokens";
}

void upstream_openai_write_common(struct upstream_writing *w, struct json_writer *j)
{
    const struct exchange_request *r = w->request;
    jw_kv_str(j, "model", w->target->model);
    if (r->given & EXCHANGE_HAS_TEMPERATURE)
        jw_kv_f64(j, "temperature", r->temperature);
    if (r->given & EXCHANGE_HAS_TOP_P)
        jw_kv_f64(j, "top_p", r->top_p);
    if (r->given & EXCHANGE_HAS_PRESENCE)
        jw_kv_f64(j, "presence_penalty", r->presence_penalty);
    if (r->given & EXCHANGE_HAS_FREQUENCY)
        jw_kv_f64(j, "frequency_penalty", r->frequency_penalty);
    if (r->given & EXCHANGE_HAS_SEED)
        jw_kv_int(j, "seed", r->seed);
    if (r->given & EXCHANGE_HAS_TOKENS_MAX)
        jw_kv_int(j, limit_name(w), r->tokens_max);
    if (r->n > 1)
        jw_kv_int(j, "n", r->n);
    if (r->user.len)
        jw_kv_str(j, "user", r->user);
    upstream_write_stops(j, r);
    write_bias(j, r);
    write_extensions(w, j);
    lose(w);
    if (!r->stream)
        return;
    jw_kv_bool(j, "stream", true);
    jw_key(j, "stream_options");
    jw_object_begin(j);
    jw_kv_bool(j, "include_usage", true);
    jw_object_end(j);
}

static void write_ids(struct json_writer *j, const struct exchange_prompt *p)
{
    jw_array_begin(j);
    for (size_t i = 0; i < p->ids_len; i++)
        jw_int(j, p->ids[i]);
    jw_array_end(j);
}

static void write_prompt(struct json_writer *j, const struct exchange_prompt *p)
{
    if (p->is_ids)
        write_ids(j, p);
    else
        jw_str(j, p->text);
}

void upstream_openai_write_prompts(const struct exchange_request *r, struct json_writer *j,
                                   const char *name)
{
    jw_key(j, name);
    if (r->prompts_len == 1) {
        write_prompt(j, &r->prompts[0]);
        return;
    }
    jw_array_begin(j);
    for (size_t i = 0; i < r->prompts_len; i++)
        write_prompt(j, &r->prompts[i]);
    jw_array_end(j);
}

// --- Splicing

static void write_stream_options(struct json_writer *j, const void *ctx)
{
    yyjson_val *given = (yyjson_val *)(uintptr_t)ctx, *key;
    yyjson_obj_iter it = yyjson_obj_iter_with(given);
    jw_object_begin(j);
    while ((key = yyjson_obj_iter_next(&it))) {
        if (yyjson_equals_str(key, "include_usage"))
            continue;
        jw_key_str(j, json_str(key));
        jw_value(j, yyjson_obj_iter_get_val(key));
    }
    jw_kv_bool(j, "include_usage", true);
    jw_object_end(j);
}

static void write_limit(struct json_writer *j, const void *ctx)
{
    jw_int(j, *(const int64_t *)ctx);
}

// A limit that the gateway lowered or set goes where the client's own stands.
static void splice_limit(struct upstream_writing *w, struct upstream_edits *edits)
{
    const struct exchange_request *r = w->request;
    yyjson_val *newer = json_get(r->root, "max_completion_tokens");
    yyjson_val *older = json_get(r->root, "max_tokens");
    int64_t told = -1;
    if (!(r->given & EXCHANGE_HAS_TOKENS_MAX))
        return;
    if ((json_is_int(newer, &told) || json_is_int(older, &told)) && told == r->tokens_max)
        return;
    const char *name = newer ? "max_completion_tokens" : older ? "max_tokens" : limit_name(w);
    upstream_edit(edits, str_of(name), upstream_json(w, write_limit, &r->tokens_max));
}

bool upstream_openai_splice(struct upstream_writing *w, struct upstream_edits *edits)
{
    const struct exchange_request *r = w->request;
    splice_limit(w, edits);
    if (!r->stream || r->include_usage)
        return true;
    yyjson_val *given = json_get(r->root, "stream_options");
    upstream_edit(edits, STR("stream_options"), upstream_json(w, write_stream_options, given));
    return true;
}

// --- Reading

void upstream_openai_read_usage(struct upstream_reader *r, yyjson_val *usage)
{
    struct exchange_usage *u = &r->usage;
    yyjson_val *prompt = json_get(usage, "prompt_tokens_details");
    yyjson_val *completion = json_get(usage, "completion_tokens_details");
    if (!yyjson_is_obj(usage) || !json_get(usage, "prompt_tokens"))
        return;
    u->prompt_tokens = upstream_count(json_get(usage, "prompt_tokens"));
    u->completion_tokens = upstream_count(json_get(usage, "completion_tokens"));
    u->cached_tokens = upstream_count(json_get(prompt, "cached_tokens"));
    u->reasoning_tokens = upstream_count(json_get(completion, "reasoning_tokens"));
    u->prediction_accepted = upstream_count(json_get(completion, "accepted_prediction_tokens"));
    u->prediction_rejected = upstream_count(json_get(completion, "rejected_prediction_tokens"));
    r->usage_known = true;
}

static const char *object_name(const struct upstream_reader *r)
{
    return r->request->kind == EXCHANGE_CHAT ? "chat.completion.chunk" : "text_completion";
}

void upstream_openai_usage_frame(struct upstream_reader *r, struct json_writer *j)
{
    jw_object_begin(j);
    jw_kv_z(j, "id", r->id ? r->id : "");
    jw_kv_z(j, "object", object_name(r));
    jw_kv_int(j, "created", r->created_s);
    jw_kv_z(j, "model", r->model ? r->model : "");
    jw_key(j, "choices");
    jw_array_begin(j);
    jw_array_end(j);
    jw_key(j, "usage");
    openai_write_usage(j, &r->usage);
    jw_object_end(j);
}

static char *keep_name(str s)
{
    return mem_strndup(s.ptr ? s.ptr : "", min_size(s.len, NAME_BYTES_MAX));
}

static void keep_names(struct upstream_reader *r, yyjson_val *root)
{
    r->id = keep_name(json_str(json_get(root, "id")));
    r->model = keep_name(json_str(json_get(root, "model")));
    (void)json_is_int(json_get(root, "created"), &r->created_s);
}

void upstream_openai_hide_usage(struct upstream_reader *r, yyjson_val *root, str data)
{
    yyjson_val *usage = json_get(root, "usage"), *choices = json_get(root, "choices");
    if (r->raw && r->request->include_usage && !r->id)
        keep_names(r, root);
    if (!r->raw || r->request->include_usage || !usage)
        return;
    if (yyjson_is_obj(usage) && yyjson_is_arr(choices) && !yyjson_arr_size(choices)) {
        r->frame_dropped = true;
        return;
    }
    str before, after;
    if (json_cut(&r->doc, data, "usage", &before, &after))
        r->frame_raw = ARENA_JOIN(&r->arena, before, after);
}
