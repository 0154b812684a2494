#include "gateway/http_frames.h"

#include "base/banned.h"

static void take_shape(struct http_frames *f, enum http_frames_shape shape)
{
    f->shape = shape;
    if (shape == HTTP_FRAMES_SSE)
        sse_reader_init(&f->sse, UPSTREAM_FRAME_BYTES_MAX);
    else if (shape == HTTP_FRAMES_LINES)
        ndjson_reader_init(&f->lines, UPSTREAM_FRAME_BYTES_MAX);
    else if (shape == HTTP_FRAMES_DOCUMENT)
        buf_init(&f->document, f->document_bytes_max);
}

void http_frames_init(struct http_frames *f, enum upstream_framing framing, bool stream,
                      size_t document_bytes_max)
{
    *f = (struct http_frames){.framing = framing, .document_bytes_max = document_bytes_max};
    take_shape(f, stream ? HTTP_FRAMES_UNKNOWN : HTTP_FRAMES_DOCUMENT);
}

void http_frames_done(struct http_frames *f)
{
    if (f->shape == HTTP_FRAMES_SSE)
        sse_reader_done(&f->sse);
    else if (f->shape == HTTP_FRAMES_LINES)
        ndjson_reader_done(&f->lines);
    else if (f->shape == HTTP_FRAMES_DOCUMENT)
        buf_done(&f->document);
}

void http_frames_rest(struct http_frames *f)
{
    if (f->shape == HTTP_FRAMES_SSE)
        sse_reader_rest(&f->sse);
}

// The first byte that says something decides: no event stream begins with a brace or a tag.
static bool guess(struct http_frames *f, str *in)
{
    while (in->len && memchr(" \t\r\n", in->ptr[0], 4))
        *in = str_sub(*in, 1, SIZE_MAX);
    if (!in->len)
        return false;
    char first = in->ptr[0];
    if (f->framing == UPSTREAM_NDJSON)
        take_shape(f, first == '{' ? HTTP_FRAMES_LINES : HTTP_FRAMES_DOCUMENT);
    else if (first == '{' || first == '[' || first == '<')
        take_shape(f, HTTP_FRAMES_DOCUMENT);
    else
        take_shape(f, HTTP_FRAMES_SSE);
    return true;
}

static bool too_large(struct upstream_reader *r)
{
    upstream_malformed(r, "sent an event that is too large");
    return true;
}

static bool next_event(struct http_frames *f, str *in, struct upstream_reader *r)
{
    struct sse_event e;
    enum err got = sse_next(&f->sse, in, &e);
    if (got == ERR_OK)
        upstream_reader_frame(r, e.event, e.data);
    return got == ERR_OK || (got != ERR_AGAIN && too_large(r));
}

static bool next_line(struct http_frames *f, str *in, struct upstream_reader *r)
{
    str line;
    enum err got = ndjson_next(&f->lines, in, &line);
    if (got == ERR_OK)
        upstream_reader_frame(r, STR_NONE, line);
    return got == ERR_OK || (got != ERR_AGAIN && too_large(r));
}

static bool keep(struct http_frames *f, str *in, struct upstream_reader *r)
{
    struct api_error e;
    enum err got = buf_append_str(&f->document, *in);
    *in = STR_NONE;
    if (got == ERR_OK)
        return false;
    api_error_set(&e, API_ANSWER_TOO_LARGE, NULL,
                  "The answer is larger than %zu bytes. Ask for less, or stream it.",
                  f->document.limit);
    e.failure = FAILURE_CLIENT;
    upstream_reader_fail(r, &e);
    return true;
}

bool http_frames_next(struct http_frames *f, str *in, struct upstream_reader *r)
{
    if (!in->len || (f->shape == HTTP_FRAMES_UNKNOWN && !guess(f, in)))
        return false;
    if (f->shape == HTTP_FRAMES_SSE)
        return next_event(f, in, r);
    if (f->shape == HTTP_FRAMES_LINES)
        return next_line(f, in, r);
    return keep(f, in, r);
}

void http_frames_eof(struct http_frames *f, bool broken, struct upstream_reader *r)
{
    struct sse_event e;
    str line;
    r->at_eof = f->shape != HTTP_FRAMES_DOCUMENT;
    if (f->shape == HTTP_FRAMES_SSE && !broken && sse_eof(&f->sse, &e) == ERR_OK)
        upstream_reader_frame(r, e.event, e.data);
    else if (f->shape == HTTP_FRAMES_LINES && !broken && ndjson_eof(&f->lines, &line) == ERR_OK)
        upstream_reader_frame(r, STR_NONE, line);
    else if (f->shape == HTTP_FRAMES_DOCUMENT && !broken)
        upstream_reader_whole(r, buf_str(&f->document));
    else
        upstream_reader_eof(r);
}
