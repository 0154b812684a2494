#include "http/h2.h"

#include <nghttp2/nghttp2.h>

#include "base/mem.h"

#include "base/banned.h"

enum {
    FIELD_OVERHEAD = 32, // RFC 9113 §6.5.2
    FRAME_HEAD = 9,
    // Frames that carry nothing. A peer that is well sends few: a ping now and then, settings once,
    // a WINDOW_UPDATE for each DATA frame of ours at most.
    BUDGET_MAX = 10000,
    BUDGET_PER_MS = 1,
    BUDGET_PER_REQUEST = 16,
    BUDGET_PER_DATA_SENT = 2,
    UNKNOWN_BYTES = 64, // of frames that we do not know, as one
    WORDS_MAX = 100,    // of the peer's explanation
};

// A GOAWAY with an error, ours or the peer's.
struct last_word {
    bool said;
    uint32_t code;
    char text[WORDS_MAX + 1];
};

struct h2 {
    nghttp2_session *session;
    const struct h2_limits *limits;
    const struct h2_handler *handler;
    struct h2_stream *streams; // whose owners have not let go
    size_t open;               // as nghttp2 sees it
    struct arena arena;        // of the head under way: there is never more than one
    struct http_header *items;
    size_t items_len, items_cap, head_bytes;
    int status;
    uint64_t budget, budget_at_ms;
    struct last_word own, peers;
    // Bytes that came, less those of frames that were counted: of unknown ones.
    int64_t unknown_bytes, unknown_charged;
    const char *fatal_why; // nghttp2's
    bool fatal, broken, flooded, goodbye;
    bool settings_came, settings_acknowledged;
};

// --- Streams

static void unlink_stream(struct h2 *h, struct h2_stream *s)
{
    if (s->prev)
        s->prev->next = s->next;
    else
        h->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->next = s->prev = NULL;
    s->h2 = NULL;
    (void)nghttp2_session_set_stream_user_data(h->session, s->id, NULL);
}

static struct h2_stream *stream_of(struct h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static void reset(struct h2 *h, int32_t id, uint32_t code)
{
    if (!h->fatal && nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, code) != 0)
        h->fatal = true; // no memory
}

static void tell_broken(struct h2 *h, struct h2_stream *s, enum err e, const struct diag *d)
{
    unlink_stream(h, s);
    h->handler->broken(s->ctx, e, d);
}

// The answer is whole. What is left of the request nobody needs.
static void finish(struct h2 *h, struct h2_stream *s)
{
    if (s->body.len)
        reset(h, s->id, NGHTTP2_NO_ERROR);
    unlink_stream(h, s);
    h->handler->end(s->ctx);
}

void h2_cancel(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    if (!h)
        return;
    reset(h, s->id, NGHTTP2_CANCEL);
    unlink_stream(h, s);
}

// --- Flow control

void h2_consumed(struct h2_stream *s, size_t len)
{
    struct h2 *h = s->h2;
    if (!h || h->fatal)
        return;
    if (nghttp2_session_consume_stream(h->session, s->id, len) != 0) {
        h->fatal = true;
        return;
    }
    s->window_used += (uint32_t)min_size(len, s->window);
    if (s->window_used < s->window || s->window >= h->limits->window_max)
        return;
    s->window_used = 0;
    s->window = (uint32_t)min_size((size_t)s->window * 2, h->limits->window_max);
    (void)nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, s->id,
                                                (int32_t)s->window);
}

void h2_slow(struct h2_stream *s)
{
    if (!s->h2 || s->h2->fatal)
        return;
    s->window_used = 0;
    if (s->window == s->h2->limits->window_min)
        return;
    s->window = s->h2->limits->window_min;
    (void)nghttp2_session_set_local_window_size(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                                (int32_t)s->window);
}

// --- What the peer may waste

static void earn(struct h2 *h, uint64_t frames)
{
    h->budget = h->budget + frames < BUDGET_MAX ? h->budget + frames : BUDGET_MAX;
}

static void refill(struct h2 *h, uint64_t now_ms)
{
    if (now_ms > h->budget_at_ms)
        earn(h, (now_ms - h->budget_at_ms) * BUDGET_PER_MS);
    h->budget_at_ms = now_ms;
}

