#include "base/mem.h"
#include "http/h2.h"

#include "base/banned.h"

enum { OWN_FIELDS = 5 }; // the pseudo-fields and Content-Length

// RFC 9113 section 8.2.2: what describes a connection of HTTP/1.1; and what we say ourselves.
static bool stays_behind(const struct h2_request *r, const struct http_header *h)
{
    static const char *const names[] = {"connection", "keep-alive",        "proxy-connection",
                                        "upgrade",    "transfer-encoding", "content-length",
                                        "host"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(h->name, str_of(names[i])))
            return true;
    if (str_eq_nocase(h->name, STR("te")))
        return !str_eq_nocase(str_trim(h->value), STR("trailers"));
    for (size_t i = 0; i < r->headers_len; i++)
        if (str_eq_nocase(r->headers[i].name, STR("connection")) &&
            http_list_has(r->headers[i].value, h->name))
            return true;
    return false;
}

static str in_lower_case(str name, struct arena *a)
{
    char *to = arena_alloc(a, name.len + 1);
    for (size_t i = 0; to && i < name.len; i++)
        to[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
    return to ? str_slice(to, name.len) : STR_NONE;
}

static str path_of(const struct h2_request *r, struct arena *a)
{
    return r->path.len && r->path.ptr[0] == '?' ? arena_printf(a, "/" STR_FMT, STR_ARG(r->path))
                                                : r->path;
}

enum err h2_request_fields(const struct h2_request *r, struct arena *a, struct http_header **ret,
                           size_t *ret_len)
{
    struct http_header *to = arena_zalloc(a, r->headers_len + OWN_FIELDS, sizeof *to);
    str host = http_header_find(r->headers, r->headers_len, STR("host"));
    size_t len = 0;
    if (!to)
        return ERR_LIMIT;
    to[len++] = (struct http_header){STR(":method"), r->method};
    to[len++] = (struct http_header){STR(":scheme"), r->scheme};
    to[len++] = (struct http_header){STR(":authority"), host.len ? host : r->authority};
    to[len++] = (struct http_header){STR(":path"), path_of(r, a)};
    if (!to[len - 1].value.ptr)
        return ERR_LIMIT;
    for (size_t i = 0; i < r->headers_len; i++) {
        if (stays_behind(r, &r->headers[i]))
            continue;
        to[len] = (struct http_header){in_lower_case(r->headers[i].name, a), r->headers[i].value};
        if (!to[len++].name.ptr)
            return ERR_LIMIT;
    }
    if (r->body.len || str_eq_z(r->method, "POST") || str_eq_z(r->method, "PUT")) {
        to[len] = (struct http_header){STR("content-length"), arena_printf(a, "%zu", r->body.len)};
        if (!to[len++].value.ptr)
            return ERR_LIMIT;
    }
    *ret = to;
    *ret_len = len;
    return ERR_OK;
}
