#include "dialect/upstream.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

#define BODY_BYTES_MAX (1u << 30)

bool upstream_is_spliced(const struct upstream_dialect *d, const struct exchange_request *r)
{
    return d->same && r->spoken == d->same && r->root;
}

bool upstream_refuse(struct upstream_writing *w, enum api_error_code code, const char *param,
                     const char *fmt, ...)
{
    char text[480];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    api_error_set(w->error, code, param, "%s", text);
    w->error->failure = FAILURE_CLIENT;
    return false;
}

static bool no_memory(struct upstream_writing *w)
{
    return upstream_refuse(w, API_JSON_LIMIT, NULL,
                           "The request needs more memory than one call may use.");
}

void upstream_edit(struct upstream_edits *edits, str name, str value)
{
    ASSERT(edits->len < UPSTREAM_EDITS_MAX);
    edits->items[edits->len++] = (struct json_edit){.name = name, .value = value};
}

static str keep(struct upstream_writing *w, struct buf *text)
{
    str kept = text->failed ? STR_NONE : arena_str(w->arena, buf_str(text));
    buf_done(text);
    return kept;
}

str upstream_json(struct upstream_writing *w, void (*write)(struct json_writer *j, const void *ctx),
                  const void *ctx)
{
    struct buf text;
    struct json_writer j;
    buf_init(&text, BODY_BYTES_MAX);
    jw_init(&j, &text);
    write(&j, ctx);
    return keep(w, &text);
}

void upstream_lose(struct upstream_writing *w, const char *name)
{
    exchange_lose(w->losses, str_of(name));
}

void upstream_lose_at(struct upstream_writing *w, const char *fmt, ...)
{
    char text[96];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    str name = arena_str(w->arena, str_of(text));
    if (name.ptr)
        exchange_lose(w->losses, name);
}

static void write_root(struct json_writer *j, const void *root)
{
    jw_value(j, (yyjson_val *)(uintptr_t)root);
}

static void write_model(struct json_writer *j, const void *model)
{
    jw_str(j, *(const str *)model);
}

// The client's own text; once that was given up, the same document written out again.
static str client_body(struct upstream_writing *w)
{
    const struct exchange_request *r = w->request;
    return r->body.len ? r->body : upstream_json(w, write_root, r->root);
}

static bool splice(const struct upstream_dialect *d, struct upstream_writing *w, str *ret)
{
    struct upstream_edits edits = {.len = 0};
    struct buf out;
    str body = client_body(w), model = upstream_json(w, write_model, &w->target->model);
    if (!body.ptr || !model.ptr)
        return no_memory(w);
    upstream_edit(&edits, STR("model"), model);
    if (d->splice && !d->splice(w, &edits))
        return false;
    for (size_t i = 0; i < edits.len; i++)
        if (!edits.items[i].value.ptr)
            return no_memory(w);
    buf_init(&out, BODY_BYTES_MAX);
    if (json_splice(body, edits.items, edits.len, &out) != ERR_OK)
        buf_clear(&out), out.failed = true;
    *ret = keep(w, &out);
    return ret->ptr || no_memory(w);
}

bool upstream_body(const struct upstream_dialect *d, struct upstream_writing *w, str *ret)
{
    struct buf out;
    struct json_writer j;
    if (upstream_is_spliced(d, w->request))
        return splice(d, w, ret);
    buf_init(&out, BODY_BYTES_MAX);
    jw_init(&j, &out);
    bool ok = d->write(w, &j);
    *ret = keep(w, &out);
    return ok && (ret->ptr || no_memory(w));
}
