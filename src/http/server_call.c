#include "http/server_internal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/timed_id.h"
#include "http/url.h"

#include "base/banned.h"

enum {
    SPARES_MAX = 64,
    ARENA_BYTES_FIRST = 768,       // beside the call: the heads of most
    ARENA_BYTES_MAX = 1024 * 1024, // heads take a fraction; the rest is for the handler
    REQUEST_ID_MAX = 128,
};

struct http_call *call_take(struct http_conn *c)
{
    struct http_server *s = c->server;
    struct http_call *call = s->spares;
    struct arena arena;
    if (call) {
        s->spares = call->next_spare;
        s->spares_len--;
        arena = call->arena;
    } else {
        call = mem_alloc(sizeof *call + ARENA_BYTES_FIRST);
        arena_init_in(&arena, ARENA_BYTES_MAX, call + 1, ARENA_BYTES_FIRST);
    }
    *call = (struct http_call){.conn = c, .arena = arena, .began_us = clock_mono_us()};
    buf_init(&call->body, s->options.limits.body_bytes_max);
    s->calls_len++;
    return call;
}

void call_give(struct http_call *call)
{
    struct http_server *s = call->conn->server;
    s->calls_len--;
    buf_done(&call->body);
    if (s->spares_len >= SPARES_MAX) {
        arena_done(&call->arena);
        mem_free(call);
        return;
    }
    arena_reset(&call->arena);
    call->next_spare = s->spares;
    s->spares = call;
    s->spares_len++;
}

// --- Looking at a head

static enum err refused(struct h1_error *ret, int status, const char *reason, const char *text)
{
    *ret = (struct h1_error){status, reason, text};
    return ERR_INVALID;
}

// Cut "http://host" off a target in absolute form (RFC 9112 section 3.2.2); what it names replaces
// the Host header.
static bool take_absolute(str *target, str *ret_authority)
{
    struct url u;
    if (target->len == 0 || target->ptr[0] == '/')
        return true;
    if (url_parse(*target, &u, NULL) != ERR_OK || u.userinfo.len || u.target.ptr[0] != '/')
        return false;
    *target = u.target;
    *ret_authority = u.authority;
    return true;
}

static void replace_host(struct http_call *call, str authority)
{
    struct h1_head *h = &call->head;
    for (size_t i = 0; authority.ptr && i < h->headers_len; i++)
        if (str_eq_nocase(h->headers[i].name, STR("host")))
            call->conn->codec.items[i].value = authority;
}

static enum err check_target(struct http_call *call, struct h1_error *ret)
{
    str target = call->head.target, authority = STR_NONE;
    if (str_eq(call->head.method, STR("CONNECT")))
        return refused(ret, 501, "not_implemented", "This server is no proxy.");
    if (str_eq(target, STR("*")) && str_eq(call->head.method, STR("OPTIONS"))) {
        call->path = target;
        return ERR_OK;
    }
    if (!take_absolute(&target, &authority))
        return refused(ret, 400, "bad_request", "The request target is malformed.");
    replace_host(call, authority);
    size_t mark = str_find_char(target, '?');
    if (mark != SIZE_MAX)
        call->query = str_sub(target, mark + 1, target.len);
    if (url_decode_path(str_sub(target, 0, mark), &call->arena, &call->path) != ERR_OK)
        return refused(ret, 400, "bad_request",
                       "The path has a bad escape or a '.' or '..' segment.");
    return ERR_OK;
}

static bool host_ok(struct http_conn *c, str host)
{
    if (str_eq(host, str_slice(c->good_host, c->good_host_len)))
        return true;
    if (!url_authority_ok(host))
        return false;
    if (host.ptr && host.len <= sizeof c->good_host) {
        memcpy(c->good_host, host.ptr, host.len);
        c->good_host_len = (uint8_t)host.len;
    }
    return true;
}