static void spend(struct h2 *h, uint64_t frames)
{
    if (frames <= h->budget) {
        h->budget -= frames;
        return;
    }
    h->budget = 0;
    if (!h->flooded)
        (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
    h->flooded = true;
}

static int on_begin_frame(nghttp2_session *session UNUSED, const nghttp2_frame_hd *hd, void *ctx)
{
    struct h2 *h = ctx;
    h->unknown_bytes -= FRAME_HEAD + (int64_t)hd->length;
    if (hd->type != NGHTTP2_DATA || (!hd->length && !(hd->flags & NGHTTP2_FLAG_END_STREAM)))
        spend(h, 1);
    return 0;
}

// Frames of unknown types are passed over without a word.
static void spend_for_unknown(struct h2 *h, size_t len)
{
    h->unknown_bytes += (int64_t)len;
    int64_t frames = (h->unknown_bytes - h->unknown_charged) / UNKNOWN_BYTES;
    if (frames <= 0)
        return;
    h->unknown_charged += frames * UNKNOWN_BYTES;
    spend(h, (uint64_t)frames);
}

// --- Heads

static int on_begin_headers(nghttp2_session *session UNUSED, const nghttp2_frame *frame UNUSED,
                            void *ctx)
{
    struct h2 *h = ctx;
    arena_reset(&h->arena);
    h->items = NULL;
    h->items_len = h->items_cap = h->head_bytes = 0;
    h->status = 0;
    return 0;
}

static int refuse_head(struct h2_stream *s, const char *why)
{
    if (s)
        s->why = why;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static bool add_item(struct h2 *h, str name, str value)
{
    if (h->items_len == h->items_cap) {
        size_t cap = h->items_cap ? 2 * h->items_cap : 16;
        struct http_header *more = arena_zalloc(&h->arena, cap, sizeof *more);
        if (!more)
            return false;
        if (h->items_len)
            memcpy(more, h->items, h->items_len * sizeof *more);
        h->items = more;
        h->items_cap = cap;
    }
    struct http_header *to = &h->items[h->items_len++];
    *to = (struct http_header){arena_str(&h->arena, name), arena_str(&h->arena, str_trim(value))};
    return to->name.ptr && to->value.ptr;
}

static int on_header(nghttp2_session *session UNUSED, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len,
                     uint8_t flags UNUSED, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(h, frame->hd.stream_id);
    str n = str_slice((const char *)name, name_len), v = str_slice((const char *)value, value_len);
    h->head_bytes += name_len + value_len + FIELD_OVERHEAD;
    if (h->head_bytes > h->limits->header_bytes_max)
        return refuse_head(s, "its head is too large");
    if (!s || s->head_done)
        return 0; // nobody listens, or trailers
    if (!str_eq_z(n, ":status"))
        return add_item(h, n, v) ? 0 : refuse_head(s, "its head is too large");
    uint64_t status; // nghttp2 lets three digits pass
    if (str_to_u64(v, &status) != ERR_OK || status < 100 || status > 999)
        return refuse_head(s, "its status is none");
    h->status = (int)status;
    return 0;
}

static int on_invalid_header(nghttp2_session *session UNUSED, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name UNUSED, nghttp2_rcbuf *value UNUSED,
                             uint8_t flags UNUSED, void *ctx)
{
    return refuse_head(stream_of(ctx, frame->hd.stream_id), "a header holds what none may hold");
}

static void give_head(struct h2 *h, struct h2_stream *s)
{
    if (h->status < 200) // the answer is still to come
        return;
    struct h1_head head = {
        .status = h->status,
        .reason = STR(""),
        .keep_alive = true,
        .headers = h->items,
        .headers_len = h->items_len,
    };
    str length = http_header_find(h->items, h->items_len, STR("content-length"));
    head.has_length = length.len && str_to_u64(length, &head.length) == ERR_OK;
    s->head_done = true;
    h->handler->head(s->ctx, &head);
}

// --- What else comes

static void note_last_word(struct last_word *w, const nghttp2_goaway *g)
{
    if (w->said || g->error_code == NGHTTP2_NO_ERROR)
        return;
    w->said = true;
    w->code = g->error_code;
    size_t len = min_size(g->opaque_data_len, WORDS_MAX);
    for (size_t i = 0; i < len; i++)
        w->text[i] =
            g->opaque_data[i] >= ' ' && g->opaque_data[i] < 0x7f ? (char)g->opaque_data[i] : '?';
}

static int on_frame(nghttp2_session *session UNUSED, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    int32_t id = frame->hd.stream_id;
    struct h2_stream *s = id ? stream_of(h, id) : NULL;
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            h->settings_acknowledged = true;
        else
            h->settings_came = true;
        return 0;
    case NGHTTP2_GOAWAY:
        note_last_word(&h->peers, &frame->goaway);
        return 0;
    case NGHTTP2_RST_STREAM:
        if (s)
            s->reset_by_peer = true;
        return 0;
    case NGHTTP2_HEADERS:
        if (s && !s->head_done)
            give_head(h, s);
        break;
    case NGHTTP2_DATA:
        break;
    default:
        return 0;
    }
    s = stream_of(h, id); // its owner may have let go
    if (s && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        finish(h, s);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags UNUSED, int32_t id, const uint8_t *data,
                   size_t len, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(h, id);
    if (nghttp2_session_consume_connection(session, len) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (s)
        h->handler->body(s->ctx, str_slice((const char *)data, len));
    return 0;
}

// --- Ends

static enum err last_words(const struct h2 *h, enum err e, const struct diag *given,
                           struct diag *ret)
{
    const struct last_word *w = h->own.said ? &h->own : &h->peers;
    const char *name = nghttp2_http2_strerror(w->code);
    if (h->flooded)
        return diag_set(ret, ERR_UPSTREAM,
                        "the server floods the HTTP/2 connection with frames that carry nothing");
    if (h->fatal_why)
        return diag_set(ret, ERR_UPSTREAM, "the server does not speak HTTP/2 as it should (%s)",
                        h->fatal_why);
    if (w->said && !h->goodbye)
        return diag_set(ret, h->own.said ? ERR_UPSTREAM : ERR_CLOSED, "%s (%s%s%s)",
                        h->own.said ? "the server does not speak HTTP/2 as it should"
                                    : "the server ended the connection",
                        name, w->text[0] ? ": " : "", w->text);
    *ret = given ? *given : (struct diag){.code = e};
    return e;
}

static enum err why_closed(const struct h2 *h, const struct h2_stream *s, uint32_t code,
                           struct diag *d)
{
    const char *name = nghttp2_http2_strerror(code);
    if (h->own.said &&
        !h->goodbye) // a request that could not leave, for the server broke the rules
        return last_words(h, ERR_UPSTREAM, NULL, d);
    if (s->unsent)
        return diag_set(d, ERR_BUSY, "the server closes the connection: the request was not sent");
    if (s->why)
        return diag_set(d, ERR_UPSTREAM, "the answer is not HTTP/2 as it should be: %s", s->why);
    if (code == NGHTTP2_REFUSED_STREAM)
        return diag_set(d, ERR_BUSY, "the server refused the request unread (%s)", name);
    if (!s->reset_by_peer)
        return diag_set(d, ERR_UPSTREAM, "the answer is not HTTP/2 as it should be (%s)", name);
    return diag_set(d, ERR_CLOSED,
                    "the server reset the stream before its answer was complete (%s)", name);
}

static int on_stream_close(nghttp2_session *session UNUSED, int32_t id, uint32_t code, void *ctx)
{
    struct h2 *h = ctx;
    struct h2_stream *s = stream_of(h, id);
    struct diag d = {0};
    h->open--;
    if (code != NGHTTP2_NO_ERROR) // what is still on its way comes as frames of no stream
        h->unknown_bytes -= 2 * (int64_t)h->limits->window_max;
    if (s)
        tell_broken(h, s, why_closed(h, s, code, &d), &d);
    return 0;
}

// A request that could not leave: its stream is closed next.
static int on_not_sent(nghttp2_session *session UNUSED, const nghttp2_frame *frame, int code,
                       void *ctx)
{
    struct h2_stream *s = stream_of(ctx, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS && s) {
        s->unsent = code != NGHTTP2_ERR_FRAME_SIZE_ERROR;
        s->why = "the request's head is too large";
    }
    return 0;
}

static int on_sent(nghttp2_session *session UNUSED, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h = ctx;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        note_last_word(&h->own, &frame->goaway);
    else if (frame->hd.type == NGHTTP2_DATA)
        earn(h, BUDGET_PER_DATA_SENT);
    return 0;
}

void h2_break(struct h2 *h, enum err e, const struct diag *d)
{
    struct diag why = {0};
    e = last_words(h, e, d, &why);
    h->broken = true;
    while (h->streams)
        tell_broken(h, h->streams, e, &why);
}

// --- Life

static bool set_up(struct h2 *h, nghttp2_session_callbacks *c, nghttp2_option *o)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, h->limits->window_min},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)h->limits->header_bytes_max},
    };
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_not_sent);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    // blanks around a value are trimmed, as for HTTP/1.1
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(o, 1);
    return nghttp2_session_client_new2(&h->session, c, h, o) == 0 &&
           nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ==
               0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 (int32_t)h->limits->window_connection) == 0;
}

