// Request and response heads as values: methods, statuses, header lists. Slices point into memory
// of whoever made the head.
#pragma once

#include "base/str.h"

#define HTTP_HEADERS_MAX 128

struct http_header {
    str name, value;
};

struct http_headers {
    struct http_header items[HTTP_HEADERS_MAX];
    size_t len;
};

enum err http_headers_add(struct http_headers *h, str name, str value); // ERR_LIMIT when full
str http_headers_get(const struct http_headers *h,
                     str name); // first, case-insensitive; STR_NONE when absent
size_t http_headers_count(const struct http_headers *h, str name);
const char *http_status_text(int status);
