// OpenAI's chat and completions as vLLM, NIM and Azure speak them, too.
#include "fault/wire.h"

#include "base/encode.h"

#include "base/banned.h"

#define CHOICES_MAX 128 // of one answer

static const char *const finishes[] = {"stop", "length", "tool_calls", "content_filter"};

// --- Reading

static void read_message(struct ask_reader *r, yyjson_val *m)
{
    str role = json_str(json_get(m, "role"));
    str text = ask_text(r->arena, json_get(m, "content"));
    if (str_eq_z(role, "developer") || str_eq_z(role, "system"))
        ask_hear(r, "system", text);
    else if (str_eq_z(role, "assistant"))
        ask_hear(r, "assistant", text);
    else
        ask_hear(r, str_eq_z(role, "tool") ? "tool" : "user", text);
}

static void read_choice(struct ask *a, yyjson_val *choice)
{
    str word = json_str(choice);
    if (str_eq_z(word, "none"))
        a->choice = ASK_TOOLS_NONE;
    else if (str_eq_z(word, "required"))
        a->choice = ASK_TOOLS_ANY;
    a->tool = json_str(json_get(json_get(choice, "function"), "name"));
    if (a->tool.ptr)
        a->choice = ASK_TOOLS_NAMED;
}

// One text, or one sequence of token ids.
static bool is_one_text(yyjson_val *v)
{
    int64_t id;
    return !yyjson_is_arr(v) || json_is_int(yyjson_arr_get_first(v), &id);
}

static void read_prompt(struct ask_reader *r, yyjson_val *prompt)
{
    size_t len = yyjson_arr_size(prompt);
    if (!is_one_text(prompt) && len && len <= CHOICES_MAX)
        r->ask->choices = (int64_t)len;
    str text = ask_text(r->arena, prompt);
    ask_hear(r, "user", text);
}

static void openai_read(struct ask *a, yyjson_val *root, struct arena *arena)
{
    struct ask_reader r = {a, arena, NULL};
    size_t i, max;
    yyjson_val *m;
    ask_read_common(a, root);
    if (!json_is_int(json_get(root, "max_completion_tokens"), &a->tokens_max) &&
        !json_is_int(json_get(root, "max_tokens"), &a->tokens_max))
        a->tokens_max = 0;
    if (!json_is_int(json_get(root, "dimensions"), &a->dimensions))
        a->dimensions = 0;
    a->base64 = str_eq_z(json_str(json_get(root, "encoding_format")), "base64");
    a->usage = yyjson_get_bool(json_get(json_get(root, "stream_options"), "include_usage"));
    a->continues = yyjson_get_bool(json_get(root, "continue_final_message"));
    a->input = json_get(root, "input");
    read_choice(a, json_get(root, "tool_choice"));
    if (a->operation == ASK_COMPLETION)
        read_prompt(&r, json_get(root, "prompt"));
    yyjson_arr_foreach(json_get(root, "messages"), i, max, m)
    {
        read_message(&r, m);
    }
    ask_heard_all(&r);
}

// --- Writing

static void write_head(struct json_writer *w, const struct ask *a, const struct reply *r,
                       const char *object)
{
    char id[40];
    struct buf text;
    buf_init(&text, sizeof id);
    (void)buf_printf(&text, "%s-%016llx", a->operation == ASK_CHAT ? "chatcmpl" : "cmpl",
                     (unsigned long long)r->id);
    jw_object_begin(w);
    jw_kv_str(w, "id", buf_str(&text));
    buf_done(&text);
    jw_kv_z(w, "object", object);
    jw_kv_int(w, "created", r->created_s);
    jw_kv_str(w, "model", r->model);
    jw_kv_z(w, "system_fingerprint", "fp_fault");
}

