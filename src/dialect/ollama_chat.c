// POST /api/chat and POST /api/generate: the request, and the answer as one document.
#include "dialect/ollama_common.h"
#include "dialect/openai_common.h"
#include "dialect/tools.h"

#include "base/banned.h"

// --- Reading

// clang-format off
static const struct field chat_fields[] = {
    OLLAMA_FIELDS,
    {"messages", FIELD_CUSTOM, 0, 0, 0, 0, ollama_read_messages, NULL},
    {"tools", FIELD_CUSTOM, 0, 0, 0, 0, openai_read_tools, NULL},
    {0},
};

struct generate {
    str prompt, system;
    bool raw;
};

#define AT(member) offsetof(struct generate, member)
static const struct field generate_fields[] = {
    {"prompt", FIELD_STRING, AT(prompt), 0, 0, 0, NULL, NULL},
    {"system", FIELD_STRING, AT(system), 0, 0, 0, NULL, NULL},
    {"raw", FIELD_BOOL, AT(raw), 0, 0, 0, NULL, NULL},
    {0},
};

static const struct field generate_request_fields[] = {
    OLLAMA_FIELDS,
    {"prompt", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL}, // generate_fields
    {"system", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"raw", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"images", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"suffix", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: no model here fills in the middle."},
    {"template", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: use 'raw' and send the whole prompt."},
    {"context", FIELD_UNSUPPORTED, 0, 0, 0, 0, NULL, "is not offered: send the conversation to /api/chat."},
    {0},
};
// clang-format on

static void request_init(struct exchange_request *q, enum exchange_kind kind)
{
    exchange_request_init(q, kind);
    q->stream = true; // unless the client says no
    q->include_usage = true;
}

static bool check(struct reader *r)
{
    return !r->request->top_logprobs || r->request->logprobs ||
           field_refuse(r, API_INVALID_VALUE, "top_logprobs",
                        "is only allowed when 'logprobs' is true.");
}

static bool read_chat(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                      struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    request_init(ret, EXCHANGE_CHAT);
    ret->nothing = true; // until there are messages
    if (!fields_read(&r, chat_fields, root, ret, true) || !check(&r))
        return false;
    ret->nothing = !ret->messages_len;
    field_note_prefill(ret);
    return true;
}

static struct exchange_message *add_text(struct reader *r, enum exchange_role role, str text,
                                         size_t more)
{
    struct exchange_message *m = &r->request->messages[r->request->messages_len++];
    *m = (struct exchange_message){.role = role};
    m->parts = field_alloc(r, 1 + more, sizeof *m->parts);
    if (!m->parts)
        return NULL;
    m->parts[m->parts_len++] = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = text};
    return m;
}

// A prompt through the template: a conversation of one turn.
static bool one_turn(struct reader *r, const struct generate *g, yyjson_val *images)
{
    r->request->messages = field_alloc(r, 2, sizeof *r->request->messages);
    if (!r->request->messages)
        return false;
    if (g->system.len && !add_text(r, EXCHANGE_SYSTEM, g->system, 0))
        return false;
    struct exchange_message *m = add_text(r, EXCHANGE_USER, g->prompt, yyjson_arr_size(images));
    return m && ollama_read_images(r, images, m);
}

static bool as_it_is(struct reader *r, const struct generate *g)
{
    struct exchange_request *q = r->request;
    q->prompts = field_alloc(r, 1, sizeof *q->prompts);
    if (!q->prompts)
        return false;
    q->prompts[0].text = g->prompt;
    q->prompts_len = 1;
    return true;
}

static bool read_generate(yyjson_val *root, struct arena *arena, struct exchange_request *ret,
                          struct api_error *ret_error)
{
    struct reader r = {.arena = arena, .request = ret, .error = ret_error};
    struct generate g = {0};
    yyjson_val *images = json_get(root, "images");
    bool seen = images && !yyjson_is_null(images);
    request_init(ret, EXCHANGE_CHAT);
    if (!fields_read(&r, generate_fields, root, &g, false) ||
        !fields_read(&r, generate_request_fields, root, ret, true) || !check(&r))
        return false;
    if (seen && !yyjson_is_arr(images))
        return field_wrong_type(&r, "images", "an array of strings of base64", images);
    ret->kind = g.raw ? EXCHANGE_COMPLETION : EXCHANGE_CHAT;
    ret->nothing = !g.prompt.len && !(seen && yyjson_arr_size(images));
    return g.raw ? as_it_is(&r, &g) : one_turn(&r, &g, images);
}

// --- Writing

void ollama_line_begin(struct json_writer *w, const struct exchange_head *h, struct buf *out)
{
    jw_init(w, out);
    jw_object_begin(w);
    ollama_write_head(w, h);
}

void ollama_said_begin(struct json_writer *w, bool chat, str text, str thinking)
{
    if (chat) {
        jw_key(w, "message");
        jw_object_begin(w);
        jw_kv_z(w, "role", "assistant");
    }
    jw_kv_str(w, chat ? "content" : "response", text);
    if (thinking.len)
        jw_kv_str(w, "thinking", thinking);
}

void ollama_said_end(struct json_writer *w, bool chat)
{
    if (chat)
        jw_object_end(w);
}

void ollama_write_call(struct json_writer *w, size_t index, str id, str name, str arguments)
{
    jw_object_begin(w);
    jw_kv_str(w, "id", id);
    jw_key(w, "function");
    jw_object_begin(w);
    jw_kv_int(w, "index", (int64_t)index);
    jw_kv_str(w, "name", name);
    jw_key(w, "arguments");
    tools_write_arguments(w, arguments);
    jw_object_end(w);
    jw_object_end(w);
}

void ollama_write_logprobs(struct json_writer *w, const struct exchange_token *tokens, size_t len)
{
    if (!len)
        return;
    jw_key(w, "logprobs");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++)
        openai_write_token(w, &tokens[i]);
    jw_array_end(w);
}

