// Headers of an answer, beside those that the HTTP server adds itself. Values are copied into the
// list's own text; what does not fit is left out. Value type, on the stack of whoever answers.
#pragma once

#include "dialect/api_error.h"

#define ANSWER_HEADERS_MAX 32

struct answer_headers {
    struct {
        const char *name; // static
        str value;        // in `text`
    } items[ANSWER_HEADERS_MAX];
    size_t len, text_len;
    char text[2048];
};

void answer_headers_add(struct answer_headers *h, const char *name, str value);
void answer_headers_i64(struct answer_headers *h, const char *name, int64_t value);
void answer_headers_u64(struct answer_headers *h, const char *name, uint64_t value);
// x-should-retry, and Retry-After, WWW-Authenticate where they belong.
void answer_headers_error(struct answer_headers *h, const struct api_error *e);
