// REQ: SEC-4
// Any bytes as an event stream and as NDJSON: every cutting gives the same events, and what is read
// and written again reads back the same.
#include <stdlib.h>

#include "http/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 256 };

static size_t cut_len(str rest, uint32_t *cuts)
{
    *cuts = *cuts * 1664525u + 1013904223u;
    return min_size(rest.len, 1 + (*cuts >> 8) % 13);
}

static void log_event(struct buf *log, const struct sse_event *e)
{
    if (e->event.len == 0)
        abort();
    buf_append_str(log, e->event);
    buf_append_char(log, '|');
    buf_append_str(log, e->data);
    buf_append_char(log, '|');
    buf_append_str(log, e->id);
    buf_append_char(log, '\n');
}

static void read_events(str input, uint32_t cuts, struct buf *log)
{
    struct sse_reader r;
    struct sse_event e;
    enum err got = ERR_AGAIN;
    sse_reader_init(&r, LIMIT);
    while (input.len && got != ERR_LIMIT) {
        size_t len = cuts ? cut_len(input, &cuts) : input.len;
        str in = str_sub(input, 0, len);
        while ((got = sse_next(&r, &in, &e)) == ERR_OK)
            log_event(log, &e);
        input = str_sub(input, len, input.len);
    }
    if (got == ERR_LIMIT)
        buf_append_str(log, STR("LIMIT"));
    else if (sse_eof(&r, &e) == ERR_OK)
        log_event(log, &e);
    sse_reader_done(&r);
}

static void read_lines(str input, uint32_t cuts, struct buf *log)
{
    struct ndjson_reader r;
    str line;
    enum err got = ERR_AGAIN;
    ndjson_reader_init(&r, LIMIT);
    while (input.len && got != ERR_LIMIT) {
        size_t len = cuts ? cut_len(input, &cuts) : input.len;
        str in = str_sub(input, 0, len);
        while ((got = ndjson_next(&r, &in, &line)) == ERR_OK) {
            buf_append_str(log, line);
            buf_append_char(log, '\n');
        }
        input = str_sub(input, len, input.len);
    }
    if (got == ERR_LIMIT)
        buf_append_str(log, STR("LIMIT"));
    else if (ndjson_eof(&r, &line) == ERR_OK)
        buf_append_str(log, line);
    ndjson_reader_done(&r);
}

static void must_not_depend_on_cuts(void (*read)(str, uint32_t, struct buf *), str input)
{
    struct buf whole, cut;
    buf_init(&whole, SIZE_MAX);
    buf_init(&cut, SIZE_MAX);
    read(input, 0, &whole);
    read(input, (uint32_t)input.len + 1, &cut);
    if (!str_eq(buf_str(&whole), buf_str(&cut)))
        abort();
    buf_done(&whole);
    buf_done(&cut);
}

static void must_go_round(str data)
{
    struct buf out;
    struct sse_reader r;
    struct sse_event e;
    if (data.len > LIMIT / 2)
        return;
    buf_init(&out, SIZE_MAX);
    if (sse_write(&out, STR("x"), data) != ERR_OK)
        abort();
    str in = buf_str(&out);
    sse_reader_init(&r, LIMIT);
    if (sse_next(&r, &in, &e) != ERR_OK || !str_eq(e.event, STR("x")) || in.len)
        abort();
    // Line breaks become \n; nothing else changes.
    if (str_find_char(data, '\r') == SIZE_MAX && !str_eq(e.data, data))
        abort();
    sse_reader_done(&r);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str input = str_slice((const char *)data, size);
    must_not_depend_on_cuts(read_events, input);
    must_not_depend_on_cuts(read_lines, input);
    must_go_round(input);
    return 0;
}
