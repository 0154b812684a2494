// Answers: heads are formatted right into the stream's queue, once, with the body behind them.
#include "http/server_internal.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/text.h"

#include "base/banned.h"

enum {
    FIXED_HEAD_BYTES = 384,       // all that is not given by others
    JOINED_BODY_MAX = 256 * 1024, // larger bodies are queued apart from their head
    REFUSAL_BODY_MAX = 16 * 1024,
};

// --- Formatting: the room was measured before

static char *put(char *at, str s)
{
    if (s.ptr)
        memcpy(at, s.ptr, s.len);
    return at + s.len;
}
#define PUT(at, literal) put((at), STR(literal))

static char *put_number(char *at, uint64_t n)
{
    return at + text_digits(at, n); // within FIXED_HEAD_BYTES
}

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", made anew once a second.
static str date_line(struct http_server *s)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    uint64_t now = loop_now_ms(s->loop);
    if (now < s->date_due_ms)
        return str_slice(s->date, s->date_len);
    uint64_t wall_ms = clock_wall_ms();
    time_t seconds = (time_t)(wall_ms / 1000);
    gmtime_r(&seconds, &t);
    s->date_len = (size_t)snprintf(
        s->date, sizeof s->date, "Date: %.3s, %02u %.3s %04u %02u:%02u:%02u GMT\r\n",
        days + 3 * t.tm_wday, (unsigned)t.tm_mday % 100u, months + 3 * t.tm_mon,
        (unsigned)(t.tm_year + 1900) % 10000u, (unsigned)t.tm_hour % 100u,
        (unsigned)t.tm_min % 100u, (unsigned)t.tm_sec % 100u);
    s->date_due_ms = now + 1000 - wall_ms % 1000;
    return str_slice(s->date, s->date_len);
}

static char *put_status(char *at, int status)
{
    if (status == 200)
        return PUT(at, "HTTP/1.1 200 OK\r\n");
    at = PUT(at, "HTTP/1.1 ");
    at = put_number(at, (uint64_t)status);
    at = PUT(at, " ");
    at = put(at, str_of(http_status_text(status)));
    return PUT(at, "\r\n");
}

// A header that could break out of its line is left out: nobody may write a head but us.
static bool sendable(const struct http_header *h)
{
    return http_token_ok(h->name) && http_value_ok(h->value);
}

static size_t extra_bytes(const struct http_headers *extra)
{
    size_t total = 0;
    for (size_t i = 0; extra && i < extra->len; i++)
        total += extra->items[i].name.len + extra->items[i].value.len + 4;
    return total;
}

static char *put_extra(char *at, const struct http_headers *extra)
{
    for (size_t i = 0; extra && i < extra->len; i++) {
        const struct http_header *h = &extra->items[i];
        if (!sendable(h))
            continue;
        at = put(at, h->name);
        at = PUT(at, ": ");
        at = put(at, h->value);
        at = PUT(at, "\r\n");
    }
    return at;
}

struct head_text {
    int status;
    str content_type, request_id;
    const struct http_headers *extra;
    bool with_length, chunked, keep_alive;
    uint8_t minor; // what the client speaks
    uint64_t length;
};

static size_t head_room(const struct head_text *t)
{
    return FIXED_HEAD_BYTES + t->content_type.len + t->request_id.len + extra_bytes(t->extra);
}

static char *put_head(char *at, struct http_server *s, const struct head_text *t)
{
    at = put_status(at, t->status);
    if (t->content_type.len && http_value_ok(t->content_type)) {
        at = PUT(at, "Content-Type: ");
        at = put(at, t->content_type);
        at = PUT(at, "\r\n");
    }
    if (t->with_length) {
        at = PUT(at, "Content-Length: ");
        at = put_number(at, t->length);
        at = PUT(at, "\r\n");
    }
    if (t->chunked)
        at = PUT(at, "Transfer-Encoding: chunked\r\n");
    if (!t->keep_alive)
        at = PUT(at, "Connection: close\r\n");
    else if (t->minor == 0)
        at = PUT(at, "Connection: keep-alive\r\n");
    at = put(at, date_line(s));
    if (t->request_id.len) {
        at = PUT(at, "x-request-id: ");
        at = put(at, t->request_id);
        at = PUT(at, "\r\n");
    }
    at = put_extra(at, t->extra);
    return PUT(at, "\r\n");
}

// --- Calls

static struct head_text head_of(struct http_call *c, int status, str content_type,
                                const struct http_headers *extra)
{
    struct http_conn *conn = c->conn;
    if (conn->server->draining)
        conn->keep_alive = false;
    c->status = status;
    c->begun = true;
    c->headless = status == 204 || status == 304 || str_eq(c->head.method, STR("HEAD"));
    return (struct head_text){
        .status = status,
        .content_type = content_type,
        .request_id = http_call_request_id(c),
        .extra = extra,
        .keep_alive = conn->keep_alive,
        .minor = c->head.minor,
    };
}