struct h2 *h2_new(const struct h2_limits *limits, const struct h2_handler *handler)
{
    struct h2 *h = mem_new(struct h2);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    h->limits = limits;
    h->handler = handler;
    h->budget = BUDGET_MAX;
    arena_init(&h->arena, 4 * limits->header_bytes_max + 4096);
    bool ok = nghttp2_session_callbacks_new(&callbacks) == 0 && nghttp2_option_new(&option) == 0 &&
              set_up(h, callbacks, option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    if (ok)
        return h;
    h2_free(h);
    return NULL;
}

void h2_free(struct h2 *h)
{
    if (!h)
        return;
    for (struct h2_stream *s = h->streams; s; s = s->next)
        s->h2 = NULL;
    nghttp2_session_del(h->session);
    arena_done(&h->arena);
    mem_free(h);
}

void h2_feed(struct h2 *h, str in, uint64_t now_ms)
{
    refill(h, now_ms);
    if (h->fatal)
        return;
    ssize_t taken = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.ptr, in.len);
    if (taken >= 0) {
        spend_for_unknown(h, in.len);
        return;
    }
    h->fatal = true;
    h->flooded = h->flooded || taken == NGHTTP2_ERR_FLOODED;
    h->fatal_why = nghttp2_strerror((int)taken);
}

