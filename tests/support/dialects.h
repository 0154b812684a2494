// Reading requests and writing answers through a dialect, for tests: a body in, an exchange out;
// events in, the bytes of a stream or of a whole answer out.
#pragma once

#include "dialect/dialect.h"
#include "support/events.h"

struct read {
    struct arena arena;
    struct json_doc doc;
    struct exchange_request request;
    struct api_error error;
    bool ok;
};
// Aborts on a body that is no JSON.
void read_body(struct read *r, const struct dialect *d, const char *body);
void read_done(struct read *r);

// The head that every answer here has: id "id_1", model "m", created 1700000000.
extern const struct exchange_head dialects_head;
// `request` may be a plain one of exchange_request_init.
void dialects_stream(const struct dialect *d, const struct exchange_request *request,
                     const struct exchange_event *events, size_t len, struct buf *out);
void dialects_whole(const struct dialect *d, const struct exchange_request *request,
                    const struct exchange_event *events, size_t len, struct buf *out);