static void finished(struct http_call *c)
{
    struct http_server *s = c->conn->server;
    if (s->h->finished)
        s->h->finished(s->ctx, c, c->status, c->sent_bytes, clock_mono_us() - c->began_us);
}

static void over(struct http_call *c)
{
    finished(c);
    conn_call_over(c->conn);
}

// The answer cannot be queued (larger than the queue may be): the client must notice.
static void give_up(struct http_call *c)
{
    c->conn->keep_alive = false;
    over(c);
}

void http_call_respond(struct http_call *c, int status, str content_type,
                       const struct http_headers *extra, str body)
{
    if (!c->running)
        return; // from inside `cancel`
    ASSERT(!c->begun && status >= 200 && status <= 999);
    struct head_text t = head_of(c, status, content_type, extra);
    t.with_length = status != 204 && status != 304;
    t.length = body.len;
    if (c->headless)
        body = STR_NONE;
    bool joined = body.len <= JOINED_BODY_MAX;
    struct stream *to = c->conn->stream;
    char *room = stream_reserve(to, head_room(&t) + (joined ? body.len : 0));
    if (!room) {
        give_up(c);
        return;
    }
    char *end = put_head(room, c->conn->server, &t);
    if (joined)
        end = put(end, body);
    stream_commit(to, (size_t)(end - room));
    if (!joined && stream_write(to, body) == ERR_LIMIT)
        c->conn->keep_alive = false;
    c->sent_bytes = body.len;
    over(c);
}

void http_call_begin(struct http_call *c, int status, str content_type,
                     const struct http_headers *extra)
{
    if (!c->running)
        return;
    ASSERT(!c->begun && status >= 200 && status <= 999);
    if (c->head.minor == 0)
        c->conn->keep_alive = false; // HTTP/1.0: the end of the connection ends the body
    struct head_text t = head_of(c, status, content_type, extra);
    c->chunked = t.chunked = c->head.minor > 0 && status != 204 && status != 304;
    char *room = stream_reserve(c->conn->stream, head_room(&t));
    if (room)
        stream_commit(c->conn->stream, (size_t)(put_head(room, c->conn->server, &t) - room));
    conn_watch_writing(c->conn);
}

static enum err write_chunk(struct http_call *c, str bytes)
{
    struct stream *to = c->conn->stream;
    char head[H1_CHUNK_HEAD_MAX];
    size_t head_len = h1_chunk_head(head, bytes.len);
    char *room = stream_reserve(to, head_len + bytes.len + 2);
    if (!room)
        return stream_ended(to) ? ERR_CLOSED : ERR_LIMIT;
    char *end = put(put(room, str_slice(head, head_len)), bytes);
    end = PUT(end, "\r\n");
    return stream_commit(to, (size_t)(end - room));
}

enum err http_call_write(struct http_call *c, str bytes)
{
    if (!c->running)
        return ERR_CLOSED;
    ASSERT(c->begun);
    if (bytes.len == 0 || c->headless)
        return ERR_OK; // an empty chunk would end the body
    enum err e = c->chunked ? write_chunk(c, bytes) : stream_write(c->conn->stream, bytes);
    if (e == ERR_OK || e == ERR_AGAIN)
        c->sent_bytes += bytes.len;
    conn_watch_writing(c->conn);
    return e;
}

void http_call_end(struct http_call *c)
{
    if (!c->running)
        return;
    ASSERT(c->begun);
    if (c->chunked && !c->headless && stream_write(c->conn->stream, STR("0\r\n\r\n")) == ERR_LIMIT)
        c->conn->keep_alive = false;
    over(c);
}

static void break_off(struct http_call *c, bool reset)
{
    struct http_conn *conn = c->conn;
    if (!c->running)
        return;
    conn->keep_alive = false;
    finished(c);
    if (reset)
        stream_reset_on_close(conn->stream);
    conn_call_over(conn);
}

void http_call_abort(struct http_call *c)
{
    break_off(c, !c->chunked); // without chunks only a reset tells an end that is none
}

void http_call_reset(struct http_call *c)
{
    break_off(c, true);
}

// --- Refusals by the server itself

void write_refusal(struct http_server *s, struct stream *to, const struct h1_error *e, str path)
{
    struct buf body;
    struct head_text t = {
        .status = e->status, .content_type = STR("application/json"), .with_length = true};
    char id[21];
    snprintf(id, sizeof id, "req_%016llx", (unsigned long long)random_next(&s->ids));
    t.request_id = str_of(id);
    buf_init(&body, REFUSAL_BODY_MAX);
    struct http_refusal r = {e->status, e->reason, e->text, t.request_id, path};
    s->h->refusal(s->ctx, &r, &body);
    t.length = body.len;
    char *room = stream_reserve(to, head_room(&t) + body.len);
    if (room) {
        char *end = put(put_head(room, s, &t), buf_str(&body));
        stream_commit(to, (size_t)(end - room));
    }
    buf_done(&body);
    if (s->h->finished)
        s->h->finished(s->ctx, NULL, e->status, t.length, 0);
}
