#include "support/upstream_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define MUST(x)                                                                                    \
    do {                                                                                           \
        if (!(x)) {                                                                                \
            fprintf(stderr, "upstream_log: not so: %s\n", #x);                                     \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct fed {
    struct arena arena;
    struct json_doc doc;
    struct exchange_request request;
    struct upstream_reader reader;
    struct http_frames frames;
    struct buf *out;
    size_t ends;
};

static void say(struct fed *f, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(struct fed *f, const char *fmt, ...)
{
    char text[4096];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (f->out->len)
        (void)buf_append_char(f->out, ' ');
    (void)buf_append(f->out, text, min_size((size_t)len, sizeof text - 1));
}

static void say_event(struct fed *f, const struct exchange_event *e)
{
    unsigned c = e->choice;
    switch (e->type) {
    case EXCHANGE_EVENT_BEGIN:
        say(f, "begin");
        return;
    case EXCHANGE_EVENT_TEXT:
        say(f, "text(%u:" STR_FMT ")", c, STR_ARG(e->text));
        for (size_t i = 0; i < e->tokens_len; i++)
            say(f, "token(" STR_FMT ",%g,%zu)", STR_ARG(e->tokens[i].bytes),
                (double)e->tokens[i].logprob, e->tokens[i].top_len);
        return;
    case EXCHANGE_EVENT_THINKING:
        say(f, "think(%u:" STR_FMT "|" STR_FMT ")", c, STR_ARG(e->text), STR_ARG(e->signature));
        return;
    case EXCHANGE_EVENT_CALL:
        say(f, "call(%u.%u:" STR_FMT "," STR_FMT ")", c, e->call_index, STR_ARG(e->call.id),
            STR_ARG(e->call.name));
        return;
    case EXCHANGE_EVENT_ARGUMENTS:
        say(f, "args(%u.%u:" STR_FMT ")", c, e->call_index, STR_ARG(e->text));
        return;
    case EXCHANGE_EVENT_EMBEDDING:
        say(f, "embed(%u:%zu,%.9g)", c, e->embedding_len,
            e->embedding_len ? (double)e->embedding[0] : 0);
        return;
    case EXCHANGE_EVENT_FINISH:
        say(f, "finish(%u:%s" STR_FMT ")", c, exchange_finish_name(e->finish),
            STR_ARG(e->stop_matched));
        return;
    case EXCHANGE_EVENT_END:
        say(f, "end(%llu+%llu%s)", (unsigned long long)e->usage.prompt_tokens,
            (unsigned long long)e->usage.completion_tokens, e->usage.estimated ? "?" : "");
        return;
    case EXCHANGE_EVENT_ERROR:
        say(f, "error(%s,%s)", api_error_row(e->error->code)->name,
            failure_name(e->error->failure));
        return;
    case EXCHANGE_EVENT_RAW:
        say(f, "raw");
        return;
    }
}

static void take_events(struct fed *f)
{
    struct exchange_event e;
    while (exchange_events_pop(&f->reader.events, &e)) {
        MUST(!f->ends);
        MUST(e.choice < exchange_choices(&f->request));
        f->ends += e.type == EXCHANGE_EVENT_END || e.type == EXCHANGE_EVENT_ERROR;
        say_event(f, &e);
        if (e.raw.len) {
            (void)buf_append_char(f->out, '<');
            (void)buf_append_str(f->out, e.raw);
            (void)buf_append_char(f->out, '>');
        }
    }
}

// A copy of its own size, so that a sanitizer sees a step too far.
static void feed(struct fed *f, str bytes)
{
    char *copy = malloc(bytes.len ? bytes.len : 1);
    MUST(copy);
    memcpy(copy, bytes.ptr, bytes.len);
    str in = str_slice(copy, bytes.len);
    while (!f->reader.ended && http_frames_next(&f->frames, &in, &f->reader))
        take_events(f);
    take_events(f);
    free(copy);
}

static void feed_cut(struct fed *f, str bytes, size_t at, size_t step)
{
    feed(f, str_sub(bytes, 0, at));
    bytes = str_sub(bytes, at, SIZE_MAX);
    while (bytes.len) {
        size_t len = step ? step : bytes.len;
        feed(f, str_sub(bytes, 0, len));
        bytes = str_sub(bytes, len, SIZE_MAX);
    }
}

void upstream_log(const struct upstream_case *c, str bytes, size_t at, size_t step, struct buf *out)
{
    struct fed f = {.out = out};
    struct api_error error;
    struct diag d;
    arena_init(&f.arena, 1 << 20);
    MUST(json_parse(&f.doc, str_of(c->request), JSON_LIMITS_DEFAULT, &d) == ERR_OK);
    MUST(c->client->read(f.doc.root, &f.arena, &f.request, &error));
    f.request.spoken = c->client;
    f.request.root = f.doc.root;
    upstream_reader_init(&f.reader, c->dialect, &f.request, STR("p"),
                         upstream_is_spliced(c->dialect, &f.request));
    http_frames_init(&f.frames, c->dialect->framing, f.request.stream, 1 << 22);
    feed_cut(&f, bytes, at, step);
    while (!f.reader.ended) {
        http_frames_eof(&f.frames, c->broken, &f.reader);
        take_events(&f);
    }
    MUST(f.ends == 1);
    http_frames_done(&f.frames);
    upstream_reader_done(&f.reader);
    json_done(&f.doc);
    arena_done(&f.arena);
}

// --- Rows

// Reads as OpenAI's do, and is the same as none.
static struct dialect foreign(enum exchange_kind kind)
{
    if (kind == EXCHANGE_COMPLETION)
        return dialect_openai_completions;
    return kind == EXCHANGE_EMBEDDING ? dialect_openai_embeddings : dialect_openai_chat;
}

static bool holds(const struct upstream_row *r, size_t at, size_t step, struct buf *ret_said)
{
    struct dialect other = foreign(r->dialect->kind);
    struct upstream_case c = {r->dialect, r->client ? r->client : &other, r->request, r->broken};
    struct buf log;
    buf_init(&log, 1 << 20);
    upstream_log(&c, str_of(r->bytes), at, step, &log);
    bool same = str_eq_z(buf_str(&log), r->expected);
    if (!same)
        (void)buf_printf(ret_said, "%s (cut at %zu, every %zu):\n%s\nexpected:\n%s", r->what, at,
                         step, buf_cstr(&log), r->expected);
    buf_done(&log);
    return same;
}

static bool row_holds(const struct upstream_row *r, struct buf *ret_said)
{
    for (size_t at = 0; at <= strlen(r->bytes); at++)
        if (!holds(r, at, 0, ret_said))
            return false;
    for (size_t step = 1; step < 8; step++)
        if (!holds(r, 0, step, ret_said))
            return false;
    return true;
}

bool upstream_rows_hold(const struct upstream_row *rows, size_t len, struct buf *ret_said)
{
    for (size_t i = 0; i < len; i++)
        if (!row_holds(&rows[i], ret_said))
            return false;
    return true;
}
