#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/open_store.h"
#include "cli/print.h"
#include "gateway/money.h"
#include "store/request.h"
#include "store/shadow.h"

#include "base/banned.h"

// --- As JSON

static void write_columns(struct json_writer *w, const struct row_column *columns, const void *row)
{
    for (const struct row_column *c = columns; c->name; c++) {
        const void *field = (const char *)row + c->offset;
        if (c->type == ROW_BOOL)
            jw_kv_bool(w, c->name, *(const bool *)field);
        else if (c->type == ROW_STR && ((const str *)field)->ptr)
            jw_kv_str(w, c->name, *(const str *)field);
        else if (c->type == ROW_STR || (c->type == ROW_MONEY && *(const int64_t *)field < 0))
            jw_kv_null(w, c->name);
        else
            jw_kv_int(w, c->name, *(const int64_t *)field);
    }
}

static void write_json(struct buf *out, const struct store_request *r,
                       const struct store_shadow *shadow)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "request");
    jw_object_begin(&w);
    write_columns(&w, store_request_columns, r);
    jw_object_end(&w);
    jw_key(&w, "attempts");
    jw_array_begin(&w);
    for (int64_t i = 0; i < r->attempts_len; i++) {
        jw_object_begin(&w);
        write_columns(&w, store_attempt_columns, &r->attempts[i]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_key(&w, "shadow");
    if (shadow) {
        jw_object_begin(&w);
        write_columns(&w, store_shadow_columns, shadow);
        jw_object_end(&w);
    } else {
        jw_null(&w);
    }
    jw_object_end(&w);
    (void)buf_append_char(out, '\n');
}

// --- In words

static double ms(int64_t us)
{
    return (double)us / 1e3;
}

static void write_cost(struct buf *out, int64_t nano)
{
    char money[MONEY_TEXT_MAX];
    if (nano < 0)
        (void)buf_append_str(out, STR("no price is known"));
    else
        (void)buf_printf(out, "$%s", money_text(nano, money));
}

static void write_tokens(struct buf *out, int64_t prompt, int64_t cached, int64_t completion,
                         bool estimated)
{
    (void)buf_printf(out, "%lld tokens of prompt", (long long)prompt);
    if (cached)
        (void)buf_printf(out, " (%lld cached)", (long long)cached);
    (void)buf_printf(out, ", %lld of answer%s; ", (long long)completion,
                     estimated ? ", as estimated" : "");
}

static void write_request(struct buf *out, const struct store_request *r)
{
    char when[25];
    clock_iso8601((uint64_t)r->started_ms, when);
    (void)buf_printf(out, STR_FMT ": " STR_FMT " at %s, answered %lld (" STR_FMT, STR_ARG(r->id),
                     STR_ARG(r->endpoint), when, (long long)r->status, STR_ARG(r->outcome));
    if (r->code.len)
        (void)buf_printf(out, ": " STR_FMT "%s" STR_FMT, STR_ARG(r->code),
                         r->param.len ? " at " : "", STR_ARG(r->param));
    (void)buf_printf(out, ")\n  from " STR_FMT "%s" STR_FMT "%s\n", STR_ARG(r->peer),
                     r->key.len ? " with the key '" : " without a key", STR_ARG(r->key),
                     r->key.len ? "'" : "");
    if (r->model.len)
        (void)buf_printf(out, "  model " STR_FMT " of " STR_FMT "%s%s" STR_FMT "\n",
                         STR_ARG(r->model), STR_ARG(r->provider), r->stream ? ", streamed" : "",
                         r->finish.len ? ", ended by " : "", STR_ARG(r->finish));
    if (r->cache.len)
        (void)buf_printf(out, "  cache: " STR_FMT, STR_ARG(r->cache));
    if (r->cache_source.len)
        (void)buf_printf(out, ", the answer of " STR_FMT " (similarity %.4f)",
                         STR_ARG(r->cache_source), (double)r->cache_similarity_ppm / 1e6);
    if (r->cache.len)
        (void)buf_append_char(out, '\n');
    if (r->guard.len)
        (void)buf_printf(out, "  guards: " STR_FMT "\n", STR_ARG(r->guard));
    if (r->context.len)
        (void)buf_printf(out, "  left out of its context: " STR_FMT "\n", STR_ARG(r->context));
    if (r->dropped.len)
        (void)buf_printf(out, "  not carried to the provider: " STR_FMT "\n", STR_ARG(r->dropped));
}

static void write_stages(struct buf *out, const struct store_request *r)
{
    (void)buf_printf(out, "  %.3f ms in all: read after %.3f", ms(r->total_us), ms(r->read_us));
    if (r->admitted_us)
        (void)buf_printf(out, ", let in after %.3f", ms(r->admitted_us));
    if (r->first_us)
        (void)buf_printf(out, ", first output after %.3f", ms(r->first_us));
    (void)buf_printf(out, "; weir itself took %.3f\n  ", ms(r->overhead_us));
    write_tokens(out, r->prompt_tokens, r->cached_tokens, r->completion_tokens, r->usage_estimated);
    write_cost(out, r->cost_nano_usd);
    (void)buf_append_char(out, '\n');
}

static const char *reason_in_words(str reason)
{
    static const struct {
        const char *name, *words;
    } all[] = {
        {"first", "the first choice"},
        {"retry", "the same target once more"},
        {"fallback", "the next target, because the one before could not"},
        {"hedge", "beside an attempt that was slower than usual"},
        {"rescue", "to go on with an answer that broke off"},
        {"probe", "to see whether the target works again"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq_z(reason, all[i].name))
            return all[i].words;
    return "for a reason unknown to this version";
}

static void write_attempt(struct buf *out, int64_t number, const struct store_attempt *a)
{
    (void)buf_printf(out, "\nAttempt %lld: " STR_FMT " (" STR_FMT " of " STR_FMT "), %s\n",
                     (long long)number, STR_ARG(a->target), STR_ARG(a->model), STR_ARG(a->provider),
                     reason_in_words(a->reason));
    (void)buf_printf(out, "  its breaker was " STR_FMT, STR_ARG(a->breaker));
    if (a->waited_us)
        (void)buf_printf(out, "; waited %.3f ms before", ms(a->waited_us));
    (void)buf_printf(out, "\n  began after %.3f ms", ms(a->started_us));
    if (a->first_us)
        (void)buf_printf(out, ", first output after %.3f", ms(a->first_us));
    (void)buf_printf(out, ", over after %.3f: " STR_FMT, ms(a->ended_us), STR_ARG(a->result));
    if (a->failure.len)
        (void)buf_printf(out, " (" STR_FMT ", " STR_FMT ")", STR_ARG(a->failure), STR_ARG(a->code));
    (void)buf_append_char(out, '\n');
    if (a->upstream_status)
        (void)buf_printf(out, "  the provider said %lld%s" STR_FMT "%s" STR_FMT "\n",
                         (long long)a->upstream_status, a->protocol.len ? " over " : "",
                         STR_ARG(a->protocol), a->upstream_request_id.len ? " and calls it " : "",
                         STR_ARG(a->upstream_request_id));
    if (a->decode_us)
        (void)buf_printf(out, "  queue %.3f ms, prefill %.3f, decode %.3f\n", ms(a->queue_us),
                         ms(a->prefill_us), ms(a->decode_us));
    (void)buf_append_str(out, STR("  "));
    write_tokens(out, a->prompt_tokens, a->cached_tokens, a->completion_tokens, a->usage_estimated);
    write_cost(out, a->cost_nano_usd);
    (void)buf_append_char(out, '\n');
}

static const char *comparison_in_words(str outcome)
{
    static const struct {
        const char *name, *words;
    } all[] = {
        {"same", "its answer has the same text"},
        {"different", "its answer has another text"},
        {"failed", "one of the two was not answered"},
        {"timeout", "it was cancelled, because it took too long"},
        {"cancelled", "it was cancelled, because the client went or weir ended"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (str_eq_z(outcome, all[i].name))
            return all[i].words;
    return "with a result unknown to this version";
}

static void write_text(struct buf *out, const char *whose, str text)
{
    if (text.len)
        (void)buf_printf(out, "  %s: " STR_FMT "\n", whose, STR_ARG(text));
}

static void write_shadow(struct buf *out, const struct store_shadow *s)
{
    (void)buf_printf(out, "\nShadow: a copy went to " STR_FMT " (%.*s of %.*s); %s\n",
                     STR_ARG(s->target), (int)s->model.len, s->model.len ? s->model.ptr : "",
                     (int)s->provider.len, s->provider.len ? s->provider.ptr : "",
                     comparison_in_words(s->outcome));
    (void)buf_printf(out, "  %.3f ms in all", ms(s->total_us));
    if (s->first_us)
        (void)buf_printf(out, ", first output after %.3f", ms(s->first_us));
    (void)buf_printf(out, "; the client's answer took %.3f, its first output %.3f\n",
                     ms(s->answer_total_us), ms(s->answer_first_us));
    if (s->code.len)
        (void)buf_printf(out, "  it failed: %.*s%s" STR_FMT "\n", (int)s->failure.len,
                         s->failure.len ? s->failure.ptr : "", s->failure.len ? ", " : "",
                         STR_ARG(s->code));
    (void)buf_printf(out, "  %lld bytes of text, the client's answer %lld\n  ",
                     (long long)s->shadow_bytes, (long long)s->answer_bytes);
    write_tokens(out, s->prompt_tokens, s->cached_tokens, s->completion_tokens, s->usage_estimated);
    write_cost(out, s->cost_nano_usd);
    (void)buf_append_str(out, STR(" (in no key's budget)\n"));
    write_text(out, "the client's answer", s->answer_text);
    write_text(out, "the shadow's", s->shadow_text);
}

static void write_words(struct buf *out, const struct store_request *r,
                        const struct store_shadow *shadow)
{
    write_request(out, r);
    write_stages(out, r);
    if (!r->attempts_len)
        (void)buf_append_str(out, STR("\nNo provider was asked.\n"));
    for (int64_t i = 0; i < r->attempts_len; i++)
        write_attempt(out, i + 1, &r->attempts[i]);
    if (shadow)
        write_shadow(out, shadow);
}

// Not every request has a copy.
static enum err find(struct db *b, str id, struct arena *a, struct store_request *ret,
                     struct store_shadow *ret_shadow, bool *ret_copied, struct diag *d)
{
    struct diag none;
    ERR_TRY(store_request_find(b, id, a, ret, d));
    *ret_copied = store_shadow_find(b, id, a, ret_shadow, &none) == ERR_OK;
    return ERR_OK;
}

static int run(struct command_call *call)
{
    const struct store_verb_options *o = call->options;
    struct store_request r;
    struct store_shadow shadow;
    struct diag d = {0};
    struct db b;
    struct buf out;
    int status;
    if (!open_store(call, DB_EXISTING, &b, &status))
        return status;
    bool copied = false;
    enum err e = find(&b, str_of(call->args[0]), call->arena, &r, &shadow, &copied, &d);
    db_close(&b);
    if (e != ERR_OK)
        return command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                            &d);
    buf_init(&out, 1u << 20);
    if (o->json)
        write_json(&out, &r, copied ? &shadow : NULL);
    else
        write_words(&out, &r, copied ? &shadow : NULL);
    return print_and_done(&out);
}

const struct command cmd_explain = {
    .name = "explain",
    .summary = "say how a request came to its answer",
    .description = "Each attempt with its target and why it was chosen, waits, times, tokens, cost "
                   "and how it ended, from the record in the store. The id is the answer's "
                   "x-request-id. A copy that went to a route's shadow stands behind them. No text "
                   "of a prompt "
                   "or an answer is on record, but where a shadow's record_answers asks for it.",
    .args = "REQUEST-ID",
    .examples = "weir explain req_19aa3c0e5d1c2f4a68b07d93          # in words\n"
                "weir explain req_19aa3c0e5d1c2f4a68b07d93 --json   # everything on record",
    .options = store_verb_option_table,
    .options_size = sizeof(struct store_verb_options),
    .args_min = 1,
    .args_max = 1,
    .run = run,
};