static void write_usage(struct json_writer *w, const struct reply *r)
{
    uint64_t out = reply_tokens(r);
    jw_key(w, "usage");
    jw_object_begin(w);
    jw_kv_int(w, "prompt_tokens", (int64_t)r->prompt_tokens);
    jw_kv_int(w, "completion_tokens", (int64_t)out);
    jw_kv_int(w, "total_tokens", (int64_t)(r->prompt_tokens + out));
    jw_key(w, "completion_tokens_details");
    jw_object_begin(w);
    jw_kv_int(w, "reasoning_tokens", (int64_t)r->reasoning_len);
    jw_object_end(w);
    jw_object_end(w);
}

static void write_filter_results(struct json_writer *w, const char *key, bool filtered)
{
    jw_key(w, key);
    jw_object_begin(w);
    jw_key(w, "violence");
    jw_object_begin(w);
    jw_kv_bool(w, "filtered", filtered);
    jw_kv_z(w, "severity", filtered ? "high" : "safe");
    jw_object_end(w);
    jw_object_end(w);
}

static void write_call(struct json_writer *w, const struct reply_call *c, size_t index,
                       bool indexed, str arguments)
{
    jw_object_begin(w);
    if (indexed)
        jw_kv_int(w, "index", (int64_t)index);
    jw_kv_str(w, "id", c->id);
    jw_kv_z(w, "type", "function");
    jw_key(w, "function");
    jw_object_begin(w);
    jw_kv_str(w, "name", c->name);
    jw_kv_str(w, "arguments", arguments);
    jw_object_end(w);
    jw_object_end(w);
}

static void write_message(struct json_writer *w, const struct reply *r)
{
    jw_key(w, "message");
    jw_object_begin(w);
    jw_kv_z(w, "role", "assistant");
    if (r->calls_len)
        jw_kv_null(w, "content");
    else
        reply_write_joined(w, "content", r->tokens, r->tokens_len);
    if (r->reasoning_len)
        reply_write_joined(w, "reasoning_content", r->reasoning, r->reasoning_len);
    jw_kv_null(w, "refusal");
    if (r->calls_len) {
        jw_key(w, "tool_calls");
        jw_array_begin(w);
        for (size_t i = 0; i < r->calls_len; i++)
            write_call(w, &r->calls[i], i, false, r->calls[i].arguments);
        jw_array_end(w);
    }
    jw_object_end(w);
}

static void write_choice(struct json_writer *w, const struct reply *r, bool chat, int64_t index)
{
    jw_object_begin(w);
    jw_kv_int(w, "index", index);
    if (chat)
        write_message(w, r);
    else
        reply_write_joined(w, "text", r->tokens, r->tokens_len);
    jw_kv_null(w, "logprobs");
    jw_kv_z(w, "finish_reason", finishes[r->finish]);
    if (r->azure)
        write_filter_results(w, "content_filter_results", r->finish == REPLY_FILTER);
    jw_object_end(w);
}

static void openai_whole(const struct ask *a, const struct reply *r, struct buf *out)
{
    struct json_writer w;
    bool chat = a->operation == ASK_CHAT;
    jw_init(&w, out);
    write_head(&w, a, r, chat ? "chat.completion" : "text_completion");
    if (r->azure)
        write_filter_results(&w, "prompt_filter_results", false);
    jw_key(&w, "choices");
    jw_array_begin(&w);
    for (int64_t i = 0; i < a->choices; i++)
        write_choice(&w, r, chat, i);
    jw_array_end(&w);
    if (r->usage)
        write_usage(&w, r);
    jw_object_end(&w);
}

// --- Chunks

struct chunk {
    struct buf *out;
    struct json_writer w;
    bool chat;
};

static struct json_writer *chunk_begin(struct chunk *c, struct frames *f, enum frame_kind kind,
                                       const struct ask *a, const struct reply *r)
{
    c->out = frames_next(f, kind);
    c->chat = a->operation == ASK_CHAT;
    (void)buf_append_str(c->out, STR("data: "));
    jw_init(&c->w, c->out);
    write_head(&c->w, a, r, c->chat ? "chat.completion.chunk" : "text_completion");
    jw_key(&c->w, "choices");
    jw_array_begin(&c->w);
    return &c->w;
}

