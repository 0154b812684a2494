#include "dialect/ollama_models.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "dialect/ollama_common.h"

#include "base/banned.h"

// As far away as a client may understand: models stay.
#define FOREVER_MS 4102444800000u // 2100-01-01

// "135M", "7.6B".
static void parameter_size(uint64_t n, char *out, size_t size)
{
    if (!n)
        out[0] = 0;
    else if (n >= 1000000000)
        snprintf(out, size, "%.1fB", (double)n / 1e9);
    else if (n >= 1000000)
        snprintf(out, size, "%.0fM", (double)n / 1e6);
    else
        snprintf(out, size, "%.0fK", (double)n / 1e3);
}

static void write_details(struct json_writer *w, const struct ollama_model *m)
{
    char size[32];
    parameter_size(m->parameters, size, sizeof size);
    jw_key(w, "details");
    jw_object_begin(w);
    jw_kv_str(w, "parent_model", str_eq(m->name, m->root) ? STR("") : m->root);
    jw_kv_z(w, "format", m->remote ? "" : "gguf");
    jw_kv_str(w, "family", m->architecture);
    jw_key(w, "families");
    jw_array_begin(w);
    if (m->architecture.len)
        jw_str(w, m->architecture);
    jw_array_end(w);
    jw_kv_z(w, "parameter_size", size);
    jw_kv_str(w, "quantization_level", m->quantization);
    jw_object_end(w);
}

static void write_time(struct json_writer *w, const char *name, uint64_t wall_ms)
{
    char text[25];
    clock_iso8601(wall_ms, text);
    jw_kv_z(w, name, text);
}

// Tells one model from another; of a local one it changes with the file.
static void write_digest(struct json_writer *w, const struct ollama_model *m)
{
    char hex[65];
    struct buf text;
    buf_init(&text, 65536);
    (void)buf_printf(&text, STR_FMT " " STR_FMT, STR_ARG(m->root), STR_ARG(m->fingerprint));
    sha256_of(buf_str(&text), hex);
    buf_done(&text);
    jw_kv_z(w, "digest", hex);
}

static void write_common(struct json_writer *w, const struct ollama_model *m)
{
    jw_kv_str(w, "name", m->name);
    jw_kv_str(w, "model", m->name);
    jw_kv_int(w, "size", (int64_t)m->bytes);
    write_digest(w, m);
    write_details(w, m);
}

static void write_list(const struct ollama_model *models, size_t len, bool running, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "models");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++) {
        jw_object_begin(&w);
        write_common(&w, &models[i]);
        if (running) {
            write_time(&w, "expires_at", FOREVER_MS);
            jw_kv_int(&w, "size_vram", 0);
            jw_kv_int(&w, "context_length", models[i].context_max);
        } else {
            write_time(&w, "modified_at", (uint64_t)models[i].modified_s * 1000);
        }
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

void ollama_models_list(const struct ollama_model *models, size_t len, struct buf *out)
{
    write_list(models, len, false, out);
}

void ollama_models_running(const struct ollama_model *models, size_t len, struct buf *out)
{
    write_list(models, len, true, out);
}

static void write_info(struct json_writer *w, const struct ollama_model *m)
{
    char key[128];
    jw_key(w, "model_info");
    jw_object_begin(w);
    if (m->architecture.len) {
        jw_kv_str(w, "general.architecture", m->architecture);
        jw_kv_int(w, "general.parameter_count", (int64_t)m->parameters);
        snprintf(key, sizeof key, "%.*s.context_length", (int)min_size(m->architecture.len, 64),
                 m->architecture.ptr);
        jw_kv_int(w, key, m->context_max);
    }
    jw_object_end(w);
}

void ollama_models_show(const struct ollama_model *m, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "modelfile", "");
    jw_kv_z(&w, "parameters", "");
    jw_kv_z(&w, "template", "");
    write_details(&w, m);
    write_info(&w, m);
    jw_key(&w, "capabilities");
    jw_array_begin(&w);
    jw_z(&w, "completion");
    if (m->tools)
        jw_z(&w, "tools");
    if (!m->remote)
        jw_z(&w, "embedding");
    jw_array_end(&w);
    write_time(&w, "modified_at", (uint64_t)m->modified_s * 1000);
    jw_object_end(&w);
}

// --- POST /api/show

static bool read_show(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                      struct api_error *ret_error)
{
    static const struct field table[] = {
        {"model", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_model, NULL},
        {"name", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_model, NULL}, // its older name
        {"verbose", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
        {0},
    };
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    exchange_request_init(ret, EXCHANGE_CHAT);
    return fields_read(&r, table, root, ret, true);
}

const struct dialect dialect_ollama_show = {
    .name = "ollama.show",
    .kind = EXCHANGE_CHAT,
    .read = read_show,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
    .any_content_type = true,
};
