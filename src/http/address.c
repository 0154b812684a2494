#include "http/address.h"

#include "base/text.h"
#include "http/client_internal.h"

#include "base/banned.h"

enum { MEMORY_MAX = 1 << 20 };

static enum err too_large(struct diag *d)
{
    return diag_set(d, ERR_LIMIT, "the request's headers are too large");
}

static enum err copy_headers(struct http_address *a, const struct http_header *headers, size_t len,
                             struct diag *d)
{
    a->headers = arena_zalloc(&a->arena, len ? len : 1, sizeof *a->headers);
    for (size_t i = 0; a->headers && i < len; i++) {
        struct http_header *h = &a->headers[i];
        h->name = arena_str(&a->arena, headers[i].name);
        h->value = arena_str(&a->arena, headers[i].value);
        if (!h->name.ptr || !h->value.ptr)
            return too_large(d);
        if (!http_token_ok(h->name) || !http_value_ok(h->value))
            return diag_set(d, ERR_INVALID, "header %zu holds bytes that a header may not hold",
                            i + 1);
    }
    a->headers_len = len;
    return a->headers ? ERR_OK : too_large(d);
}

static void add_header(struct buf *out, str name, str value)
{
    (void)buf_append_str(out, name);
    (void)buf_append_str(out, STR(": "));
    (void)buf_append_str(out, value);
    (void)buf_append_str(out, STR("\r\n"));
}

void http_address_head(const struct http_address *a, str proxy_authorization, bool absolute_form,
                       struct buf *out)
{
    (void)buf_append_str(out, a->method);
    (void)buf_append_str(out, STR(" "));
    if (absolute_form) {
        (void)buf_append_str(out, STR("http://"));
        (void)buf_append_str(out, a->url.authority);
    }
    if (a->url.target.ptr[0] == '?')
        (void)buf_append_char(out, '/');
    (void)buf_append_str(out, a->url.target);
    (void)buf_append_str(out, STR(" HTTP/1.1\r\n"));
    add_header(out, STR("Host"), a->url.authority);
    if (proxy_authorization.len)
        add_header(out, STR("Proxy-Authorization"), proxy_authorization);
    for (size_t i = 0; i < a->headers_len; i++)
        add_header(out, a->headers[i].name, a->headers[i].value);
}

static enum err make_head(struct http_address *a, struct diag *d)
{
    struct buf out;
    buf_init(&out, MEMORY_MAX / 4);
    http_address_head(a, STR_NONE, false, &out);
    a->head = out.failed ? STR_NONE : arena_str(&a->arena, buf_str(&out));
    buf_done(&out);
    return a->head.ptr ? ERR_OK : too_large(d);
}

static enum err make_key(struct http_client *c, struct http_address *a, struct diag *d)
{
    char port[TEXT_U64_MAX];
    a->h2 = a->url.tls ? a->http2 != HTTP2_OFF : a->http2 == HTTP2_PRIOR_KNOWLEDGE;
    a->proxy = connect_proxy_for(&c->proxies, a->url.tls, a->url.host, a->url.port);
    a->origin_key = ARENA_JOIN(&a->arena, a->h2 ? STR("h2+") : STR(""),
                               a->url.tls ? STR("https://") : STR("http://"), a->url.host, STR(":"),
                               str_slice(port, text_digits(port, a->url.port)), STR(" "), a->proxy);
    return a->origin_key.ptr ? ERR_OK : too_large(d);
}

static enum err fill(struct http_client *c, struct http_address *a, str method, str url,
                     const struct http_header *headers, size_t headers_len, struct diag *d)
{
    a->method = arena_str(&a->arena, method);
    a->url_text = arena_str(&a->arena, url);
    a->has_body = str_eq_z(method, "POST") || str_eq_z(method, "PUT");
    if (!a->method.ptr || !a->url_text.ptr)
        return too_large(d);
    if (!http_token_ok(a->method))
        return diag_set(d, ERR_INVALID, "the method is not a word");
    ERR_TRY(copy_headers(a, headers, headers_len, d));
    ERR_TRY(url_parse(a->url_text, &a->url, d));
    ERR_TRY(make_key(c, a, d));
    return make_head(a, d);
}

enum err http_address_new(struct http_client *c, str method, str url,
                          const struct http_header *headers, size_t headers_len,
                          enum http2_use http2, struct http_address **ret, struct diag *d)
{
    struct http_address *a = mem_new(struct http_address);
    a->refs = 1;
    a->http2 = http2;
    arena_init(&a->arena, MEMORY_MAX);
    enum err e = fill(c, a, method, url, headers, headers_len, d);
    if (e == ERR_OK)
        *ret = a;
    else
        http_address_drop(a);
    return e;
}

struct http_address *http_address_keep(struct http_address *a)
{
    a->refs++;
    return a;
}

void http_address_drop(struct http_address *a)
{
    if (!a || --a->refs)
        return;
    arena_done(&a->arena);
    mem_free(a);
}

static size_t without_credentials(const struct http_address *a, struct http_header *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->headers_len; i++) {
        str name = a->headers[i].name;
        if (!str_eq_nocase(name, STR("authorization")) && !str_eq_nocase(name, STR("cookie")) &&
            !str_eq_nocase(name, STR("x-api-key")) && !str_eq_nocase(name, STR("api-key")))
            out[kept++] = a->headers[i];
    }
    return kept;
}

enum err http_address_follow(struct http_client *c, const struct http_address *a, str location,
                             struct http_address **ret, struct diag *d)
{
    struct http_header kept[HTTP_HEADERS_MAX];
    struct arena arena;
    struct url next;
    str text;
    arena_init(&arena, MEMORY_MAX);
    ASSERT(a->headers_len <= HTTP_HEADERS_MAX);
    enum err e = url_resolve(a->url_text, location, &arena, &text, d);
    if (e == ERR_OK)
        e = url_parse(text, &next, d);
    if (e == ERR_OK && a->url.tls && !next.tls)
        e = diag_set(d, ERR_UPSTREAM, "the server redirects from https to http: " STR_FMT,
                     STR_ARG(text));
    bool home = e == ERR_OK && url_same_origin(&a->url, &next);
    if (e == ERR_OK)
        e = http_address_new(c, a->method, text, home ? a->headers : kept,
                             home ? a->headers_len : without_credentials(a, kept), a->http2, ret,
                             d);
    arena_done(&arena);
    return e;
}
