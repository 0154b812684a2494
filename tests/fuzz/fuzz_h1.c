// REQ: SEC-3 SEC-4
// Any bytes as HTTP/1.1 requests and responses. Byte 0 chooses kind and cuts; whatever the cuts,
// the events, heads, bodies and errors must be those of the input read whole.
#include <stdlib.h>

#include "base/buf.h"
#include "http/h1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct h1_limits limits = {
    .header_bytes_max = 512, .target_bytes_max = 64, .headers_max = 6};

struct reading {
    struct h1 codec;
    struct arena arena;
    struct buf log;
    bool response, no_body, over;
};

static void begin(struct reading *t)
{
    arena_reset(&t->arena);
    h1_begin(&t->codec, &t->arena, t->no_body);
}

static void log_head(struct reading *t)
{
    const struct h1_head *h = &t->codec.head;
    buf_printf(&t->log, "\nH%d.%d%d%d%d:%llu ", h->status, h->minor, h->keep_alive, h->chunked,
               h->has_length, (unsigned long long)h->length);
    buf_append_str(&t->log, h->method);
    buf_append_str(&t->log, h->target);
    buf_append_str(&t->log, h->reason);
    for (size_t i = 0; i < h->headers_len; i++) {
        if (!http_token_ok(h->headers[i].name) || !http_value_ok(h->headers[i].value))
            abort(); // what is handed on must be fit to be sent again
        buf_append_str(&t->log, h->headers[i].name);
        buf_append_char(&t->log, ':');
        buf_append_str(&t->log, h->headers[i].value);
        buf_append_char(&t->log, ';');
    }
    if (h->chunked && h->has_length)
        abort();
}

static void feed(struct reading *t, str piece)
{
    char *copy = malloc(piece.len ? piece.len : 1);
    if (!copy)
        abort();
    memcpy(copy, piece.ptr, piece.len);
    str in = str_slice(copy, piece.len), body;
    while (!t->over) {
        enum h1_event e = h1_next(&t->codec, &in, &body);
        if (e == H1_MORE && in.len)
            abort();
        if (e == H1_MORE)
            break;
        if (e == H1_BODY && body.len == 0)
            abort();
        if (e == H1_BODY)
            buf_append_str(&t->log, body);
        if (e == H1_HEAD)
            log_head(t);
        if (e == H1_ERROR) {
            buf_printf(&t->log, "\nE%d %s", t->codec.error.status, t->codec.error.reason);
            t->over = true;
        }
        if (e == H1_END) {
            buf_printf(&t->log, "\n.");
            begin(t);
            if (in.len == 0)
                break;
        }
    }
    free(copy);
}

static void read_all(struct reading *t, str input, bool whole, uint32_t cuts)
{
    arena_init(&t->arena, 65536);
    buf_init(&t->log, SIZE_MAX);
    h1_init(&t->codec, t->response ? H1_RESPONSE : H1_REQUEST, &limits);
    begin(t);
    while (input.len && !t->over) {
        cuts = cuts * 1664525u + 1013904223u;
        size_t len = whole ? input.len : min_size(input.len, 1 + (cuts >> 8) % 29);
        feed(t, str_sub(input, 0, len));
        input = str_sub(input, len, input.len);
    }
    if (t->response && !t->over)
        buf_printf(&t->log, "\n%s", h1_eof(&t->codec) == H1_END ? "end" : "cut");
    arena_done(&t->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 8192)
        return 0;
    bool response = data[0] & 1, no_body = response && (data[0] & 2);
    str input = str_slice((const char *)data + 1, size - 1);
    struct reading whole = {.response = response, .no_body = no_body};
    struct reading cut = whole;
    read_all(&whole, input, true, 0);
    read_all(&cut, input, false, (uint32_t)data[0] << 8 | (uint32_t)size << 16);
    if (!str_eq(buf_str(&whole.log), buf_str(&cut.log)))
        abort();
    buf_done(&whole.log);
    buf_done(&cut.log);
    return 0;
}
