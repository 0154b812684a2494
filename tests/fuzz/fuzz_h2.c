// REQ: SEC-3 SEC-4
// Any bytes as what a server of HTTP/2 says to three requests. Byte 0 chooses the windows and the
// cuts. Each request has one end, a body only after a head, and a head that is fit to be handed on.
// With wide windows the events must not depend on the cuts.
#include <stdlib.h>

#include "base/buf.h"
#include "http/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUESTS = 3, CANCELS = 1 << 7, NARROW = 1 << 6 };

struct reading;

struct exchange {
    struct h2_stream stream;
    struct reading *reading;
    struct buf log;  // its head and its end
    struct buf body; // of an answer that broke: as far as it came
    size_t body_bytes;
    bool head, over;
};

struct reading {
    struct h2 *h2;
    struct exchange exchanges[REQUESTS];
    bool narrow, cancels, ending;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void on_head(void *ctx, const struct h1_head *head)
{
    struct exchange *x = ctx;
    check(!x->over && !x->head && head->status >= 200 && head->status < 1000);
    x->head = true;
    buf_printf(&x->log, "H%d:%llu ", head->status, (unsigned long long)head->length);
    for (size_t i = 0; i < head->headers_len; i++) {
        check(http_token_ok(head->headers[i].name) && http_value_ok(head->headers[i].value));
        buf_append_str(&x->log, head->headers[i].name);
        buf_append_char(&x->log, ':');
        buf_append_str(&x->log, head->headers[i].value);
        buf_append_char(&x->log, ';');
    }
}

static void on_body(void *ctx, str bytes)
{
    struct exchange *x = ctx;
    check(x->head && !x->over && bytes.len);
    buf_append_str(&x->body, bytes);
    x->body_bytes += bytes.len;
    if (x->reading->cancels && x->body_bytes > 10) {
        x->over = true;
        h2_cancel(&x->stream);
    } else if (!x->reading->narrow || x->body_bytes % 2) {
        h2_consumed(&x->stream, bytes.len);
    } else {
        h2_slow(&x->stream);
    }
}

static void on_end(void *ctx)
{
    struct exchange *x = ctx;
    check(x->head && !x->over);
    x->over = true;
    buf_printf(&x->log, "\n.");
}

static void on_broken(void *ctx, enum err e, const struct diag *d)
{
    struct exchange *x = ctx;
    check(!x->over && e != ERR_OK && d->text[0]);
    x->over = true;
    buf_clear(&x->body);
    buf_printf(&x->log, "\nE%d", x->reading->ending ? 0 : (int)e);
}

static const struct h2_handler handler = {on_head, on_body, on_end, on_broken};

static const struct h2_limits wide = {.header_bytes_max = 1024,
                                      .window_min = 65536,
                                      .window_max = 65536,
                                      .window_connection = 1 << 20,
                                      .streams_max = 10};
static const struct h2_limits narrow = {.header_bytes_max = 1024,
                                        .window_min = 100,
                                        .window_max = 400,
                                        .window_connection = 65536,
                                        .streams_max = 10};

static void send_all(struct reading *t)
{
    str bytes;
    size_t sum = 0;
    while (h2_next(t->h2, &bytes) && sum < (1 << 20))
        sum += bytes.len;
    check(sum < (1 << 20));
}

static void ask(struct reading *t, size_t i)
{
    static const struct http_header headers[] = {{STR("X-A"), STR("b")}, {STR("Host"), STR("c")}};
    const struct h2_request requests[REQUESTS] = {
        {STR("GET"), STR("https"), STR("a"), STR("/"), headers, 2, STR("")},
        {STR("POST"), STR("https"), STR("a"), STR("?x"), headers, 1, STR("body of the request")},
        {STR("HEAD"), STR("https"), STR("a"), STR("/"), NULL, 0, STR("")},
    };
    struct exchange *x = &t->exchanges[i];
    if (h2_request(t->h2, &x->stream, &requests[i], x) != ERR_OK)
        x->over = true;
}

// The first request leaves before the server's settings, the others as soon as they may.
static void read_all(struct reading *t, str input, bool whole, uint32_t cuts)
{
    t->h2 = h2_new(t->narrow ? &narrow : &wide, &handler);
    check(t->h2 != NULL);
    for (size_t i = 0; i < REQUESTS; i++) {
        t->exchanges[i].reading = t;
        buf_init(&t->exchanges[i].log, SIZE_MAX);
        buf_init(&t->exchanges[i].body, SIZE_MAX);
    }
    ask(t, 0);
    send_all(t);
    static const char settings[] = "\0\0\0\4\0\0\0\0\0";
    h2_feed(t->h2, str_slice(settings, 9), 1);
    for (size_t i = 1; i < REQUESTS; i++)
        ask(t, i);
    send_all(t);
    while (input.len) {
        cuts = cuts * 1664525u + 1013904223u;
        size_t len = whole ? input.len : min_size(input.len, 1 + (cuts >> 8) % 29);
        char *copy = malloc(len);
        check(copy != NULL);
        memcpy(copy, input.ptr, len);
        h2_feed(t->h2, str_slice(copy, len), 1);
        free(copy);
        input = str_sub(input, len, input.len);
        if (t->narrow)
            send_all(t); // what it sends is a matter of time, and so may be what follows
        check(h2_room(t->h2) <= 10);
    }
    t->ending = true;
    send_all(t);
    struct diag d = {0};
    diag_set(&d, ERR_CLOSED, "the end");
    h2_break(t->h2, ERR_CLOSED, &d);
    for (size_t i = 0; i < REQUESTS; i++)
        check(t->exchanges[i].over);
    h2_free(t->h2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 16384)
        return 0;
    struct reading whole = {.narrow = (data[0] & NARROW) != 0, .cancels = (data[0] & CANCELS) != 0};
    struct reading cut = whole;
    str input = str_slice((const char *)data + 1, size - 1);
    read_all(&whole, input, true, 0);
    read_all(&cut, input, false, (uint32_t)data[0] << 8 | (uint32_t)size << 16);
    for (size_t i = 0; i < REQUESTS; i++) {
        struct exchange *a = &whole.exchanges[i], *b = &cut.exchanges[i];
        check(whole.narrow || whole.cancels ||
              (str_eq(buf_str(&a->log), buf_str(&b->log)) &&
               str_eq(buf_str(&a->body), buf_str(&b->body))));
        buf_done(&a->log);
        buf_done(&a->body);
        buf_done(&b->log);
        buf_done(&b->body);
    }
    return 0;
}
