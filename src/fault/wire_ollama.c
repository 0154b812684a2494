// Ollama's own API: chat and generate as lines of JSON, embed, tags, show.
#include "fault/wire.h"

#include "base/clock.h"

#include "base/banned.h"

// --- Reading

static void read_message(struct ask_reader *r, yyjson_val *m)
{
    static const char *const roles[] = {"system", "assistant", "tool"};
    str role = json_str(json_get(m, "role")), text = ask_text(r->arena, json_get(m, "content"));
    for (size_t i = 0; i < ARRAY_LEN(roles); i++)
        if (str_eq_z(role, roles[i])) {
            ask_hear(r, roles[i], text);
            return;
        }
    ask_hear(r, "user", text);
}

static void ollama_read(struct ask *a, yyjson_val *root, struct arena *arena)
{
    struct ask_reader r = {a, arena, NULL};
    size_t i, max;
    yyjson_val *m;
    ask_read_common(a, root);
    if (!json_is_int(json_get(json_get(root, "options"), "num_predict"), &a->tokens_max))
        a->tokens_max = 0;
    if (!json_is_int(json_get(root, "dimensions"), &a->dimensions))
        a->dimensions = 0;
    a->usage = true;
    a->input = json_get(root, "input");
    if (a->operation == ASK_GENERATE) {
        str system = json_str(json_get(root, "system"));
        if (system.len)
            ask_hear(&r, "system", system);
        ask_hear(&r, "user", ask_text(arena, json_get(root, "prompt")));
    }
    yyjson_arr_foreach(json_get(root, "messages"), i, max, m)
    {
        read_message(&r, m);
    }
    ask_heard_all(&r);
}

// --- Writing

static void write_head(struct json_writer *w, const struct reply *r)
{
    char time[25];
    clock_iso8601((uint64_t)r->created_s * 1000, time);
    jw_object_begin(w);
    jw_kv_str(w, "model", r->model);
    jw_kv_z(w, "created_at", time);
}

static void write_calls(struct json_writer *w, const struct reply *r)
{
    jw_key(w, "tool_calls");
    jw_array_begin(w);
    for (size_t i = 0; i < r->calls_len; i++) {
        bool whole = str_ends(r->calls[i].arguments, STR("}"));
        jw_object_begin(w);
        jw_key(w, "function");
        jw_object_begin(w);
        jw_kv_str(w, "name", r->calls[i].name);
        jw_key(w, "arguments");
        jw_raw(w, whole ? r->calls[i].arguments : STR("{}"));
        jw_object_end(w);
        jw_object_end(w);
    }
    jw_array_end(w);
}

static void write_text(struct json_writer *w, const struct ask *a, const struct reply *r, str text,
                       str thinking, bool calls)
{
    bool chat = a->operation == ASK_CHAT;
    if (chat) {
        jw_key(w, "message");
        jw_object_begin(w);
        jw_kv_z(w, "role", "assistant");
    }
    jw_kv_str(w, chat ? "content" : "response", text);
    if (thinking.len)
        jw_kv_str(w, "thinking", thinking);
    if (chat && calls && r->calls_len)
        write_calls(w, r);
    if (chat)
        jw_object_end(w);
}

static void write_end(struct json_writer *w, const struct reply *r)
{
    const int64_t ms = 1000000;
    int64_t tokens = (int64_t)reply_tokens(r);
    jw_kv_bool(w, "done", true);
    jw_kv_z(w, "done_reason", r->finish == REPLY_LENGTH ? "length" : "stop");
    if (r->usage) {
        jw_kv_int(w, "total_duration", (tokens + 20) * ms);
        jw_kv_int(w, "load_duration", ms);
        jw_kv_int(w, "prompt_eval_count", (int64_t)r->prompt_tokens);
        jw_kv_int(w, "prompt_eval_duration", 10 * ms);
        jw_kv_int(w, "eval_count", tokens);
        jw_kv_int(w, "eval_duration", tokens * ms);
    }
    jw_object_end(w);
}

