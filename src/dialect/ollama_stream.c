// A streamed answer of chat or generate: a line of JSON an event; a call in one line, when it is
// complete.
#include "base/mem.h"
#include "dialect/blocks.h"
#include "dialect/ollama_common.h"

#include "base/banned.h"

#define HELD_BYTES_MAX (16u << 20)

struct ollama_stream {
    struct blocks blocks;
    struct dialect_stream *ds;
    bool chat; // what is said is in a message
    struct buf *out;
    const struct exchange_token *tokens; // of the event being written, until a line has them
    size_t tokens_len;
    size_t calls;
    enum exchange_finish finish;
};

static void line(struct ollama_stream *s, str text, str thinking, const struct block *call)
{
    struct json_writer w;
    ollama_line_begin(&w, s->ds->head, s->out);
    ollama_said_begin(&w, s->chat, text, thinking);
    if (call) {
        jw_key(&w, "tool_calls");
        jw_array_begin(&w);
        ollama_write_call(&w, s->calls++, call->id, call->name, buf_str(&call->text));
        jw_array_end(&w);
    }
    ollama_said_end(&w, s->chat);
    ollama_write_logprobs(&w, s->tokens, s->tokens_len);
    s->tokens_len = 0;
    jw_kv_bool(&w, "done", false);
    jw_object_end(&w);
    buf_append_char(s->out, '\n');
}

static void on_open(void *ctx UNUSED, const struct block *b UNUSED)
{
}

static void on_grow(void *ctx, const struct block *b, str text)
{
    if (b->type == BLOCK_TEXT)
        line(ctx, text, STR_NONE, NULL);
    else if (b->type == BLOCK_THINKING)
        line(ctx, STR(""), text, NULL);
}

static void on_sign(void *ctx UNUSED, const struct block *b UNUSED)
{
}

static void on_close(void *ctx, const struct block *b)
{
    if (b->type == BLOCK_CALL)
        line(ctx, STR(""), STR_NONE, b);
}

static const struct block_sink sink = {on_open, on_grow, on_sign, on_close};

static void last_line(struct ollama_stream *s, const struct exchange_usage *u)
{
    struct json_writer w;
    ollama_line_begin(&w, s->ds->head, s->out);
    ollama_said_begin(&w, s->chat, STR(""), STR_NONE);
    ollama_said_end(&w, s->chat);
    ollama_write_done(&w, s->ds->head, s->finish, u);
    jw_object_end(&w);
    buf_append_char(s->out, '\n');
}

static struct ollama_stream *state_of(struct dialect_stream *ds, struct buf *out)
{
    struct ollama_stream *s = ds->state;
    if (!s) {
        s = ds->state = mem_new(struct ollama_stream);
        blocks_init(&s->blocks, &sink, s, BLOCKS_KEEP_CALLS, HELD_BYTES_MAX);
        s->ds = ds;
    }
    s->out = out;
    return s;
}

static void write_event(struct dialect_stream *ds, bool chat, const struct exchange_event *e,
                        struct buf *out)
{
    struct ollama_stream *s = state_of(ds, out);
    s->chat = chat;
    if (e->choice > 0)
        return;
    s->tokens = e->tokens;
    s->tokens_len = e->tokens_len;
    blocks_feed(&s->blocks, e);
    if (s->tokens_len) // scored, but its text is held back
        line(s, STR(""), STR_NONE, NULL);
    if (e->type == EXCHANGE_EVENT_FINISH) {
        s->finish = e->finish;
        blocks_finish(&s->blocks);
    }
    if (e->type == EXCHANGE_EVENT_END)
        last_line(s, &e->usage);
    ds->failed = s->blocks.failed;
}

void ollama_chat_event(struct dialect_stream *ds, const struct exchange_event *e, struct buf *out)
{
    write_event(ds, true, e, out);
}

void ollama_generate_event(struct dialect_stream *ds, const struct exchange_event *e,
                           struct buf *out)
{
    write_event(ds, false, e, out);
}

void ollama_stream_done(struct dialect_stream *ds)
{
    struct ollama_stream *s = ds->state;
    if (!s)
        return;
    blocks_done(&s->blocks);
    mem_free(s);
    ds->state = NULL;
}