static void chunk_end(struct chunk *c, const struct reply *r, bool usage)
{
    jw_array_end(&c->w);
    if (usage)
        write_usage(&c->w, r);
    else if (r->usage)
        jw_kv_null(&c->w, "usage");
    jw_object_end(&c->w);
    (void)buf_append_str(c->out, STR("\n\n"));
}

static void choice_begin(struct chunk *c)
{
    jw_object_begin(&c->w);
    jw_kv_int(&c->w, "index", 0);
    if (c->chat) {
        jw_key(&c->w, "delta");
        jw_object_begin(&c->w);
    }
}

static void choice_end(struct chunk *c, const char *finish)
{
    if (c->chat)
        jw_object_end(&c->w);
    if (finish)
        jw_kv_z(&c->w, "finish_reason", finish);
    else
        jw_kv_null(&c->w, "finish_reason");
    jw_object_end(&c->w);
}

static void text_chunk(struct frames *f, const struct ask *a, const struct reply *r,
                       const char *key, str text)
{
    struct chunk c;
    chunk_begin(&c, f, FRAME_TOKEN, a, r);
    choice_begin(&c);
    jw_kv_str(&c.w, key, text);
    choice_end(&c, NULL);
    chunk_end(&c, r, false);
}

static void call_chunks(struct frames *f, const struct ask *a, const struct reply *r, size_t i)
{
    enum { PIECE = 7 };
    const struct reply_call *call = &r->calls[i];
    struct chunk c;
    for (size_t at = 0; at == 0 || at < call->arguments.len + PIECE; at += PIECE) {
        str piece = at ? str_sub(call->arguments, at - PIECE, PIECE) : STR("");
        chunk_begin(&c, f, FRAME_TOKEN, a, r);
        choice_begin(&c);
        jw_key(&c.w, "tool_calls");
        jw_array_begin(&c.w);
        if (at == 0) {
            write_call(&c.w, call, i, true, piece);
        } else {
            jw_object_begin(&c.w);
            jw_kv_int(&c.w, "index", (int64_t)i);
            jw_key(&c.w, "function");
            jw_object_begin(&c.w);
            jw_kv_str(&c.w, "arguments", piece);
            jw_object_end(&c.w);
            jw_object_end(&c.w);
        }
        jw_array_end(&c.w);
        choice_end(&c, NULL);
        chunk_end(&c, r, false);
    }
}

static void lead_chunks(struct frames *f, const struct ask *a, const struct reply *r)
{
    struct chunk c;
    if (r->azure) { // must not be taken for the one with the usage
        chunk_begin(&c, f, FRAME_LEAD, a, r);
        jw_array_end(&c.w);
        write_filter_results(&c.w, "prompt_filter_results", false);
        jw_object_end(&c.w);
        (void)buf_append_str(c.out, STR("\n\n"));
    }
    if (a->operation != ASK_CHAT)
        return;
    chunk_begin(&c, f, FRAME_LEAD, a, r);
    choice_begin(&c);
    jw_kv_z(&c.w, "role", "assistant");
    jw_kv_z(&c.w, "content", "");
    jw_kv_null(&c.w, "refusal");
    choice_end(&c, NULL);
    chunk_end(&c, r, false);
}

static void openai_stream(const struct ask *a, const struct reply *r, struct frames *f)
{
    struct chunk c;
    lead_chunks(f, a, r);
    for (size_t i = 0; i < r->reasoning_len; i++)
        text_chunk(f, a, r, "reasoning_content", r->reasoning[i]);
    for (size_t i = 0; i < r->tokens_len; i++)
        text_chunk(f, a, r, a->operation == ASK_CHAT ? "content" : "text", r->tokens[i]);
    for (size_t i = 0; i < r->calls_len; i++)
        call_chunks(f, a, r, i);
    chunk_begin(&c, f, FRAME_TAIL, a, r);
    choice_begin(&c);
    if (!c.chat)
        jw_kv_z(&c.w, "text", "");
    choice_end(&c, finishes[r->finish]);
    chunk_end(&c, r, false);
    if (r->usage) {
        chunk_begin(&c, f, FRAME_TAIL, a, r);
        chunk_end(&c, r, true);
    }
    (void)buf_append_str(frames_next(f, FRAME_DONE), STR("data: [DONE]\n\n"));
}

