#include "dialect/blocks.h"

#include "base/mem.h"

#include "base/banned.h"

#define BLOCKS_MAX 4096

void blocks_init(struct blocks *b, const struct block_sink *sink, void *ctx, enum blocks_keep keep,
                 size_t bytes_max)
{
    *b = (struct blocks){.sink = sink, .ctx = ctx, .keep = keep, .bytes_max = bytes_max};
    arena_init(&b->arena, bytes_max);
}

void blocks_done(struct blocks *b)
{
    for (size_t i = 0; i < b->len; i++) {
        buf_done(&b->items[i]->text);
        buf_done(&b->items[i]->held);
        mem_free(b->items[i]);
    }
    mem_free(b->items);
    arena_done(&b->arena);
    *b = (struct blocks){0};
}

// --- What is held

static bool charge(struct blocks *b, size_t bytes)
{
    if (b->failed || bytes > b->bytes_max - b->bytes) {
        b->failed = true;
        return false;
    }
    b->bytes += bytes;
    return true;
}

static str copied(struct blocks *b, str s)
{
    str copy = arena_str(&b->arena, s);
    b->failed = b->failed || !copy.ptr;
    return copy.ptr ? copy : STR("");
}

static struct block *add(struct blocks *b, enum block_type type)
{
    if (b->len == BLOCKS_MAX || b->failed) {
        b->failed = true;
        return NULL;
    }
    if (b->len == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 4;
        b->items = mem_resize(b->items, b->cap, sizeof *b->items);
    }
    struct block *new = b->items[b->len++] = mem_new(struct block);
    new->type = type;
    buf_init(&new->text, b->bytes_max);
    buf_init(&new->held, b->bytes_max);
    return new;
}

// --- Opening and closing

static bool keeps(const struct blocks *b, const struct block *block)
{
    return b->keep == BLOCKS_KEEP_ALL ||
           (b->keep == BLOCKS_KEEP_CALLS && block->type == BLOCK_CALL);
}

static void grow(struct blocks *b, struct block *block, str text)
{
    if (!text.len)
        return;
    if (keeps(b, block) && charge(b, text.len))
        (void)buf_append_str(&block->text, text);
    b->sink->grow(b->ctx, block, text);
}

static void close_open(struct blocks *b)
{
    if (!b->open)
        return;
    b->open->closed = true;
    b->sink->close(b->ctx, b->open);
    b->open = NULL;
}

static void open_next(struct blocks *b)
{
    struct block *next = b->items[b->opened];
    close_open(b);
    next->index = (uint32_t)b->opened++;
    b->open = next;
    b->sink->open(b->ctx, next);
    grow(b, next, buf_str(&next->held));
    buf_done(&next->held);
    if (next->signature.len && !next->redacted)
        b->sink->sign(b->ctx, next);
}

static bool complete(const struct block_json *j)
{
    return j->begun && !j->depth && !j->in_string;
}

// Give waiting blocks their turn.
static void advance(struct blocks *b)
{
    while (b->opened < b->len &&
           (!b->open || b->open->type != BLOCK_CALL || complete(&b->open->json)))
        open_next(b);
}

void blocks_finish(struct blocks *b)
{
    while (b->opened < b->len)
        open_next(b);
    close_open(b);
}

// --- Events

static void scan(struct block_json *j, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (j->escaped) {
            j->escaped = false;
        } else if (j->in_string) {
            j->escaped = c == '\\';
            j->in_string = c != '"';
        } else if (c == '"') {
            j->in_string = j->begun = true;
        } else if (c == '{' || c == '[') {
            j->depth++;
            j->begun = true;
        } else if ((c == '}' || c == ']') && j->depth) {
            j->depth--;
        }
    }
}

static void say(struct blocks *b, struct block *block, str text)
{
    if (block == b->open)
        grow(b, block, text);
    else if (charge(b, text.len))
        (void)buf_append_str(&block->held, text);
}

static struct block *added(struct blocks *b, enum block_type type)
{
    struct block *block = add(b, type);
    if (block)
        advance(b);
    return block;
}

// The last block, if what is said now goes on with it.
static struct block *going_on(const struct blocks *b, enum block_type type)
{
    struct block *last = b->len ? b->items[b->len - 1] : NULL;
    bool same = last && last->type == type && !last->closed && !last->signature.len;
    return same ? last : NULL;
}

static void feed_said(struct blocks *b, enum block_type type, str text)
{
    if (!text.len)
        return;
    struct block *block = going_on(b, type);
    if (!block)
        block = added(b, type);
    if (block)
        say(b, block, text);
}

static void feed_signature(struct blocks *b, str signature)
{
    struct block *block = going_on(b, BLOCK_THINKING);
    if (block) {
        block->signature = copied(b, signature);
        if (block == b->open)
            b->sink->sign(b->ctx, block);
        return;
    }
    block = add(b, BLOCK_THINKING);
    if (!block)
        return;
    block->redacted = true;
    block->signature = copied(b, signature);
    advance(b);
}

static void feed_call(struct blocks *b, const struct exchange_event *e)
{
    struct block *block = add(b, BLOCK_CALL);
    if (!block)
        return;
    block->call_index = e->call_index;
    block->id = copied(b, e->call.id);
    block->name = copied(b, e->call.name);
    advance(b);
}

static void feed_arguments(struct blocks *b, const struct exchange_event *e)
{
    struct block *block = NULL;
    for (size_t i = b->len; i-- > 0 && !block;)
        if (b->items[i]->type == BLOCK_CALL && b->items[i]->call_index == e->call_index)
            block = b->items[i];
    if (!block || block->closed)
        return; // blanks behind complete arguments
    scan(&block->json, e->text);
    say(b, block, e->text);
    advance(b);
}

void blocks_feed(struct blocks *b, const struct exchange_event *e)
{
    switch (e->type) {
    case EXCHANGE_EVENT_TEXT:
        feed_said(b, BLOCK_TEXT, e->text);
        return;
    case EXCHANGE_EVENT_THINKING:
        feed_said(b, BLOCK_THINKING, e->text);
        if (e->signature.len)
            feed_signature(b, e->signature);
        return;
    case EXCHANGE_EVENT_CALL:
        feed_call(b, e);
        return;
    case EXCHANGE_EVENT_ARGUMENTS:
        feed_arguments(b, e);
        return;
    case EXCHANGE_EVENT_BEGIN:
    case EXCHANGE_EVENT_EMBEDDING:
    case EXCHANGE_EVENT_FINISH:
    case EXCHANGE_EVENT_END:
    case EXCHANGE_EVENT_ERROR:
    case EXCHANGE_EVENT_RAW:
        return;
    }
}
