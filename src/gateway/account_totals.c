// The totals of a stream, for clients that ask: what its headers could not know when it began.
#include "base/json.h"
#include "gateway/account.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"

#include "base/banned.h"

static bool is_wanted(const struct call *c)
{
    const struct dialect *d = c->kind->dialect;
    return c->in.totals && d && d->stream_type &&
           str_starts(str_of(d->stream_type), STR("text/event-stream"));
}

static void write_totals(const struct call *c, struct json_writer *w)
{
    const struct call_record *r = &c->record;
    const struct exchange_usage *u = &r->usage;
    jw_object_begin(w);
    jw_kv_str(w, "request_id", c->request_id);
    jw_kv_int(w, "prompt_tokens", (int64_t)u->prompt_tokens);
    jw_kv_int(w, "cached_tokens", (int64_t)u->cached_tokens);
    jw_kv_int(w, "completion_tokens", (int64_t)u->completion_tokens);
    jw_kv_bool(w, "usage_estimated", u->estimated);
    if (r->priced)
        jw_kv_int(w, "cost_nano_usd", r->cost_nano_usd);
    else
        jw_kv_null(w, "cost_nano_usd");
    jw_kv_int(w, "attempts", r->attempts_len);
    jw_kv_str(w, "provider", c->model->provider_name);
    jw_kv_str(w, "model", c->model->root);
    char text[512];
    str verdicts = guard_verdicts(c, text, sizeof text);
    if (verdicts.len)
        jw_kv_str(w, "guard", verdicts);
    jw_kv_int(w, "total_us", (int64_t)(call_now_us(c) - r->start_us));
    jw_object_end(w);
}

void account_totals(struct call *c)
{
    struct json_writer w;
    if (!is_wanted(c) || !c->model)
        return;
    hedge_end(c); // the one that lost is part of the bill
    if (c->routing.target)
        admission_close(c, c->routing.record, call_failed(c) ? ATTEMPT_FAILED : ATTEMPT_ANSWERED);
    (void)buf_append_str(&c->out, STR(": weir "));
    jw_init(&w, &c->out);
    write_totals(c, &w);
    (void)buf_append_str(&c->out, STR("\n\n"));
}
