// The events of a Messages stream: message_start, blocks one after the other, message_delta once
// the usage is known, message_stop.
#include "dialect/anthropic_common.h"
#include "dialect/blocks.h"
#include "dialect/frame.h"

#include "base/mem.h"

#include "base/banned.h"

#define HELD_BYTES_MAX (16u << 20)

struct anthropic_stream {
    struct blocks blocks;
    struct buf *out; // of the event being written
    bool begun;
    enum exchange_finish finish;
    struct buf stop_matched;
};

// --- Blocks

static void event_begin(struct json_writer *w, struct buf *out, const char *type)
{
    frame_begin(out, type);
    jw_init(w, out);
    jw_object_begin(w);
    jw_kv_z(w, "type", type);
}

static void event_end(struct json_writer *w, struct buf *out)
{
    jw_object_end(w);
    frame_end(out);
}

static void on_open(void *ctx, const struct block *b)
{
    struct anthropic_stream *s = ctx;
    struct json_writer w;
    event_begin(&w, s->out, "content_block_start");
    jw_kv_int(&w, "index", b->index);
    jw_key(&w, "content_block");
    if (b->type == BLOCK_TEXT)
        anthropic_write_text(&w, STR(""));
    else if (b->type == BLOCK_THINKING)
        anthropic_write_thinking(&w, STR(""), b->signature, b->redacted);
    else
        anthropic_write_tool_use(&w, b->id, b->name, STR(""));
    event_end(&w, s->out);
}

static void delta(struct anthropic_stream *s, const struct block *b, const char *type,
                  const char *member, str text)
{
    struct json_writer w;
    event_begin(&w, s->out, "content_block_delta");
    jw_kv_int(&w, "index", b->index);
    jw_key(&w, "delta");
    jw_object_begin(&w);
    jw_kv_z(&w, "type", type);
    jw_kv_str(&w, member, text);
    jw_object_end(&w);
    event_end(&w, s->out);
}

static void on_grow(void *ctx, const struct block *b, str text)
{
    static const char *const types[] = {"thinking_delta", "text_delta", "input_json_delta"};
    static const char *const members[] = {"thinking", "text", "partial_json"};
    delta(ctx, b, types[b->type], members[b->type], text);
}

static void on_sign(void *ctx, const struct block *b)
{
    delta(ctx, b, "signature_delta", "signature", b->signature);
}

static void on_close(void *ctx, const struct block *b)
{
    struct anthropic_stream *s = ctx;
    struct json_writer w;
    event_begin(&w, s->out, "content_block_stop");
    jw_kv_int(&w, "index", b->index);
    event_end(&w, s->out);
}

static const struct block_sink sink = {on_open, on_grow, on_sign, on_close};

// --- The message

static void message_start(struct dialect_stream *ds, struct anthropic_stream *s,
                          const struct exchange_usage *usage)
{
    struct json_writer w;
    s->begun = true;
    event_begin(&w, s->out, "message_start");
    jw_key(&w, "message");
    jw_object_begin(&w);
    anthropic_write_head(&w, ds->head);
    jw_key(&w, "content");
    jw_array_begin(&w);
    jw_array_end(&w);
    jw_kv_null(&w, "stop_reason");
    jw_kv_null(&w, "stop_sequence");
    jw_key(&w, "usage");
    jw_object_begin(&w);
    anthropic_write_usage(&w, usage);
    jw_object_end(&w);
    jw_object_end(&w);
    event_end(&w, s->out);
    event_begin(&w, s->out, "ping");
    event_end(&w, s->out);
}

static void message_end(struct anthropic_stream *s, const struct exchange_usage *usage)
{
    struct json_writer w;
    blocks_finish(&s->blocks);
    event_begin(&w, s->out, "message_delta");
    jw_key(&w, "delta");
    jw_object_begin(&w);
    anthropic_write_stop(&w, s->finish, buf_str(&s->stop_matched));
    jw_object_end(&w);
    jw_key(&w, "usage");
    jw_object_begin(&w);
    anthropic_write_usage(&w, usage);
    jw_object_end(&w);
    event_end(&w, s->out);
    event_begin(&w, s->out, "message_stop");
    event_end(&w, s->out);
}

static struct anthropic_stream *state_of(struct dialect_stream *ds, struct buf *out)
{
    struct anthropic_stream *s = ds->state;
    if (!s) {
        s = ds->state = mem_new(struct anthropic_stream);
        blocks_init(&s->blocks, &sink, s, BLOCKS_KEEP_NONE, HELD_BYTES_MAX);
        buf_init(&s->stop_matched, HELD_BYTES_MAX);
    }
    s->out = out;
    return s;
}

void anthropic_event(struct dialect_stream *ds, const struct exchange_event *e, struct buf *out)
{
    struct anthropic_stream *s = state_of(ds, out);
    if (e->choice > 0 || e->type == EXCHANGE_EVENT_ERROR || e->type == EXCHANGE_EVENT_RAW)
        return;
    if (!s->begun)
        message_start(ds, s, &e->usage);
    if (e->type == EXCHANGE_EVENT_FINISH) {
        s->finish = e->finish;
        (void)buf_append_str(&s->stop_matched, e->stop_matched);
        blocks_finish(&s->blocks);
    } else if (e->type == EXCHANGE_EVENT_END) {
        message_end(s, &e->usage);
    } else {
        blocks_feed(&s->blocks, e);
    }
    ds->failed = s->blocks.failed;
}

void anthropic_stream_done(struct dialect_stream *ds)
{
    struct anthropic_stream *s = ds->state;
    if (!s)
        return;
    blocks_done(&s->blocks);
    buf_done(&s->stop_matched);
    mem_free(s);
    ds->state = NULL;
}
