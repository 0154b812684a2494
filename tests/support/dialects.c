#include "support/dialects.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/banned.h"

#define BYTES_MAX (1u << 20)

const struct exchange_head dialects_head = {
    .id = {"id_1", 4},
    .model = {"m", 1},
    .created_s = 1700000000,
    .times = {.total_us = 4000, .queue_us = 1, .prefill_us = 1000, .decode_us = 2000},
};

void read_body(struct read *r, const struct dialect *d, const char *body)
{
    struct diag diag = {0};
    *r = (struct read){0};
    arena_init(&r->arena, BYTES_MAX);
    if (json_parse(&r->doc, str_of(body), JSON_LIMITS_DEFAULT, &diag) != ERR_OK) {
        fprintf(stderr, "%s: %s\n", body, diag.text);
        abort();
    }
    r->ok = d->read(r->doc.root, &r->arena, &r->request, &r->error);
}

void read_done(struct read *r)
{
    json_done(&r->doc);
    arena_done(&r->arena);
}

void dialects_stream(const struct dialect *d, const struct exchange_request *request,
                     const struct exchange_event *events, size_t len, struct buf *out)
{
    struct dialect_stream s = {.request = request, .head = &dialects_head};
    buf_init(out, BYTES_MAX);
    for (size_t i = 0; i < len; i++)
        d->event(&s, &events[i], out);
    ASSERT(!s.failed && !out->failed);
    if (d->done)
        d->done(&s);
}

void dialects_whole(const struct dialect *d, const struct exchange_request *request,
                    const struct exchange_event *events, size_t len, struct buf *out)
{
    struct exchange_answer a;
    buf_init(out, BYTES_MAX);
    exchange_answer_init(&a, 1, BYTES_MAX);
    for (size_t i = 0; i < len; i++)
        ASSERT(exchange_answer_add(&a, &events[i]) == ERR_OK);
    d->answer(request, &dialects_head, &a, out);
    exchange_answer_done(&a);
}
