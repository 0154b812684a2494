#include "gateway/unheard.h"

#include "base/banned.h"

static void respond(void *ctx UNUSED, int status UNUSED, const char *type UNUSED,
                    const struct answer_headers *h UNUSED, str body UNUSED)
{
}

static void begin(void *ctx UNUSED, int status UNUSED, const char *type UNUSED,
                  const struct answer_headers *h UNUSED)
{
}

static enum err write_bytes(void *ctx UNUSED, str bytes UNUSED)
{
    return ERR_OK;
}

static void end(void *ctx UNUSED)
{
}

static void take_body(void *ctx, struct buf *ret)
{
    struct buf *body = ctx;
    if (!body)
        return;
    *ret = *body;
    buf_init(body, 0);
}

const struct call_output call_unheard = {respond, begin, write_bytes, end, end, take_body};
