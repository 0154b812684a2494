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
    w->error->failure = failure_of(code);
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

static bool is_carried(const char *const *carried, const char *name)
{
    for (; *carried; carried++)
        if (strcmp(*carried, name) == 0)
            return true;
    return false;
}

void upstream_lose_others(struct upstream_writing *w, const char *const *carried)
{
    const struct exchange_request *r = w->request;
    const struct {
        const char *name;
        bool given;
    } rows[] = {
        {"temperature", r->given & EXCHANGE_HAS_TEMPERATURE},
        {"top_p", r->given & EXCHANGE_HAS_TOP_P},
        {"top_k", r->given & EXCHANGE_HAS_TOP_K},
        {"min_p", r->given & EXCHANGE_HAS_MIN_P},
        {"presence_penalty", r->given & EXCHANGE_HAS_PRESENCE},
        {"frequency_penalty", r->given & EXCHANGE_HAS_FREQUENCY},
        {"repetition_penalty", r->given & EXCHANGE_HAS_REPETITION},
        {"seed", r->given & EXCHANGE_HAS_SEED},
        {"dimensions", r->given & EXCHANGE_HAS_DIMENSIONS},
        {"parallel_tool_calls", !r->parallel_tool_calls && r->tools_len},
        {"logit_bias", r->bias_len},
        {"logprobs", r->logprobs},
        {"echo", r->echo},
        {"user", r->user.len},
        {"reasoning_effort", r->reasoning_effort.len},
        {"thinking", r->thinking_tokens_max},
        {"prediction", r->prediction.len},
        {"min_tokens", r->tokens_min},
        {"ignore_eos", r->ignore_eos},
        {"stop_token_ids", r->stop_ids_len},
        {"include_stop_str_in_output", r->include_stop},
        {"add_special_tokens", r->given & EXCHANGE_HAS_ADD_SPECIAL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].given && !is_carried(carried, rows[i].name))
            upstream_lose(w, rows[i].name);
    if (exchange_format_is_own(r->format))
        upstream_lose(w, r->format_name);
}

bool upstream_one_choice(struct upstream_writing *w)
{
    if (w->request->n <= 1)
        return true;
    upstream_refuse(w, API_UNSUPPORTED_PARAMETER, "n",
                    "The provider '" STR_FMT "' answers one choice only: leave 'n' out.",
                    STR_ARG(w->target->provider));
    w->error->failure = FAILURE_UNSUITED; // another may
    return false;
}

bool upstream_arguments_of(struct upstream_writing *w, const struct exchange_tool_call *c,
                           size_t message, size_t call, str *ret)
{
    struct json_doc doc = {0};
    struct diag d;
    char param[96];
    *ret = str_trim(c->arguments);
    if (!ret->len) {
        *ret = STR("{}");
        return true;
    }
    bool ok = json_parse(&doc, *ret, JSON_LIMITS_DEFAULT, &d) == ERR_OK && yyjson_is_obj(doc.root);
    json_done(&doc);
    snprintf(param, sizeof param, "messages[%zu].tool_calls[%zu].function.arguments", message,
             call);
    return ok || upstream_refuse(w, API_INVALID_VALUE, param,
                                 "'%s' must be the text of a JSON object: the provider '" STR_FMT
                                 "' takes nothing else.",
                                 param, STR_ARG(w->target->provider));
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
    size_t longer = 64;
    for (size_t i = 0; i < edits.len; i++)
        longer += edits.items[i].name.len + edits.items[i].value.len;
    if (!buf_reserve(&out, body.len + longer)) // once, instead of by doubling
        return no_memory(w);
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

void upstream_write_stops(struct json_writer *j, const struct exchange_request *r)
{
    if (!r->stops_len)
        return;
    jw_key(j, "stop");
    jw_array_begin(j);
    for (size_t i = 0; i < r->stops_len; i++)
        jw_str(j, r->stops[i]);
    jw_array_end(j);
}

void upstream_write_tools(struct upstream_writing *w, struct json_writer *j,
                          void (*write)(struct json_writer *j, const struct exchange_tool *t))
{
    const struct exchange_request *r = w->request;
    jw_key(j, "tools");
    jw_array_begin(j);
    for (size_t i = 0; i < r->tools_len; i++)
        if (r->tools[i].builtin)
            upstream_lose_at(w, "tools[%zu]", i);
        else
            write(j, &r->tools[i]);
    jw_array_end(j);
}
