#include "http/sse.h"

#include "base/banned.h"

void sse_reader_init(struct sse_reader *r, size_t limit)
{
    *r = (struct sse_reader){.limit = limit};
    buf_init(&r->line, limit);
    buf_init(&r->event, limit);
    buf_init(&r->data, limit);
    buf_init(&r->id, limit);
}

void sse_reader_done(struct sse_reader *r)
{
    buf_done(&r->line);
    buf_done(&r->event);
    buf_done(&r->data);
    buf_done(&r->id);
}

// Where a line ends in s: the index of its first \r or \n, or s.len.
static size_t line_end(str s)
{
    size_t newline = min_size(str_find_char(s, '\n'), s.len);
    return min_size(str_find_char(str_sub(s, 0, newline), '\r'), newline);
}

static enum err take_field(struct sse_reader *r, str name, str value)
{
    if (str_eq(name, STR("data"))) {
        if (r->has_data)
            ERR_TRY(buf_append_char(&r->data, '\n'));
        r->has_data = true;
        return buf_append_str(&r->data, value);
    }
    if (str_eq(name, STR("event"))) {
        buf_clear(&r->event);
        return buf_append_str(&r->event, value);
    }
    if (str_eq(name, STR("id")) && str_find_char(value, '\0') == SIZE_MAX) {
        buf_clear(&r->id);
        return buf_append_str(&r->id, value);
    }
    uint64_t ms;
    if (str_eq(name, STR("retry")) && str_to_u64(value, &ms) == ERR_OK)
        r->retry_ms = ms;
    return ERR_OK; // anything else is ignored
}

static enum err take_line(struct sse_reader *r, str line)
{
    if (!r->begun && str_starts(line, STR("\xef\xbb\xbf")))
        line = str_sub(line, 3, line.len);
    r->begun = true;
    size_t colon = str_find_char(line, ':');
    if (colon == 0)
        return ERR_OK; // a comment
    str name = str_sub(line, 0, colon), value = STR("");
    if (colon != SIZE_MAX)
        value = str_sub(line, colon + 1, line.len);
    if (value.len && value.ptr[0] == ' ')
        value = str_sub(value, 1, value.len);
    return take_field(r, name, value);
}

static bool give(struct sse_reader *r, struct sse_event *ret)
{
    r->told = true;
    if (!r->has_data)
        return false;
    *ret = (struct sse_event){
        .event = r->event.len ? buf_str(&r->event) : STR("message"),
        .data = r->data.len ? buf_str(&r->data) : STR(""),
        .id = r->id.len ? buf_str(&r->id) : STR(""),
    };
    return true;
}

// The event told last, or one without data, is over: begin afresh.
static void forget(struct sse_reader *r)
{
    if (!r->told)
        return;
    r->told = r->has_data = false;
    buf_clear(&r->event);
    buf_clear(&r->data);
}

// The next complete line. Mostly it lies whole in the input; else it is put together in r->line,
// which the caller clears after use.
static enum err next_line(struct sse_reader *r, str *in, str *ret_line)
{
    if (r->after_cr && in->len) {
        r->after_cr = false;
        if (in->ptr[0] == '\n')
            *in = str_sub(*in, 1, in->len);
    }
    size_t end = line_end(*in);
    str line = str_sub(*in, 0, end);
    if (end == in->len) {
        *in = str_sub(*in, end, 0);
        ERR_TRY(buf_append_str(&r->line, line));
        return ERR_AGAIN;
    }
    r->after_cr = in->ptr[end] == '\r';
    *in = str_sub(*in, end + 1, in->len);
    if (r->line.len) {
        ERR_TRY(buf_append_str(&r->line, line));
        line = buf_str(&r->line);
    }
    if (line.len > r->limit)
        return ERR_LIMIT;
    *ret_line = line;
    return ERR_OK;
}

