#include "dialect/ollama_common.h"

#include "base/clock.h"

#include "base/banned.h"

#define IMAGES_MAX 64

// --- Reading

bool ollama_read_model(struct reader *r, yyjson_val *v)
{
    static const str latest = {":latest", 7};
    str name = json_str(v);
    if (!yyjson_is_str(v))
        return field_wrong_type(r, "model", "a string", v);
    if (str_ends(name, latest))
        name.len -= latest.len;
    r->request->model = name;
    return true;
}

// Numbers below zero mean that there is no limit, and no seed.
static bool read_natural(struct reader *r, const char *name, yyjson_val *v, uint32_t given,
                         int64_t *ret)
{
    int64_t n;
    if (!json_is_int(v, &n))
        return field_wrong_type(r, name, "an integer", v);
    if (n < 0)
        return true;
    *ret = n;
    r->request->given |= given;
    return true;
}

static bool read_predict(struct reader *r, yyjson_val *v)
{
    int64_t n;
    if (json_is_int(v, &n) && n == 0)
        return true;
    return read_natural(r, "num_predict", v, EXCHANGE_HAS_TOKENS_MAX, &r->request->tokens_max);
}

static bool read_seed(struct reader *r, yyjson_val *v)
{
    return read_natural(r, "seed", v, EXCHANGE_HAS_SEED, &r->request->seed);
}

static bool read_stop(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_arr(v) && !yyjson_is_str(v))
        return field_wrong_type(r, "stop", "a string or an array of strings", v);
    return field_stops(r, "stop", v);
}

#define AT OLLAMA_AT
// clang-format off
static const struct field options[] = {
    {"num_predict", FIELD_CUSTOM, 0, 0, 0, 0, read_predict, NULL},
    {"temperature", FIELD_FLOAT, AT(temperature), EXCHANGE_HAS_TEMPERATURE, 0, 2, NULL, NULL},
    {"top_p", FIELD_FLOAT, AT(top_p), EXCHANGE_HAS_TOP_P, 0, 1, NULL, NULL},
    {"top_k", FIELD_INT, AT(top_k), EXCHANGE_HAS_TOP_K, -1, 1e9, NULL, NULL},
    {"min_p", FIELD_FLOAT, AT(min_p), EXCHANGE_HAS_MIN_P, 0, 1, NULL, NULL},
    {"presence_penalty", FIELD_FLOAT, AT(presence_penalty), EXCHANGE_HAS_PRESENCE, -2, 2, NULL, NULL},
    {"frequency_penalty", FIELD_FLOAT, AT(frequency_penalty), EXCHANGE_HAS_FREQUENCY, -2, 2, NULL, NULL},
    {"repeat_penalty", FIELD_FLOAT, AT(repetition_penalty), EXCHANGE_HAS_REPETITION, 0.01, 10, NULL, NULL},
    {"seed", FIELD_CUSTOM, 0, 0, 0, 0, read_seed, NULL},
    {"stop", FIELD_CUSTOM, 0, 0, 0, 0, read_stop, NULL},
    // How a model is held in memory is the server's affair.
    {"numa", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"num_batch", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"num_gpu", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"main_gpu", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"num_thread", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"low_vram", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"use_mmap", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"use_mlock", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {0},
};
// clang-format on

bool ollama_read_options(struct reader *r, yyjson_val *v)
{
    if (!yyjson_is_obj(v))
        return field_wrong_type(r, "options", "an object", v);
    struct field_scope scope = field_enter_member(r, "options");
    bool ok = fields_read(r, options, v, r->request, true);
    field_leave(r, scope);
    return ok;
}

bool ollama_read_format(struct reader *r, yyjson_val *v)
{
    struct exchange_request *q = r->request;
    if (yyjson_equals_str(v, ""))
        return true;
    if (!yyjson_is_obj(v) && !yyjson_equals_str(v, "json"))
        return field_refuse(r, API_INVALID_VALUE, "format",
                            "must be \"json\" or a JSON schema (an object).");
    q->format_name = "format";
    q->format = yyjson_is_obj(v) ? EXCHANGE_FORMAT_SCHEMA : EXCHANGE_FORMAT_JSON;
    q->schema = yyjson_is_obj(v) ? v : NULL;
    q->schema_strict = yyjson_is_obj(v);
    return true;
}

bool ollama_read_think(struct reader *r, yyjson_val *v)
{
    static const char *const levels[] = {"low", "medium", "high"};
    struct exchange_request *q = r->request;
    if (yyjson_is_bool(v)) {
        q->reasoning_effort = yyjson_get_bool(v) ? STR("medium") : STR("none");
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (!yyjson_equals_str(v, levels[i]))
            continue;
        q->reasoning_effort = str_of(levels[i]);
        return true;
    }
    if (yyjson_equals_str(v, "max")) {
        q->reasoning_effort = STR("xhigh");
        return true;
    }
    return field_refuse(r, API_INVALID_VALUE, "think",
                        "must be a boolean, \"low\", \"medium\", \"high\" or \"max\".");
}

// --- Images

// By the first bytes, as base64 shows them.
static str media_type(str base64)
{
    static const struct {
        str begins, type;
    } table[] = {
        {{"/9j/", 4}, {"image/jpeg", 10}},
        {{"R0lGOD", 6}, {"image/gif", 9}},
        {{"UklGR", 5}, {"image/webp", 10}},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_starts(base64, table[i].begins))
            return table[i].type;
    return STR("image/png");
}

bool ollama_read_images(struct reader *r, yyjson_val *v, struct exchange_message *m)
{
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(v, i, max, item)
    {
        struct exchange_part *p = &m->parts[m->parts_len++];
        if (!yyjson_is_str(item))
            return field_wrong_type(r, "images", "an array of strings of base64", item);
        *p = (struct exchange_part){.type = EXCHANGE_PART_IMAGE, .raw = item};
        if (!field_data_url(r, media_type(json_str(item)), json_str(item), &p->url))
            return false;
    }
    return true;
}

// --- Writing

void ollama_write_head(struct json_writer *w, const struct exchange_head *h)
{
    char at[25];
    clock_iso8601((uint64_t)h->created_s * 1000, at);
    jw_kv_str(w, "model", h->model);
    jw_kv_z(w, "created_at", at);
}

static void write_ns(struct json_writer *w, const char *name, uint64_t us)
{
    jw_kv_int(w, name, (int64_t)us * 1000);
}

void ollama_write_times(struct json_writer *w, const struct exchange_times *t,
                        const struct exchange_usage *u)
{
    write_ns(w, "total_duration", t->total_us);
    write_ns(w, "load_duration", 0); // it was loaded
    jw_kv_int(w, "prompt_eval_count", (int64_t)u->prompt_tokens);
    write_ns(w, "prompt_eval_duration", t->prefill_us);
    jw_kv_int(w, "eval_count", (int64_t)u->completion_tokens);
    write_ns(w, "eval_duration", t->decode_us);
}

void ollama_error(const struct api_error *e, str request_id UNUSED, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "error", e->message);
    jw_kv_z(&w, "code", api_error_row(e->code)->name); // weir's own
    jw_object_end(&w);
}

void ollama_stream_error(struct dialect_stream *s UNUSED, const struct api_error *e, str request_id,
                         struct buf *out)
{
    ollama_error(e, request_id, out);
    buf_append_char(out, '\n');
}
