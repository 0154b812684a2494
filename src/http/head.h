// What heads of requests and responses are made of: header lists, status texts, and which bytes may
// stand in them. Slices point into memory of whoever made the head. Pure functions.
#pragma once

#include "base/str.h"

#define HTTP_HEADERS_MAX 64

struct http_header {
    str name, value;
};

// A list to build a head from, on the stack of its builder. What came from a peer is a plain array
// of as many as there are.
struct http_headers {
    size_t len;
    struct http_header items[HTTP_HEADERS_MAX];
};

enum err http_headers_add(struct http_headers *h, str name, str value); // ERR_LIMIT when full
str http_headers_get(const struct http_headers *h, str name);           // as http_header_find

// The value of the first header of that name (compared without case); STR_NONE when absent.
str http_header_find(const struct http_header *items, size_t len, str name);
size_t http_header_count(const struct http_header *items, size_t len, str name);
// Whether a comma-separated list names the token (compared without case).
bool http_list_has(str list, str token);

const char *http_status_text(int status); // "Not Found"; "Unknown" for what has no name
bool http_token_ok(str s);                // RFC 9110 token: a method, a header's name
bool http_value_ok(str s); // no control bytes: safe to send as a header's value (tab is fine)
