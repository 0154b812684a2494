// Where requests go, read and checked once: method, URL, the headers that each of them takes along,
// the key of its connections, and the text of its HTTP/1.1 head. For a caller that sends many the
// same way; http_client_send makes one itself for a single request. Counted by reference (an
// exchange holds one), immutable once made; on the client's loop.
#pragma once

#include "http/client.h"
#include "http/url.h"

struct http_address {
    uint32_t refs;
    struct arena arena; // of all that follows
    enum http2_use http2;
    bool h2; // it may go over HTTP/2: the use, of this URL's scheme
    str method;
    struct url url;
    str url_text;
    struct http_header *headers;
    size_t headers_len;
    str proxy;      // as the environment names it for this host; may be empty
    str origin_key; // one for all whose connections serve each other
    str head; // to a server: "POST /v1/chat HTTP/1.1\r\nHost: …\r\n", all headers but the length
    bool has_body; // the method is one whose requests say how long their body is
};

// ERR_INVALID: a header or the method that would not be one; ERR_PARSE and ERR_LIMIT: the URL, the
// size. `headers` may be NULL.
enum err http_address_new(struct http_client *c, str method, str url,
                          const struct http_header *headers, size_t headers_len,
                          enum http2_use http2, struct http_address **ret, struct diag *d) MUST_USE;
struct http_address *http_address_keep(struct http_address *a);
void http_address_drop(struct http_address *a); // NULL is fine
// Where a redirect of it leads. Credentials stay with the origin that they were given for.
enum err http_address_follow(struct http_client *c, const struct http_address *a, str location,
                             struct http_address **ret, struct diag *d) MUST_USE;
// The head as a proxy gets it, or a server, without the length of the body.
void http_address_head(const struct http_address *a, str proxy_authorization, bool absolute_form,
                       struct buf *out);
