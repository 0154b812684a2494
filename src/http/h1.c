#include "http/h1.h"

#include <pthread.h>

#include "base/banned.h"

enum {
    ITEMS_AT_FIRST = 16,
    KEPT_AT_FIRST = 512,
    // Framing that a body may cost: chunk sizes, extensions and trailers. Small chunks cost 5 bytes
    // for 1, so that much and more is let through for each byte of body.
    FRAMING_PER_BODY_BYTE = 8,
};

static struct h1 *self(llhttp_t *parser)
{
    return CONTAINER_OF(parser, struct h1, parser);
}

static bool is_response(const struct h1 *p)
{
    return p->parser.type == HTTP_RESPONSE;
}

static int refuse(struct h1 *p, int status, const char *reason, const char *text)
{
    p->error = (struct h1_error){status, reason, text};
    p->broken = true;
    return HPE_USER;
}

static int bad_request(struct h1 *p, const char *text)
{
    return refuse(p, 400, "bad_request", text);
}

// --- The head, piece by piece

static void extend(str *s, const char *at, size_t len)
{
    if (!s->ptr)
        s->ptr = at;
    s->len += len;
}

static int on_target(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *p = self(parser);
    extend(&p->head.target, at, len);
    if (p->head.target.len > p->limits->target_bytes_max)
        return refuse(p, 414, "target_too_long", "The request target is too long.");
    return HPE_OK;
}

static int on_target_complete(llhttp_t *parser)
{
    self(parser)->target_done = true;
    return HPE_OK;
}

static int on_reason(llhttp_t *parser, const char *at, size_t len)
{
    extend(&self(parser)->head.reason, at, len);
    return HPE_OK;
}

static bool in_trailers(const struct h1 *p)
{
    return p->state != H1_IN_HEAD;
}

static int add_item(struct h1 *p)
{
    if (p->items_len == p->items_cap) {
        uint32_t cap = p->items_cap ? p->items_cap * 2 : ITEMS_AT_FIRST;
        struct http_header *items = arena_alloc(p->arena, cap * sizeof *items);
        if (!items)
            return refuse(p, 431, "header_too_large", "The headers are too large.");
        if (p->items_len)
            memcpy(items, p->items, p->items_len * sizeof *items);
        p->items = items;
        p->items_cap = cap;
    }
    p->items[p->items_len++] = (struct http_header){STR_NONE, STR_NONE};
    return HPE_OK;
}

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *p = self(parser);
    if (in_trailers(p))
        return HPE_OK; // counted as framing, and dropped: nobody here asks for any
    if (!p->in_field) {
        if (add_item(p) != HPE_OK)
            return HPE_USER;
        p->in_field = true;
    }
    extend(&p->items[p->items_len - 1].name, at, len);
    return HPE_OK;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *p = self(parser);
    if (!in_trailers(p))
        extend(&p->items[p->items_len - 1].value, at, len);
    return HPE_OK;
}

static int on_value_complete(llhttp_t *parser)
{
    struct h1 *p = self(parser);
    if (in_trailers(p))
        return HPE_OK;
    str *value = &p->items[p->items_len - 1].value;
    while (value->len && (value->ptr[value->len - 1] == ' ' || value->ptr[value->len - 1] == '\t'))
        value->len--;
    if (!value->ptr)
        *value = STR("");
    p->in_field = false;
    // Here and not where it begins: an error within it has its own place and comes first.
    if (p->items_len > p->limits->headers_max)
        return refuse(p, 431, "header_too_large", "There are too many headers.");
    return HPE_OK;
}

// --- The complete head

// llhttp takes several blanks in a request line, and RTSP for HTTP.
static int check_request_line(struct h1 *p)
{
    str target = p->head.target;
    const char *after = target.ptr + target.len;
    if (p->parser.http_major != 1 || p->parser.http_minor > 1)
        return refuse(p, 505, "http_version_unsupported", "This server speaks HTTP/1.1.");
    if (target.ptr[-2] == ' ' || memcmp(after, " HTTP/", 6) != 0)
        return bad_request(p, "The request line is malformed.");
    if (str_find_char(target, '#') != SIZE_MAX)
        return bad_request(p, "A request target has no fragment.");
    return HPE_OK;
}

