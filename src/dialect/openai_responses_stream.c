// The events of a Responses stream: the response opens; each item of its output opens, grows and is
// done, one after the other; the response is done, with everything in it once more.
#include "base/mem.h"
#include "dialect/frame.h"
#include "dialect/openai_responses.h"

#include "base/banned.h"

#define HELD_BYTES_MAX (16u << 20)

struct responses_stream {
    struct blocks blocks;
    struct dialect_stream *ds;
    struct buf *out;
    int64_t sequence;
    bool begun, finished;
    enum exchange_finish finish;
    const struct exchange_token *tokens; // of the event being written
    size_t tokens_len;
    struct buf logprobs; // of the open item, as JSON
    struct buf output;   // the items that are done, as JSON
};

// --- Events

static void begin(struct responses_stream *s, struct json_writer *w, const char *type)
{
    frame_begin(s->out, type);
    jw_init(w, s->out);
    jw_object_begin(w);
    jw_kv_z(w, "type", type);
    jw_kv_int(w, "sequence_number", s->sequence++);
}

static void end(struct responses_stream *s, struct json_writer *w)
{
    jw_object_end(w);
    frame_end(s->out);
}

// An event of an item, or of its one content part.
static void begin_of(struct responses_stream *s, struct json_writer *w, const char *type,
                     const struct block *b)
{
    begin(s, w, type);
    responses_write_item_id(w, "item_id", s->ds->head, b->type, b->index);
    jw_kv_int(w, "output_index", b->index);
    if (b->type != BLOCK_CALL)
        jw_kv_int(w, "content_index", 0);
}

static void item_event(struct responses_stream *s, const char *type, const struct block *b,
                       const struct responses_item *item)
{
    struct json_writer w;
    begin(s, &w, type);
    jw_kv_int(&w, "output_index", b->index);
    jw_key(&w, "item");
    responses_write_item(&w, s->ds->head, item);
    end(s, &w);
}

static void part_event(struct responses_stream *s, const char *type, const struct block *b,
                       str text)
{
    struct json_writer w;
    begin_of(s, &w, type, b);
    jw_key(&w, "part");
    responses_write_part(&w, b->type, text, buf_str(&s->logprobs));
    end(s, &w);
}

static void response_event(struct responses_stream *s, const char *type,
                           const struct responses_state *state)
{
    struct json_writer w;
    begin(s, &w, type);
    jw_key(&w, "response");
    responses_write(&w, s->ds->request, s->ds->head, state);
    end(s, &w);
}

// --- Blocks

static const char *const deltas[] = {"response.reasoning_text.delta", "response.output_text.delta",
                                     "response.function_call_arguments.delta"};
static const char *const dones[] = {"response.reasoning_text.done", "response.output_text.done",
                                    "response.function_call_arguments.done"};

static void write_logprobs(struct json_writer *w, str items)
{
    jw_key(w, "logprobs");
    jw_array_begin(w);
    if (items.len)
        jw_raw(w, items);
    jw_array_end(w);
}

static struct responses_item item_of(const struct block *b)
{
    return (struct responses_item){
        .type = b->type,
        .index = b->index,
        .call_id = b->id,
        .name = b->name,
        .signature = b->signature,
    };
}

static void on_open(void *ctx, const struct block *b)
{
    struct responses_stream *s = ctx;
    struct responses_item item = item_of(b);
    item.status = "in_progress";
    item.opening = true;
    item_event(s, "response.output_item.added", b, &item);
    if (b->type != BLOCK_CALL && !b->redacted)
        part_event(s, "response.content_part.added", b, STR(""));
}

static void on_grow(void *ctx, const struct block *b, str text)
{
    struct responses_stream *s = ctx;
    struct json_writer w;
    begin_of(s, &w, deltas[b->type], b);
    jw_kv_str(&w, "delta", text);
    if (b->type == BLOCK_TEXT) {
        size_t had = s->logprobs.len;
        responses_add_logprobs(&s->logprobs, s->tokens, s->tokens_len);
        s->tokens_len = 0;
        str new = str_sub(buf_str(&s->logprobs), had, SIZE_MAX);
        write_logprobs(&w, had && new.len ? str_sub(new, 1, SIZE_MAX) : new);
    }
    end(s, &w);
}

static void on_sign(void *ctx UNUSED, const struct block *b UNUSED)
{
}

