#include "support/scripted_client.h"

#include "support/unit.h"

void scripted_client_init(struct scripted_client *c)
{
    *c = (struct scripted_client){.status = 0};
    buf_init(&c->body, 1 << 20);
    buf_init(&c->headers, 1 << 20);
}

void scripted_client_done(struct scripted_client *c)
{
    buf_done(&c->body);
    buf_done(&c->headers);
}

static void take_head(struct scripted_client *c, int status, const struct answer_headers *h)
{
    assert_false(scripted_client_over(c) || c->begun);
    c->status = status;
    buf_clear(&c->headers);
    for (size_t i = 0; i < h->len; i++)
        (void)buf_printf(&c->headers, "%s: " STR_FMT "\n", h->items[i].name,
                         STR_ARG(h->items[i].value));
}

static void is_over(struct scripted_client *c)
{
    if (c->over)
        c->over(c->call);
}

static void respond(void *ctx, int status, const char *type UNUSED, const struct answer_headers *h,
                    str body)
{
    struct scripted_client *c = ctx;
    take_head(c, status, h);
    c->responded = true;
    (void)buf_append_str(&c->body, body);
    is_over(c);
}

static void begin(void *ctx, int status, const char *type UNUSED, const struct answer_headers *h)
{
    struct scripted_client *c = ctx;
    take_head(c, status, h);
    c->begun = true;
}

static enum err write_bytes(void *ctx, str bytes)
{
    struct scripted_client *c = ctx;
    assert_true(c->begun && !scripted_client_over(c));
    (void)buf_append_str(&c->body, bytes);
    if (c->write_says == ERR_CLOSED)
        call_step(c->call, CALL_GONE);
    return c->write_says;
}

static void end(void *ctx)
{
    struct scripted_client *c = ctx;
    assert_true(c->begun && !scripted_client_over(c));
    c->ended = true;
    is_over(c);
}

static void abort_answer(void *ctx)
{
    struct scripted_client *c = ctx;
    assert_true(c->begun && !scripted_client_over(c));
    c->aborted = true;
    is_over(c);
}

static void take_body(void *ctx, struct buf *ret)
{
    struct scripted_client *c = ctx;
    buf_init(ret, 1 << 20);
    (void)buf_append_str(ret, c->call->in.body);
}

const struct call_output scripted_client_output = {respond, begin,        write_bytes,
                                                   end,     abort_answer, take_body};

void scripted_client_ask(struct scripted_client *c, struct gateway *g, const struct call_kind *kind,
                         str body)
{
    struct call_input in = {.content_type = STR("application/json"),
                            .request_id = STR("r1"),
                            .peer = STR("p"),
                            .body = body};
    c->status = 0;
    c->responded = c->begun = c->ended = c->aborted = false;
    buf_clear(&c->body);
    buf_clear(&c->headers);
    c->call = call_new(g, kind, &in, &scripted_client_output, c);
    call_step(c->call, CALL_BEGIN);
}