static int check_coding(struct h1 *p)
{
    const struct http_header *items = p->items;
    if (!(p->parser.flags & F_TRANSFER_ENCODING))
        return HPE_OK;
    if (p->parser.http_minor == 0)
        return bad_request(p, "HTTP/1.0 knows no Transfer-Encoding.");
    if (http_header_count(items, p->items_len, STR("transfer-encoding")) != 1 ||
        !str_eq_nocase(http_header_find(items, p->items_len, STR("transfer-encoding")),
                       STR("chunked")))
        return refuse(p, 501, "not_implemented", "The only transfer coding known is chunked.");
    return HPE_OK;
}

static bool response_has_no_body(const struct h1 *p)
{
    int status = p->parser.status_code;
    return p->no_body || status / 100 == 1 || status == 204 || status == 304;
}

static int on_head_complete(llhttp_t *parser)
{
    struct h1 *p = self(parser);
    struct h1_head *h = &p->head;
    if (!is_response(p) && check_request_line(p) != HPE_OK)
        return HPE_USER;
    if (is_response(p) && p->parser.http_major != 1)
        return refuse(p, 505, "http_version_unsupported", "The answer is not HTTP/1.");
    if (check_coding(p) != HPE_OK)
        return HPE_USER;
    parser->upgrade = 0; // an offer to switch protocols may be ignored (RFC 9110 section 7.8)
    if (is_response(p) && response_has_no_body(p))
        parser->flags |= F_SKIPBODY;
    h->minor = parser->http_minor;
    h->status = parser->status_code;
    h->chunked = (parser->flags & F_CHUNKED) != 0;
    h->has_length = (parser->flags & F_CONTENT_LENGTH) != 0;
    h->length = h->has_length ? parser->content_length : 0;
    h->keep_alive = llhttp_should_keep_alive(parser) != 0;
    if (!is_response(p))
        h->method = str_of(llhttp_method_name((llhttp_method_t)parser->method));
    p->state = H1_HEAD_READY;
    return HPE_OK;
}

// --- The body

static int on_piece(llhttp_t *parser, const char *at, size_t len)
{
    struct h1 *p = self(parser);
    extend(&p->piece, at, len);
    p->body_bytes += len;
    return HPE_OK;
}

// A pause between chunks: one piece an event.
static int on_chunk_complete(llhttp_t *parser)
{
    return self(parser)->piece.len ? HPE_PAUSED : HPE_OK;
}

static int on_complete(llhttp_t *parser)
{
    self(parser)->complete = true;
    return HPE_PAUSED;
}

static llhttp_settings_t settings;
static pthread_once_t settings_once = PTHREAD_ONCE_INIT;

static void fill_settings(void)
{
    llhttp_settings_init(&settings);
    settings.on_url = on_target;
    settings.on_url_complete = on_target_complete;
    settings.on_status = on_reason;
    settings.on_header_field = on_field;
    settings.on_header_value = on_value;
    settings.on_header_value_complete = on_value_complete;
    settings.on_headers_complete = on_head_complete;
    settings.on_body = on_piece;
    settings.on_chunk_complete = on_chunk_complete;
    settings.on_message_complete = on_complete;
}

// --- Feeding

void h1_init(struct h1 *p, enum h1_kind kind, const struct h1_limits *limits)
{
    pthread_once(&settings_once, fill_settings);
    memset(p, 0, sizeof *p);
    p->limits = limits;
    p->parser.type = kind == H1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE;
    p->state = H1_ENDED;
}

void h1_begin(struct h1 *p, struct arena *arena, bool no_body)
{
    const struct h1_limits *limits = p->limits;
    llhttp_type_t type = (llhttp_type_t)p->parser.type;
    *p = (struct h1){.limits = limits, .arena = arena, .no_body = no_body};
    llhttp_init(&p->parser, type, &settings);
    llhttp_set_lenient_version(&p->parser, 1); // judged by us, with an answer of its own
}