// --- Errors

static int openai_status(const struct mishap *m)
{
    return m->status;
}

static void write_error(const struct mishap *m, bool azure, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_kv_z(&w, "message", m->message);
    jw_kv_z(&w, "type", m->openai_type);
    jw_kv_null(&w, "param");
    if (m->openai_code)
        jw_kv_z(&w, "code", m->openai_code);
    else
        jw_kv_null(&w, "code");
    if (azure && m->openai_code && str_eq_z(str_of(m->openai_code), "content_filter")) {
        jw_key(&w, "innererror");
        jw_object_begin(&w);
        jw_kv_z(&w, "code", "ResponsibleAIPolicyViolation");
        jw_object_end(&w);
    }
    jw_object_end(&w);
    jw_object_end(&w);
}

static void openai_error(const struct mishap *m, struct buf *out)
{
    write_error(m, false, out);
}

static void azure_error(const struct mishap *m, struct buf *out)
{
    write_error(m, true, out);
}

static void openai_stream_error(const struct mishap *m, struct buf *out)
{
    (void)buf_append_str(out, STR("data: "));
    write_error(m, false, out);
    (void)buf_append_str(out, STR("\n\n"));
}

#define OPENAI_WIRE(called, errors)                                                                \
    {                                                                                              \
        .name = (called),                                                                          \
        .stream_type = "text/event-stream; charset=utf-8",                                         \
        .ping = ": ping\n\n",                                                                      \
        .read = openai_read,                                                                       \
        .whole = openai_whole,                                                                     \
        .stream = openai_stream,                                                                   \
        .status = openai_status,                                                                   \
        .error = (errors),                                                                         \
        .stream_error = openai_stream_error,                                                       \
    }

const struct wire wire_openai = OPENAI_WIRE("openai", openai_error);
const struct wire wire_azure = OPENAI_WIRE("azure", azure_error);

// --- Embeddings and models

static void write_vector(struct json_writer *w, const float *v, size_t len, bool base64)
{
    if (base64) {
        struct buf text;
        buf_init(&text, 1u << 20);
        (void)encode_base64(&text, v, len * sizeof *v);
        jw_str(w, buf_str(&text));
        buf_done(&text);
        return;
    }
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        jw_f64(w, (double)v[i]);
    jw_array_end(w);
}

void wire_openai_embeddings(const struct ask *a, const struct wire_vectors *v, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "object", "list");
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < v->len; i++) {
        jw_object_begin(&w);
        jw_kv_z(&w, "object", "embedding");
        jw_kv_int(&w, "index", (int64_t)i);
        jw_key(&w, "embedding");
        write_vector(&w, v->items[i], v->dimensions, a->base64);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_kv_str(&w, "model", a->model);
    jw_key(&w, "usage");
    jw_object_begin(&w);
    jw_kv_int(&w, "prompt_tokens", (int64_t)v->tokens);
    jw_kv_int(&w, "total_tokens", (int64_t)v->tokens);
    jw_object_end(&w);
    jw_object_end(&w);
}

static void write_model(struct json_writer *w, str name)
{
    jw_object_begin(w);
    jw_kv_str(w, "id", name);
    jw_kv_z(w, "object", "model");
    jw_kv_int(w, "created", 1767225600);
    jw_kv_z(w, "owned_by", "fault");
    jw_object_end(w);
}

void wire_openai_model(str name, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    write_model(&w, name);
}

void wire_openai_models(const str *models, size_t len, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "object", "list");
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++)
        write_model(&w, models[i]);
    jw_array_end(&w);
    jw_object_end(&w);
}