// RFC 9112 section 3.2: HTTP/1.1 has exactly one Host, and it is one.
static enum err check_host(const struct http_call *call, struct h1_error *ret)
{
    const struct h1_head *h = &call->head;
    str host = http_header_find(h->headers, h->headers_len, STR("host"));
    bool twice = host.ptr && http_header_count(h->headers, h->headers_len, STR("host")) > 1;
    if (twice || (!host.ptr && h->minor > 0))
        return refused(ret, 400, "bad_request", "An HTTP/1.1 request has one Host header.");
    if (host.len && !host_ok(call->conn, host))
        return refused(ret, 400, "bad_request", "The Host header is malformed.");
    return ERR_OK;
}

static enum err check_expect(const struct http_call *call, struct h1_error *ret)
{
    str expect = http_call_header(call, "expect");
    if (expect.ptr && call->head.minor > 0 && !str_eq_nocase(expect, STR("100-continue")))
        return refused(ret, 417, "expectation_failed",
                       "The only expectation known is 100-continue.");
    return ERR_OK;
}

bool call_expects_continue(const struct http_call *call)
{
    const struct h1_head *h = &call->head;
    return h->minor > 0 && (h->chunked || h->length > 0) && http_call_header(call, "expect").ptr;
}

enum err call_check(struct http_call *call, struct h1_error *ret)
{
    call->head = call->conn->codec.head;
    ERR_TRY(check_host(call, ret));
    ERR_TRY(check_target(call, ret));
    ERR_TRY(check_expect(call, ret));
    if (call->head.length > call->conn->server->options.limits.body_bytes_max)
        return refused(ret, 413, "body_too_large", "The body is larger than this server takes.");
    return ERR_OK;
}

// --- What was asked

str http_call_method(const struct http_call *c)
{
    return c->head.method;
}

str http_call_path(const struct http_call *c)
{
    return c->path;
}

str http_call_query(const struct http_call *c)
{
    return c->query;
}

str http_call_header(const struct http_call *c, const char *name)
{
    return http_header_find(c->head.headers, c->head.headers_len, str_of(name));
}

const struct http_header *http_call_headers(const struct http_call *c, size_t *ret_len)
{
    *ret_len = c->head.headers_len;
    return c->head.headers;
}

str http_call_body(const struct http_call *c)
{
    return buf_str(&c->body);
}

void http_call_take_body(struct http_call *c, struct buf *ret)
{
    *ret = c->body;
    buf_init(&c->body, 0);
}

// The arena and the lazily made texts are caches behind a const face.
static struct http_call *mutable(const struct http_call *c)
{
    return (struct http_call *)(uintptr_t)c;
}

str http_call_peer(const struct http_call *c)
{
    struct sock_address a = {0};
    char text[SOCK_ADDRESS_TEXT_MAX];
    memcpy(&a.any, &c->conn->peer, sizeof c->conn->peer);
    str copy = arena_str(&mutable(c)->arena, str_of(sock_address_format(&a, text)));
    return copy.ptr ? copy : STR("unknown");
}

static bool id_is_sane(str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.ptr[i] <= ' ' || id.ptr[i] > '~')
            return false;
    return id.len > 0 && id.len <= REQUEST_ID_MAX;
}

static str new_id(struct http_call *c)
{
    char *id = arena_alloc(&c->arena, 4 + TIMED_ID_LEN);
    if (!id)
        return STR("req_0");
    memcpy(id, "req_", 4);
    timed_id_write(id + 4, clock_wall_ms(), random_next(&c->conn->server->ids));
    return str_slice(id, 4 + TIMED_ID_LEN);
}

str http_call_request_id(const struct http_call *c)
{
    struct http_call *m = mutable(c);
    if (!m->request_id.ptr) {
        str given = http_call_header(c, "x-request-id");
        m->request_id = id_is_sane(given) ? given : new_id(m);
    }
    return m->request_id;
}

struct arena *http_call_arena(struct http_call *c)
{
    return &c->arena;
}

void http_call_set_data(struct http_call *c, void *data)
{
    c->data = data;
}

void *http_call_data(const struct http_call *c)
{
    return c->data;
}

bool http_call_begun(const struct http_call *c)
{
    return c->begun;
}

size_t http_call_pending_bytes(const struct http_call *c)
{
    return stream_pending_bytes(c->conn->stream);
}