static const char *rebased(const char *at, const char *from, const char *to)
{
    return at ? to + (at - from) : NULL;
}

// The head moves to `to`: all slices into it follow.
static void move_head(struct h1 *p, const char *to)
{
    const char *from = p->base;
    p->head.target.ptr = rebased(p->head.target.ptr, from, to);
    p->head.reason.ptr = rebased(p->head.reason.ptr, from, to);
    for (uint32_t i = 0; i < p->items_len; i++) {
        p->items[i].name.ptr = rebased(p->items[i].name.ptr, from, to);
        if (p->items[i].value.len)
            p->items[i].value.ptr = rebased(p->items[i].value.ptr, from, to);
    }
    p->base = to;
}

// How much may be fed so that a limit is met at its very byte, whatever the cuts of the input.
static size_t head_allowance(const struct h1 *p)
{
    size_t left = p->limits->header_bytes_max - p->head_bytes;
    if (p->target_done || is_response(p))
        return left;
    return min_size(left, p->limits->target_bytes_max + 1 - p->head.target.len);
}

static size_t framing_allowance(const struct h1 *p)
{
    size_t credit = p->limits->header_bytes_max + FRAMING_PER_BODY_BYTE * p->body_bytes;
    if (!p->head.chunked)
        return SIZE_MAX;
    return credit > p->framing_bytes ? credit - p->framing_bytes : 0;
}

static void name_error(struct h1 *p)
{
    enum llhttp_errno e = (enum llhttp_errno)p->parser.error;
    if (e == HPE_INVALID_TRANSFER_ENCODING && !(p->parser.flags & F_CONTENT_LENGTH))
        refuse(p, 501, "not_implemented", "The only transfer coding known is chunked.");
    else if (e == HPE_PAUSED_H2_UPGRADE)
        refuse(p, 505, "http_version_unsupported", "This server speaks HTTP/1.1.");
    else if (e == HPE_INVALID_METHOD)
        bad_request(p, "The request does not begin with a method that this server knows.");
    else
        bad_request(p, llhttp_get_error_reason(&p->parser));
}

// Give `len` bytes at `at` to the parser; returns how many it took. An error is noted; what was
// complete before it is told first.
static size_t execute(struct h1 *p, const char *at, size_t len)
{
    llhttp_errno_t e = llhttp_execute(&p->parser, at, len);
    if (e == HPE_OK)
        return len;
    if (e != HPE_PAUSED) {
        if (!p->broken)
            name_error(p);
        return len;
    }
    size_t used = (size_t)(llhttp_get_error_pos(&p->parser) - at);
    llhttp_resume(&p->parser);
    return used;
}

static size_t no_room(struct h1 *p)
{
    refuse(p, 431, "header_too_large", "The headers are too large.");
    return 0;
}

// Room for `more` bytes of head in the arena behind those that are kept, with some to spare.
static bool keep_room(struct h1 *p, size_t more)
{
    size_t need = p->head_bytes + more;
    if (need <= p->kept_cap)
        return true;
    size_t cap = max_size(max_size(need, KEPT_AT_FIRST), p->kept_cap * 2);
    char *kept = arena_alloc(p->arena, cap);
    if (!kept)
        return false;
    memcpy(kept, p->base, p->head_bytes);
    p->kept = kept;
    p->kept_cap = cap;
    move_head(p, kept);
    return true;
}

// Where the head ended among the bytes just fed.
static size_t head_len(const struct h1 *p, size_t fed)
{
    if (p->state == H1_IN_HEAD)
        return fed;
    if (!p->head.chunked)
        return p->piece.ptr ? (size_t)(p->piece.ptr - p->base) : fed;
    // From the last header on, for blank lines may lead, and a chunked head has at least that one.
    str name = p->items[p->items_len - 1].name;
    size_t from = (size_t)(name.ptr + name.len - p->base);
    return from + str_find(str_slice(p->base + from, fed - from), STR("\r\n\r\n")) + 4;
}

