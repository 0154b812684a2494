#include "dialect/openai_common.h"

#include <stdio.h>

#include "base/utf8.h"

#include "base/banned.h"

#define BIAS_MAX     4096
#define STOP_IDS_MAX 256

// --- Reading

bool openai_read_stop(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_arr(v) && !yyjson_is_str(v))
        return field_wrong_type(r, "stop", "a string or an array of strings", v);
    return field_stops(r, "stop", v);
}

static bool read_id(struct reader *r, yyjson_val *v, void *to)
{
    return field_token_id(r, NULL, v, to);
}

bool openai_read_stop_ids(struct reader *r, yyjson_val *v)
{
    static const struct field_list list = {"stop_token_ids", "an array of token ids", NULL,
                                           STOP_IDS_MAX,     sizeof(int32_t),         read_id};
    struct exchange_request *q = r->request;
    q->stop_ids = field_list(r, &list, v, &q->stop_ids_len);
    return q->stop_ids;
}

bool openai_read_bias(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    size_t i, max;
    yyjson_val *key, *item;
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "logit_bias", "an object of token ids to numbers", v);
    if (yyjson_obj_size(v) > BIAS_MAX)
        return field_refuse(r, API_ARRAY_TOO_LONG, "logit_bias", "may have %d members at most.",
                            BIAS_MAX);
    q->bias = field_alloc(r, yyjson_obj_size(v), sizeof *q->bias);
    if (!q->bias)
        return false;
    yyjson_obj_foreach(v, i, max, key, item)
    {
        int64_t id;
        double bias;
        if (str_to_i64(json_str(key), &id) || id < 0 || id > INT32_MAX)
            return field_refuse(r, API_INVALID_VALUE, "logit_bias",
                                "must have token ids as its keys.");
        if (!json_is_num(item, &bias))
            return field_wrong_type(r, "logit_bias", "an object of token ids to numbers", item);
        if (bias < -100 || bias > 100)
            return field_refuse(r, bias < 0 ? API_BELOW_MIN : API_ABOVE_MAX, "logit_bias",
                                "must have values between -100 and 100.");
        q->bias[q->bias_len++] = (struct exchange_bias){(int32_t)id, (float)bias};
    }
    return true;
}

bool openai_read_stream_options(struct reader *r, yyjson_val *v)
{
    static const struct field table[] = {
        {"include_usage", FIELD_BOOL, OPENAI_AT(include_usage), 0, 0, 0, NULL, NULL},
        {"include_obfuscation", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
        {"continuous_usage_stats", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL,
         "is not offered: usage comes once, at the end of the stream."},
        {0},
    };
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "stream_options", "an object", v);
    struct field_scope scope = field_enter_member(r, "stream_options");
    bool ok = fields_read(r, table, v, r->request, true);
    field_leave(r, scope);
    return ok;
}

// The tokens of a prompt: `name` is NULL where it is one of several.
static bool read_ids(struct reader *r, const char *name, yyjson_val *v, struct exchange_prompt *p)
{
    const struct field_list list = {name, "an array of token ids", "must have at least one token.",
                                    0,    sizeof *p->ids,          read_id};
    p->is_ids = true;
    p->ids = field_list(r, &list, v, &p->ids_len);
    return p->ids;
}

static bool read_prompt(struct reader *r, yyjson_val *v, void *to)
{
    struct exchange_prompt *p = to;
    if (yyjson_is_arr(v))
        return read_ids(r, NULL, v, p);
    if (!yyjson_is_str(v))
        return field_wrong_type(r, NULL, "a string or an array of token ids", v);
    p->text = json_str(v);
    return true;
}

static bool is_number(yyjson_val *v)
{
    return json_num_text(v).ptr != NULL;
}

bool openai_read_prompts(struct reader *r, const char *name, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    const struct field_list list = {name,
                                    "a string, an array of strings, or an array of token ids",
                                    "must not be an empty array.",
                                    EXCHANGE_PROMPTS_MAX,
                                    sizeof *q->prompts,
                                    read_prompt};
    if (!yyjson_is_str(v) && !is_number(yyjson_arr_get_first(v))) {
        q->prompts = field_list(r, &list, v, &q->prompts_len);
        return q->prompts;
    }
    q->prompts = field_alloc(r, 1, sizeof *q->prompts);
    if (!q->prompts)
        return false;
    q->prompts_len = 1;
    q->prompts[0].text = json_str(v);
    return yyjson_is_str(v) || read_ids(r, name, v, &q->prompts[0]);
}

bool openai_check_common(struct reader *r)
{
    struct exchange_request *q = r->request;
    if (q->include_usage && !q->stream)
        return field_refuse(r, API_INVALID_VALUE, "stream_options",
                            "is only allowed when 'stream' is true.");
    if (q->best_of && q->best_of != q->n)
        return field_refuse(r, API_UNSUPPORTED_PARAMETER, "best_of",
                            "is not offered beyond 'n': ask for 'n' choices and pick one.");
    return true;
}

