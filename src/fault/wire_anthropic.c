// Anthropic's messages.
#include "fault/wire.h"

#include "base/banned.h"

static const char *const finishes[] = {"end_turn", "max_tokens", "tool_use", "refusal"};

// --- Reading

// Results of tools stand among a user's blocks; they are heard in the tool's voice.
static void read_user(struct ask_reader *r, yyjson_val *content)
{
    size_t i, max;
    yyjson_val *block;
    if (!yyjson_is_arr(content)) {
        ask_hear(r, "user", ask_text(r->arena, content));
        return;
    }
    yyjson_arr_foreach(content, i, max, block)
    {
        str type = json_str(json_get(block, "type"));
        if (str_eq_z(type, "tool_result"))
            ask_hear(r, "tool", ask_text(r->arena, json_get(block, "content")));
        else if (str_eq_z(type, "text"))
            ask_hear(r, "user", json_str(json_get(block, "text")));
    }
}

static void read_choice(struct ask *a, yyjson_val *choice)
{
    str type = json_str(json_get(choice, "type"));
    if (str_eq_z(type, "none"))
        a->choice = ASK_TOOLS_NONE;
    else if (str_eq_z(type, "any"))
        a->choice = ASK_TOOLS_ANY;
    a->tool = json_str(json_get(choice, "name"));
    if (a->tool.ptr)
        a->choice = ASK_TOOLS_NAMED;
}

static void anthropic_read(struct ask *a, yyjson_val *root, struct arena *arena)
{
    struct ask_reader r = {a, arena, NULL};
    size_t i, max;
    yyjson_val *m;
    ask_read_common(a, root);
    if (!json_is_int(json_get(root, "max_tokens"), &a->tokens_max))
        a->tokens_max = 0;
    a->usage = true;
    read_choice(a, json_get(root, "tool_choice"));
    str system = ask_text(arena, json_get(root, "system"));
    if (system.len)
        ask_hear(&r, "system", system);
    yyjson_arr_foreach(json_get(root, "messages"), i, max, m)
    {
        if (str_eq_z(json_str(json_get(m, "role")), "assistant"))
            ask_hear(&r, "assistant", ask_text(arena, json_get(m, "content")));
        else
            read_user(&r, json_get(m, "content"));
    }
    ask_heard_all(&r);
}

// --- Writing

static void write_usage(struct json_writer *w, const struct reply *r, bool input, uint64_t output)
{
    jw_key(w, "usage");
    jw_object_begin(w);
    if (input) {
        jw_kv_int(w, "input_tokens", (int64_t)r->prompt_tokens);
        jw_kv_int(w, "cache_creation_input_tokens", 0);
        jw_kv_int(w, "cache_read_input_tokens", 0);
    }
    jw_kv_int(w, "output_tokens", (int64_t)output);
    jw_object_end(w);
}

// The message's head up to and with "content":[ ; `finish` NULL: it has just begun.
static void write_head(struct json_writer *w, const struct reply *r)
{
    struct buf id;
    buf_init(&id, 40);
    (void)buf_printf(&id, "msg_%016llx", (unsigned long long)r->id);
    jw_kv_str(w, "id", buf_str(&id));
    buf_done(&id);
    jw_kv_z(w, "type", "message");
    jw_kv_z(w, "role", "assistant");
    jw_kv_str(w, "model", r->model);
    jw_key(w, "content");
    jw_array_begin(w);
}

static void write_finish(struct json_writer *w, const char *finish)
{
    if (finish)
        jw_kv_z(w, "stop_reason", finish);
    else
        jw_kv_null(w, "stop_reason");
    jw_kv_null(w, "stop_sequence");
}

static void write_blocks(struct json_writer *w, const struct reply *r)
{
    if (r->reasoning_len) {
        jw_object_begin(w);
        jw_kv_z(w, "type", "thinking");
        reply_write_joined(w, "thinking", r->reasoning, r->reasoning_len);
        jw_kv_z(w, "signature", "c2VhbGVk");
        jw_object_end(w);
    }
    if (r->tokens_len) {
        jw_object_begin(w);
        jw_kv_z(w, "type", "text");
        reply_write_joined(w, "text", r->tokens, r->tokens_len);
        jw_object_end(w);
    }
    for (size_t i = 0; i < r->calls_len; i++) {
        jw_object_begin(w);
        jw_kv_z(w, "type", "tool_use");
        jw_kv_str(w, "id", r->calls[i].id);
        jw_kv_str(w, "name", r->calls[i].name);
        jw_key(w, "input"); // broken arguments have no place here: an object it must be
        bool whole = str_ends(r->calls[i].arguments, STR("}"));
        jw_raw(w, whole ? r->calls[i].arguments : STR("{}"));
        jw_object_end(w);
    }
}

static void count_tokens(const struct reply *r, struct buf *out)
{
    (void)buf_printf(out, "{\"input_tokens\":%llu}", (unsigned long long)r->prompt_tokens);
}

static void anthropic_whole(const struct ask *a, const struct reply *r, struct buf *out)
{
    struct json_writer w;
    if (a->operation == ASK_COUNT_TOKENS) {
        count_tokens(r, out);
        return;
    }
    jw_init(&w, out);
    jw_object_begin(&w);
    write_head(&w, r);
    write_blocks(&w, r);
    jw_array_end(&w);
    write_finish(&w, finishes[r->finish]);
    if (r->usage)
        write_usage(&w, r, true, reply_tokens(r));
    jw_object_end(&w);
}

// --- Events