// The first piece of a head is read where it lies, for it is mostly the whole; then it is copied to
// the arena.
static size_t feed_first(struct h1 *p, str bytes)
{
    p->base = bytes.ptr;
    size_t used = execute(p, bytes.ptr, bytes.len);
    bool whole = p->state != H1_IN_HEAD;
    if (p->broken && !whole)
        return used;
    size_t len = head_len(p, used);
    p->kept_cap = whole ? len : max_size(KEPT_AT_FIRST, 2 * len);
    p->kept = arena_alloc(p->arena, p->kept_cap);
    if (!p->kept) {
        p->state = H1_IN_HEAD;
        return no_room(p);
    }
    memcpy(p->kept, bytes.ptr, len);
    move_head(p, p->kept);
    if (whole)
        p->framing_bytes = used - len - p->body_bytes;
    return used;
}

// Further pieces are appended there first, so that the head always lies in one piece.
static size_t feed_further(struct h1 *p, str bytes)
{
    if (!keep_room(p, bytes.len))
        return no_room(p);
    char *at = p->kept + p->head_bytes;
    memcpy(at, bytes.ptr, bytes.len);
    size_t used = execute(p, at, bytes.len);
    if (p->state != H1_IN_HEAD) {
        size_t fed = p->head_bytes + used;
        p->framing_bytes = fed - head_len(p, fed) - p->body_bytes;
    }
    return used;
}

static void feed_head(struct h1 *p, str *in)
{
    str bytes = str_sub(*in, 0, head_allowance(p));
    size_t used = 0;
    if (bytes.len == 0)
        no_room(p);
    else
        used = p->head_bytes ? feed_further(p, bytes) : feed_first(p, bytes);
    p->head_bytes += used;
    *in = str_sub(*in, used, in->len);
}

static void feed_body(struct h1 *p, str *in)
{
    size_t len = min_size(in->len, framing_allowance(p)), before = p->body_bytes;
    if (len == 0) {
        bad_request(p, "The chunked framing is out of all proportion to the body.");
        return;
    }
    size_t used = execute(p, in->ptr, len);
    p->framing_bytes += used - (p->body_bytes - before);
    *in = str_sub(*in, used, in->len);
}

// What has been read but not yet told; H1_MORE: nothing.
static enum h1_event untold(struct h1 *p, str *ret_body)
{
    if (p->state == H1_HEAD_READY) {
        p->state = H1_IN_BODY;
        p->head.headers = p->items;
        p->head.headers_len = p->items_len;
        return H1_HEAD;
    }
    if (p->piece.len) {
        *ret_body = p->piece;
        p->piece = STR_NONE;
        return H1_BODY;
    }
    if (p->broken)
        return H1_ERROR;
    if (p->complete)
        p->state = H1_ENDED;
    return p->state == H1_ENDED ? H1_END : H1_MORE;
}

enum h1_event h1_next(struct h1 *p, str *in, str *ret_body)
{
    for (;;) {
        enum h1_event e = untold(p, ret_body);
        if (e != H1_MORE || in->len == 0)
            return e;
        if (p->state == H1_IN_HEAD)
            feed_head(p, in);
        else
            feed_body(p, in);
    }
}

enum h1_event h1_eof(struct h1 *p)
{
    if (!p->broken && p->state == H1_IN_BODY && llhttp_message_needs_eof(&p->parser))
        p->state = H1_ENDED;
    if (!p->broken && p->state == H1_ENDED)
        return H1_END;
    if (!p->broken)
        bad_request(p, "The connection ended in the middle of a message.");
    return H1_ERROR;
}

size_t h1_chunk_head(char out[static H1_CHUNK_HEAD_MAX], size_t len)
{
    static const char digits[] = "0123456789abcdef";
    int shift = 0;
    size_t n = 0;
    while (shift < 60 && len >> (shift + 4))
        shift += 4;
    for (; shift >= 0; shift -= 4)
        out[n++] = digits[len >> shift & 15];
    out[n++] = '\r';
    out[n++] = '\n';
    return n;
}