void ollama_write_done(struct json_writer *w, const struct exchange_head *h,
                       enum exchange_finish finish, const struct exchange_usage *u)
{
    jw_kv_bool(w, "done", true);
    // Ollama itself has no word for an answer that was stopped; its clients take any.
    jw_kv_z(w, "done_reason",
            finish == EXCHANGE_FINISH_LENGTH   ? "length"
            : finish == EXCHANGE_FINISH_FILTER ? "content_filter"
                                               : "stop");
    ollama_write_times(w, &h->times, u);
}

// Asked for nothing: the model is at hand.
static void write_loaded(bool chat, const struct exchange_head *head, struct json_writer *w,
                         struct buf *out)
{
    ollama_line_begin(w, head, out);
    ollama_said_begin(w, chat, STR(""), STR_NONE);
    ollama_said_end(w, chat);
    jw_kv_bool(w, "done", true);
    jw_kv_z(w, "done_reason", "load");
    jw_object_end(w);
    buf_append_char(out, '\n');
}

static void write_answer(bool chat, const struct exchange_request *r,
                         const struct exchange_head *head, const struct exchange_answer *a,
                         struct buf *out)
{
    struct json_writer w;
    size_t tokens_len;
    if (r->nothing) {
        write_loaded(chat, head, &w, out);
        return;
    }
    const struct exchange_choice *c = &a->choices[0];
    const struct exchange_token *tokens = exchange_choice_tokens(c, &tokens_len);
    ollama_line_begin(&w, head, out);
    ollama_said_begin(&w, chat, buf_str(&c->text), buf_str(&c->thinking));
    if (c->calls_len) {
        jw_key(&w, "tool_calls");
        jw_array_begin(&w);
        for (size_t i = 0; i < c->calls_len; i++)
            ollama_write_call(&w, i, c->calls[i].id, c->calls[i].name,
                              buf_str(&c->calls[i].arguments));
        jw_array_end(&w);
    }
    ollama_said_end(&w, chat);
    ollama_write_logprobs(&w, tokens, tokens_len);
    ollama_write_done(&w, head, c->finish, &a->usage);
    jw_object_end(&w);
}

static void write_chat(const struct exchange_request *r, const struct exchange_head *head,
                       const struct exchange_answer *a, struct buf *out)
{
    write_answer(true, r, head, a, out);
}

static void write_generate(const struct exchange_request *r, const struct exchange_head *head,
                           const struct exchange_answer *a, struct buf *out)
{
    write_answer(false, r, head, a, out);
}

const struct dialect dialect_ollama_chat = {
    .name = "ollama.chat",
    .kind = EXCHANGE_CHAT,
    .id_prefix = "",
    .read = read_chat,
    .answer = write_chat,
    .event = ollama_chat_event,
    .done = ollama_stream_done,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
    .stream_type = "application/x-ndjson",
    .any_content_type = true,
};

const struct dialect dialect_ollama_generate = {
    .name = "ollama.generate",
    .kind = EXCHANGE_CHAT, // or a completion, when it is raw
    .id_prefix = "",
    .read = read_generate,
    .answer = write_generate,
    .event = ollama_generate_event,
    .done = ollama_stream_done,
    .error = ollama_error,
    .stream_error = ollama_stream_error,
    .stream_type = "application/x-ndjson",
    .any_content_type = true,
};