bool h2_next(struct h2 *h, str *ret)
{
    const uint8_t *bytes;
    ssize_t len = h->fatal ? 0 : nghttp2_session_mem_send(h->session, &bytes);
    h->fatal = h->fatal || len < 0;
    if (len > 0)
        *ret = str_slice((const char *)bytes, (size_t)len);
    return len > 0;
}

bool h2_over(const struct h2 *h)
{
    return h->fatal ||
           (!nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session));
}

bool h2_settled(const struct h2 *h)
{
    return h->settings_came && h->settings_acknowledged;
}

bool h2_going(const struct h2 *h)
{
    return h->fatal || h->broken || !nghttp2_session_check_request_allowed(h->session);
}

size_t h2_open(const struct h2 *h)
{
    return h->open;
}

size_t h2_streams_max(const struct h2 *h)
{
    return min_size(
        h->limits->streams_max,
        nghttp2_session_get_remote_settings(h->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
}

size_t h2_room(const struct h2 *h)
{
    size_t max = h->settings_came ? h2_streams_max(h) : 1;
    return h2_going(h) || h->open >= max ? 0 : max - h->open;
}

void h2_ping(struct h2 *h)
{
    if (!h->fatal)
        (void)nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
}

void h2_goodbye(struct h2 *h, bool late)
{
    h->goodbye = true;
    if (!h->fatal)
        (void)nghttp2_session_terminate_session(h->session,
                                                late ? NGHTTP2_SETTINGS_TIMEOUT : NGHTTP2_NO_ERROR);
}

// --- Requests

static ssize_t read_body(nghttp2_session *session UNUSED, int32_t id, uint8_t *into, size_t len,
                         uint32_t *flags, nghttp2_data_source *source UNUSED, void *ctx)
{
    struct h2_stream *s = stream_of(ctx, id);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; // its reset is under way
    size_t n = min_size(len, s->body.len);
    memcpy(into, s->body.ptr, n);
    s->body = str_slice(s->body.ptr + n, s->body.len - n);
    if (!s->body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

// Never kept in the tables of compression, here or behind a proxy (RFC 7541 §7.1.3).
static bool is_secret(str name)
{
    return str_eq_z(name, "authorization") || str_eq_z(name, "x-api-key") ||
           str_eq_z(name, "api-key") || str_eq_z(name, "cookie");
}

static nghttp2_nv nv_of(const struct http_header *h)
{
    return (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)h->name.ptr,
        .namelen = h->name.len,
        .value = (uint8_t *)(uintptr_t)h->value.ptr,
        .valuelen = h->value.len,
        .flags = is_secret(h->name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
    };
}

static enum err submit(struct h2 *h, struct h2_stream *s, const struct h2_request *r,
                       struct arena *a)
{
    struct http_header *fields;
    size_t len;
    ERR_TRY(h2_request_fields(r, a, &fields, &len));
    nghttp2_nv *nv = arena_zalloc(a, len, sizeof *nv);
    if (!nv)
        return ERR_LIMIT;
    for (size_t i = 0; i < len; i++)
        nv[i] = nv_of(&fields[i]);
    const nghttp2_data_provider body = {.read_callback = read_body};
    s->id = nghttp2_submit_request(h->session, NULL, nv, len, r->body.len ? &body : NULL, s);
    return s->id > 0 ? ERR_OK : ERR_AGAIN;
}

enum err h2_request(struct h2 *h, struct h2_stream *s, const struct h2_request *r, void *ctx)
{
    struct arena arena;
    if (!h2_room(h))
        return ERR_AGAIN;
    *s = (struct h2_stream){.ctx = ctx, .body = r->body, .window = h->limits->window_min};
    arena_init(&arena, 1 << 20);
    enum err e = submit(h, s, r, &arena);
    arena_done(&arena);
    if (e != ERR_OK)
        return e;
    s->h2 = h;
    s->next = h->streams;
    if (s->next)
        s->next->prev = s;
    h->streams = s;
    h->open++;
    earn(h, BUDGET_PER_REQUEST);
    return ERR_OK;
}