static struct json_writer event_begin(struct frames *f, enum frame_kind kind, const char *type)
{
    struct json_writer w;
    struct buf *out = frames_next(f, kind);
    (void)buf_printf(out, "event: %s\ndata: ", type);
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "type", type);
    return w;
}

static void event_end(struct json_writer *w)
{
    jw_object_end(w);
    (void)buf_append_str(w->out, STR("\n\n"));
}

static void write_delta(struct frames *f, size_t index, const char *type, const char *key, str text)
{
    struct json_writer w = event_begin(f, FRAME_TOKEN, "content_block_delta");
    jw_kv_int(&w, "index", (int64_t)index);
    jw_key(&w, "delta");
    jw_object_begin(&w);
    jw_kv_z(&w, "type", type);
    jw_kv_str(&w, key, text);
    jw_object_end(&w);
    event_end(&w);
}

static void block_start(struct frames *f, size_t index, const char *type, const char *key,
                        const struct reply_call *call)
{
    struct json_writer w = event_begin(f, FRAME_TAIL, "content_block_start");
    jw_kv_int(&w, "index", (int64_t)index);
    jw_key(&w, "content_block");
    jw_object_begin(&w);
    jw_kv_z(&w, "type", type);
    if (call) {
        jw_kv_str(&w, "id", call->id);
        jw_kv_str(&w, "name", call->name);
        jw_key(&w, "input");
        jw_raw(&w, STR("{}"));
    } else {
        jw_kv_z(&w, key, "");
    }
    jw_object_end(&w);
    event_end(&w);
}

static void block_stop(struct frames *f, size_t index)
{
    struct json_writer w = event_begin(f, FRAME_TAIL, "content_block_stop");
    jw_kv_int(&w, "index", (int64_t)index);
    event_end(&w);
}

static void stream_call(struct frames *f, const struct reply_call *call, size_t index)
{
    enum { PIECE = 9 };
    block_start(f, index, "tool_use", NULL, call);
    for (size_t at = 0; at < call->arguments.len; at += PIECE)
        write_delta(f, index, "input_json_delta", "partial_json",
                    str_sub(call->arguments, at, PIECE));
    block_stop(f, index);
}

static void stream_blocks(struct frames *f, const struct reply *r)
{
    size_t index = 0;
    if (r->reasoning_len) {
        block_start(f, index, "thinking", "thinking", NULL);
        for (size_t i = 0; i < r->reasoning_len; i++)
            write_delta(f, index, "thinking_delta", "thinking", r->reasoning[i]);
        write_delta(f, index, "signature_delta", "signature", STR("c2VhbGVk"));
        block_stop(f, index++);
    }
    if (r->tokens_len) {
        block_start(f, index, "text", "text", NULL);
        for (size_t i = 0; i < r->tokens_len; i++)
            write_delta(f, index, "text_delta", "text", r->tokens[i]);
        block_stop(f, index++);
    }
    for (size_t i = 0; i < r->calls_len; i++)
        stream_call(f, &r->calls[i], index++);
}

static void anthropic_stream(const struct ask *a UNUSED, const struct reply *r, struct frames *f)
{
    struct json_writer w = event_begin(f, FRAME_LEAD, "message_start");
    jw_key(&w, "message");
    jw_object_begin(&w);
    write_head(&w, r);
    jw_array_end(&w);
    write_finish(&w, NULL);
    if (r->usage)
        write_usage(&w, r, true, 1);
    jw_object_end(&w);
    event_end(&w);
    stream_blocks(f, r);
    w = event_begin(f, FRAME_TAIL, "message_delta");
    jw_key(&w, "delta");
    jw_object_begin(&w);
    write_finish(&w, finishes[r->finish]);
    jw_object_end(&w);
    if (r->usage)
        write_usage(&w, r, false, reply_tokens(r));
    event_end(&w);
    w = event_begin(f, FRAME_DONE, "message_stop");
    jw_object_end(&w);
    (void)buf_append_str(w.out, STR("    \n\n")); // blanks behind the brace, as the real one has
}

// --- Errors

static int anthropic_status(const struct mishap *m)
{
    return m->anthropic_status;
}

static void anthropic_error(const struct mishap *m, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "type", "error");
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_kv_z(&w, "type", m->anthropic_type);
    jw_kv_z(&w, "message", m->message);
    jw_object_end(&w);
    jw_object_end(&w);
}

static void anthropic_stream_error(const struct mishap *m, struct buf *out)
{
    (void)buf_append_str(out, STR("event: error\ndata: "));
    anthropic_error(m, out);
    (void)buf_append_str(out, STR("\n\n"));
}

const struct wire wire_anthropic = {
    .name = "anthropic",
    .stream_type = "text/event-stream; charset=utf-8",
    .continues = true,
    .ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    .read = anthropic_read,
    .whole = anthropic_whole,
    .stream = anthropic_stream,
    .status = anthropic_status,
    .error = anthropic_error,
    .stream_error = anthropic_stream_error,
};

void wire_anthropic_models(const str *models, size_t len, struct buf *out)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "data");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++) {
        jw_object_begin(&w);
        jw_kv_z(&w, "type", "model");
        jw_kv_str(&w, "id", models[i]);
        jw_kv_str(&w, "display_name", models[i]);
        jw_kv_z(&w, "created_at", "2026-01-01T00:00:00Z");
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_kv_bool(&w, "has_more", false);
    jw_kv_str(&w, "first_id", len ? models[0] : STR(""));
    jw_kv_str(&w, "last_id", len ? models[len - 1] : STR(""));
    jw_object_end(&w);
}
