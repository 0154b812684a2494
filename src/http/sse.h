// Framing of streams of events: server-sent events (WHATWG HTML, section 9.2) and NDJSON (a JSON
// document a line). Readers are incremental: any cutting of the input gives the same events. Owner:
// whoever embeds it; not thread-safe. Limits: one event or line may have `limit` bytes.
#pragma once

#include "base/buf.h"

struct sse_event {
    str event; // "message" when none was named
    str data;  // its lines joined with \n
    str id;    // the last one seen; empty at first
};

struct sse_reader {
    struct buf line, event, data, id;
    size_t limit;
    uint64_t retry_ms; // the last one seen; 0 at first
    bool begun;        // past a byte order mark
    bool after_cr;     // a \n that follows belongs to the line end before it
    bool has_data;
    bool told; // the slices of the last event are to be dropped
};

void sse_reader_init(struct sse_reader *r, size_t limit);
void sse_reader_done(struct sse_reader *r);
// Gives back what holds nothing of an event to come; the last one's slices are gone.
void sse_reader_rest(struct sse_reader *r);
// Take from the front of *in up to the end of the next event. ERR_OK: *ret is one, valid until the
// next call. ERR_AGAIN: all is taken, more is needed. ERR_LIMIT: an event is too large; the stream
// cannot go on.
enum err sse_next(struct sse_reader *r, str *in, struct sse_event *ret) MUST_USE;
// The stream has ended: ERR_OK when a last event lacked only its blank line (servers are seen to
// leave it out), else ERR_AGAIN.
enum err sse_eof(struct sse_reader *r, struct sse_event *ret) MUST_USE;

// Append an event; `event` may be empty. Line breaks in data become several data lines; in `event`
// they are ERR_INVALID.
enum err sse_write(struct buf *out, str event, str data);
// Append a comment line, which keeps a silent connection alive.
enum err sse_write_comment(struct buf *out, str text);

struct ndjson_reader {
    struct buf line;
    bool told;
};

void ndjson_reader_init(struct ndjson_reader *r, size_t limit);
void ndjson_reader_done(struct ndjson_reader *r);
// As sse_next; blank lines are skipped, a \r before the \n is dropped.
enum err ndjson_next(struct ndjson_reader *r, str *in, str *ret_line) MUST_USE;
enum err ndjson_eof(struct ndjson_reader *r, str *ret_line) MUST_USE;