static void said(struct responses_stream *s, const struct block *b)
{
    struct json_writer w;
    begin_of(s, &w, dones[b->type], b);
    if (b->type == BLOCK_CALL)
        jw_kv_str(&w, "name", b->name);
    jw_kv_str(&w, b->type == BLOCK_CALL ? "arguments" : "text", buf_str(&b->text));
    if (b->type == BLOCK_TEXT)
        write_logprobs(&w, buf_str(&s->logprobs));
    end(s, &w);
    if (b->type != BLOCK_CALL)
        part_event(s, "response.content_part.done", b, buf_str(&b->text));
}

static void on_close(void *ctx, const struct block *b)
{
    struct responses_stream *s = ctx;
    struct json_writer w;
    bool cut = s->finished && b->index + 1 == s->blocks.len;
    struct responses_item item = item_of(b);
    item.status = cut ? responses_status(s->finish) : "completed";
    item.text = buf_str(&b->text);
    item.logprobs = buf_str(&s->logprobs);
    if (!b->redacted)
        said(s, b);
    item_event(s, "response.output_item.done", b, &item);
    if (s->output.len)
        buf_append_char(&s->output, ',');
    jw_init(&w, &s->output);
    responses_write_item(&w, s->ds->head, &item);
    buf_clear(&s->logprobs);
}

static const struct block_sink sink = {on_open, on_grow, on_sign, on_close};

// --- The response

static void open_response(struct responses_stream *s)
{
    struct responses_state state = {.status = "in_progress"};
    s->begun = true;
    response_event(s, "response.created", &state);
    response_event(s, "response.in_progress", &state);
}

static void close_response(struct responses_stream *s, const struct exchange_usage *usage)
{
    blocks_finish(&s->blocks);
    struct responses_state state = {.status = responses_status(s->finish),
                                    .finish = s->finish,
                                    .output = buf_str(&s->output),
                                    .usage = usage};
    bool complete = str_eq_z(STR("completed"), state.status);
    response_event(s, complete ? "response.completed" : "response.incomplete", &state);
}

static struct responses_stream *state_of(struct dialect_stream *ds, struct buf *out)
{
    struct responses_stream *s = ds->state;
    if (!s) {
        s = ds->state = mem_new(struct responses_stream);
        s->ds = ds;
        blocks_init(&s->blocks, &sink, s, BLOCKS_KEEP_ALL, HELD_BYTES_MAX);
        buf_init(&s->logprobs, HELD_BYTES_MAX);
        buf_init(&s->output, 2 * HELD_BYTES_MAX);
    }
    s->out = out;
    return s;
}

void responses_event(struct dialect_stream *ds, const struct exchange_event *e, struct buf *out)
{
    struct responses_stream *s = state_of(ds, out);
    if (e->choice > 0 || e->type == EXCHANGE_EVENT_ERROR || e->type == EXCHANGE_EVENT_RAW)
        return;
    if (!s->begun)
        open_response(s);
    s->tokens = e->tokens;
    s->tokens_len = e->tokens_len;
    if (e->type == EXCHANGE_EVENT_FINISH) {
        s->finish = e->finish;
        s->finished = true;
        blocks_finish(&s->blocks);
    } else if (e->type == EXCHANGE_EVENT_END) {
        close_response(s, &e->usage);
    } else {
        blocks_feed(&s->blocks, e);
        responses_add_logprobs(&s->logprobs, s->tokens, s->tokens_len); // their text is held back
    }
    ds->failed = s->blocks.failed || s->logprobs.failed || s->output.failed;
}

// What is open stays open: nobody shall take it for whole.
void responses_stream_error(struct dialect_stream *ds, const struct api_error *e,
                            str request_id UNUSED, struct buf *out)
{
    struct responses_stream *s = state_of(ds, out);
    struct responses_state state = {.status = "failed", .output = buf_str(&s->output), .error = e};
    struct json_writer w;
    begin(s, &w, "error");
    jw_kv_z(&w, "code", api_error_row(e->code)->name);
    jw_kv_z(&w, "message", e->message);
    if (e->param[0])
        jw_kv_z(&w, "param", e->param);
    else
        jw_kv_null(&w, "param");
    end(s, &w);
    response_event(s, "response.failed", &state);
}

void responses_stream_done(struct dialect_stream *ds)
{
    struct responses_stream *s = ds->state;
    if (!s)
        return;
    blocks_done(&s->blocks);
    buf_done(&s->logprobs);
    buf_done(&s->output);
    mem_free(s);
    ds->state = NULL;
}