static void ollama_whole(const struct ask *a, const struct reply *r, struct buf *out)
{
    struct json_writer w;
    struct buf text, thinking;
    buf_init(&text, REPLY_BYTES_MAX);
    buf_init(&thinking, REPLY_BYTES_MAX);
    reply_join(r->tokens, r->tokens_len, &text);
    reply_join(r->reasoning, r->reasoning_len, &thinking);
    jw_init(&w, out);
    write_head(&w, r);
    write_text(&w, a, r, buf_str(&text), buf_str(&thinking), true);
    write_end(&w, r);
    buf_done(&text);
    buf_done(&thinking);
}

static void line(struct frames *f, const struct ask *a, const struct reply *r, str text,
                 str thinking, bool calls)
{
    struct json_writer w;
    jw_init(&w, frames_next(f, FRAME_TOKEN));
    write_head(&w, r);
    write_text(&w, a, r, text, thinking, calls);
    jw_kv_bool(&w, "done", false);
    jw_object_end(&w);
    (void)buf_append_char(w.out, '\n');
}

static void ollama_stream(const struct ask *a, const struct reply *r, struct frames *f)
{
    struct json_writer w;
    for (size_t i = 0; i < r->reasoning_len; i++)
        line(f, a, r, STR(""), r->reasoning[i], false);
    for (size_t i = 0; i < r->tokens_len; i++)
        line(f, a, r, r->tokens[i], STR_NONE, false);
    if (r->calls_len)
        line(f, a, r, STR(""), STR_NONE, true);
    jw_init(&w, frames_next(f, FRAME_DONE));
    write_head(&w, r);
    write_text(&w, a, r, STR(""), STR_NONE, false);
    write_end(&w, r);
    (void)buf_append_char(w.out, '\n');
}

// --- Errors

static int ollama_status(const struct mishap *m)
{
    return m->status;
}

static void ollama_error(const struct mishap *m, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "error", m->message);
    jw_object_end(&w);
}

static void ollama_stream_error(const struct mishap *m, struct buf *out)
{
    ollama_error(m, out);
    (void)buf_append_char(out, '\n');
}

const struct wire wire_ollama = {
    .name = "ollama",
    .stream_type = "application/x-ndjson",
    .streams_unasked = true,
    .continues = true,
    .read = ollama_read,
    .whole = ollama_whole,
    .stream = ollama_stream,
    .status = ollama_status,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
};

// --- Embeddings and models

void wire_ollama_embeddings(const struct ask *a, const struct wire_vectors *v, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_str(&w, "model", a->model);
    jw_key(&w, "embeddings");
    jw_array_begin(&w);
    for (size_t i = 0; i < v->len; i++) {
        jw_array_begin(&w);
        for (size_t k = 0; k < v->dimensions; k++)
            jw_f64(&w, (double)v->items[i][k]);
        jw_array_end(&w);
    }
    jw_array_end(&w);
    jw_kv_int(&w, "total_duration", 1000000);
    jw_kv_int(&w, "load_duration", 1000000);
    jw_kv_int(&w, "prompt_eval_count", (int64_t)v->tokens);
    jw_object_end(&w);
}

static void write_details(struct json_writer *w)
{
    jw_key(w, "details");
    jw_raw(w, STR("{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"fault\",\"families\":["
                  "\"fault\"],\"parameter_size\":\"0B\",\"quantization_level\":\"F32\"}"));
}

void wire_ollama_tags(const str *models, size_t len, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "models");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++) {
        jw_object_begin(&w);
        jw_kv_str(&w, "name", models[i]);
        jw_kv_str(&w, "model", models[i]);
        jw_kv_z(&w, "modified_at", "2026-01-01T00:00:00Z");
        jw_kv_int(&w, "size", 0);
        jw_kv_z(&w, "digest", "");
        write_details(&w);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_object_end(&w);
}

void wire_ollama_show(str name, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "modelfile", "");
    jw_kv_z(&w, "template", "{{ .Prompt }}");
    write_details(&w);
    jw_key(&w, "model_info");
    jw_object_begin(&w);
    jw_kv_str(&w, "general.basename", name);
    jw_kv_z(&w, "general.architecture", "fault");
    jw_kv_int(&w, "fault.context_length", 8192);
    jw_object_end(&w);
    jw_key(&w, "capabilities");
    jw_raw(&w, STR("[\"completion\",\"tools\",\"embedding\",\"thinking\"]"));
    jw_object_end(&w);
}