void sse_reader_rest(struct sse_reader *r)
{
    forget(r);
    buf_shrink(&r->line);
    buf_shrink(&r->event);
    buf_shrink(&r->data);
    buf_shrink(&r->id);
}

enum err sse_next(struct sse_reader *r, str *in, struct sse_event *ret)
{
    forget(r);
    for (;;) {
        str line;
        ERR_TRY(next_line(r, in, &line));
        ASSERT(line.ptr); // a blank one lies somewhere, too
        bool blank = line.len == 0 || (!r->begun && str_eq(line, STR("\xef\xbb\xbf")));
        r->begun = r->begun || blank;
        if (!blank)
            ERR_TRY(take_line(r, line));
        buf_clear(&r->line);
        if (blank && give(r, ret))
            return ERR_OK;
        if (blank)
            forget(r);
    }
}

enum err sse_eof(struct sse_reader *r, struct sse_event *ret)
{
    forget(r);
    if (r->line.len) {
        enum err e = take_line(r, buf_str(&r->line));
        buf_clear(&r->line);
        if (e != ERR_OK)
            return ERR_AGAIN;
    }
    return give(r, ret) ? ERR_OK : ERR_AGAIN;
}

static bool has_line_break(str s)
{
    return line_end(s) < s.len;
}

enum err sse_write(struct buf *out, str event, str data)
{
    if (has_line_break(event))
        return ERR_INVALID;
    if (event.len) {
        buf_append_str(out, STR("event: "));
        buf_append_str(out, event);
        buf_append_char(out, '\n');
    }
    for (;;) {
        size_t end = line_end(data);
        buf_append_str(out, STR("data: "));
        buf_append_str(out, str_sub(data, 0, end));
        buf_append_char(out, '\n');
        if (end == data.len)
            break;
        bool crlf = data.ptr[end] == '\r' && end + 1 < data.len && data.ptr[end + 1] == '\n';
        data = str_sub(data, end + (crlf ? 2 : 1), data.len);
    }
    buf_append_char(out, '\n');
    return out->failed ? ERR_LIMIT : ERR_OK;
}

enum err sse_write_comment(struct buf *out, str text)
{
    if (has_line_break(text))
        return ERR_INVALID;
    buf_append_str(out, STR(": "));
    buf_append_str(out, text);
    buf_append_str(out, STR("\n\n"));
    return out->failed ? ERR_LIMIT : ERR_OK;
}

// --- NDJSON

void ndjson_reader_init(struct ndjson_reader *r, size_t limit)
{
    *r = (struct ndjson_reader){.told = false};
    buf_init(&r->line, limit);
}

void ndjson_reader_done(struct ndjson_reader *r)
{
    buf_done(&r->line);
}

static void ndjson_forget(struct ndjson_reader *r)
{
    if (r->told)
        buf_clear(&r->line);
    r->told = false;
}

enum err ndjson_next(struct ndjson_reader *r, str *in, str *ret_line)
{
    ndjson_forget(r);
    while (in->len) {
        size_t end = min_size(str_find_char(*in, '\n'), in->len);
        str line = str_sub(*in, 0, end);
        bool whole = end < in->len;
        *in = str_sub(*in, end + (whole ? 1 : 0), in->len);
        if (line.len > r->line.limit)
            return ERR_LIMIT;
        if (!whole || r->line.len) {
            ERR_TRY(buf_append_str(&r->line, line));
            line = buf_str(&r->line);
        }
        if (!whole)
            return ERR_AGAIN;
        line = str_trim(line);
        r->told = true;
        if (line.len) {
            *ret_line = line;
            return ERR_OK;
        }
        ndjson_forget(r);
    }
    return ERR_AGAIN;
}

enum err ndjson_eof(struct ndjson_reader *r, str *ret_line)
{
    ndjson_forget(r);
    str line = str_trim(buf_str(&r->line));
    if (line.len == 0)
        return ERR_AGAIN;
    r->told = true;
    *ret_line = line;
    return ERR_OK;
}