// --- Writing

void openai_write_usage(struct json_writer *w, const struct exchange_usage *u)
{
    jw_object_begin(w);
    jw_kv_int(w, "prompt_tokens", (int64_t)u->prompt_tokens);
    jw_kv_int(w, "completion_tokens", (int64_t)u->completion_tokens);
    jw_kv_int(w, "total_tokens", (int64_t)(u->prompt_tokens + u->completion_tokens));
    jw_key(w, "prompt_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "cached_tokens", (int64_t)u->cached_tokens);
    jw_kv_int(w, "audio_tokens", 0);
    jw_object_end(w);
    jw_key(w, "completion_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "reasoning_tokens", (int64_t)u->reasoning_tokens);
    jw_kv_int(w, "audio_tokens", 0);
    jw_kv_int(w, "accepted_prediction_tokens", (int64_t)u->prediction_accepted);
    jw_kv_int(w, "rejected_prediction_tokens", (int64_t)u->prediction_rejected);
    jw_object_end(w);
    if (u->estimated)
        jw_kv_bool(w, "usage_estimated", true);
    jw_object_end(w);
}

// Nine digits bring every float back exactly, and a reader finds the same value in both places
// where a token's logprob stands.
void openai_write_f32(struct json_writer *w, float v)
{
    char text[32];
    if (!__builtin_isfinite(v)) {
        // The field's word for "so unlikely that it has no figure".
        jw_raw(w, STR("-9999.0"));
        return;
    }
    int len = snprintf(text, sizeof text, "%.9g", (double)v);
    jw_raw(w, str_slice(text, (size_t)len));
}

static void write_bytes(struct json_writer *w, str bytes)
{
    jw_key(w, "bytes");
    jw_array_begin(w);
    for (size_t i = 0; i < bytes.len; i++)
        jw_int(w, (unsigned char)bytes.ptr[i]);
    jw_array_end(w);
}

static void write_scored(struct json_writer *w, str bytes, float logprob)
{
    jw_kv_str(w, "token", bytes); // bytes of half a character show as U+FFFD; `bytes` is exact
    jw_key(w, "logprob");
    openai_write_f32(w, logprob);
    write_bytes(w, bytes);
}

void openai_write_token(struct json_writer *w, const struct exchange_token *t)
{
    jw_object_begin(w);
    write_scored(w, t->bytes, t->logprob);
    jw_key(w, "top_logprobs");
    jw_array_begin(w);
    for (size_t i = 0; i < t->top_len; i++) {
        jw_object_begin(w);
        write_scored(w, t->top[i].bytes, t->top[i].logprob);
        jw_object_end(w);
    }
    jw_array_end(w);
    jw_object_end(w);
}

void openai_write_token_key(struct json_writer *w, str bytes, bool as_key)
{
    char name[8 + 4 * 64];
    str s = bytes;
    if (!utf8_valid(bytes)) {
        size_t len = 6;
        memcpy(name, "bytes:", len);
        for (size_t i = 0; i < bytes.len && i < 64; i++)
            len += (size_t)snprintf(name + len, sizeof name - len, "\\x%02x",
                                    (unsigned char)bytes.ptr[i]);
        s = str_slice(name, len);
    }
    if (as_key)
        jw_key_str(w, s);
    else
        jw_str(w, s);
}

void openai_write_head(struct json_writer *w, const struct exchange_head *h, const char *object)
{
    jw_kv_str(w, "id", h->id);
    jw_kv_z(w, "object", object);
    jw_kv_int(w, "created", h->created_s);
    jw_kv_str(w, "model", h->model);
    if (h->fingerprint.len)
        jw_kv_str(w, "system_fingerprint", h->fingerprint);
}

void openai_sse_begin(struct buf *out)
{
    buf_append_str(out, STR("data: "));
}

void openai_sse_end(struct buf *out)
{
    buf_append_str(out, STR("\n\n"));
}

void openai_sse_done(struct buf *out)
{
    buf_append_str(out, STR("data: [DONE]\n\n"));
}

void openai_write_answer(const char *object, openai_choice_writer *write_choice,
                         const struct exchange_request *r, const struct exchange_head *head,
                         const struct exchange_answer *a, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    openai_write_head(&w, head, object);
    jw_key(&w, "choices");
    jw_array_begin(&w);
    for (size_t i = 0; i < a->choices_len; i++)
        write_choice(&w, r, i, &a->choices[i]);
    jw_array_end(&w);
    jw_key(&w, "usage");
    openai_write_usage(&w, &a->usage);
    jw_object_end(&w);
}
