// The record of a call as a row of the store. A copy is handed over; nothing waits.
#include "gateway/account.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/phase_semantic.h"

#include "base/banned.h"

#define ATTEMPTS_MAX 32

static int64_t since(const struct call *c, uint64_t us)
{
    return us > c->record.start_us ? (int64_t)(us - c->record.start_us) : 0;
}

static str code_name(enum api_error_code code)
{
    return code == API_OK ? STR_NONE : str_of(api_error_row(code)->name);
}

static struct store_attempt attempt_row(const struct call *c, const struct attempt_record *a)
{
    return (struct store_attempt){
        .target = a->target,
        .provider = a->provider,
        .model = a->model,
        .reason = str_of(attempt_reason_name(a->reason)),
        .breaker = str_of(breaker_state_name(a->breaker)),
        .result = str_of(attempt_end_name(a->end)),
        .failure = a->failure ? str_of(failure_name(a->failure)) : STR_NONE,
        .code = code_name(a->code),
        .upstream_status = a->upstream_status,
        .upstream_request_id = a->upstream_request_id,
        .waited_us = (int64_t)a->waited_us,
        .started_us = since(c, a->started_us),
        .first_us = since(c, a->first_us),
        .ended_us = since(c, a->ended_us),
        .queue_us = (int64_t)a->report.queue_us,
        .prefill_us = (int64_t)a->report.prefill_us,
        .decode_us = (int64_t)a->report.decode_us,
        .prompt_tokens = (int64_t)a->usage.prompt_tokens,
        .cached_tokens = (int64_t)a->usage.cached_tokens,
        .cache_write_tokens = (int64_t)a->usage.cache_write_tokens,
        .completion_tokens = (int64_t)a->usage.completion_tokens,
        .reasoning_tokens = (int64_t)a->usage.reasoning_tokens,
        .usage_estimated = a->usage.estimated,
        .cost_nano_usd = a->priced ? a->cost_nano_usd : -1,
        .protocol = str_of(a->report.protocol ? a->report.protocol : ""),
    };
}

static void put_identity(const struct call *c, struct store_request *row)
{
    row->id = c->request_id;
    row->endpoint = str_of(c->kind->endpoint);
    row->status = account_status(c);
    row->outcome = str_of(account_outcome(c));
    if (call_failed(c)) {
        row->code = code_name(c->error->code);
        row->param = str_of(c->error->param);
    }
    row->peer = c->peer;
    if (c->key) {
        row->key = c->key->name;
        row->key_id = c->key->id;
    }
    if (c->model) {
        row->model = c->model->root;
        row->provider = c->model->provider_name;
    }
}

static void put_work(const struct call *c, struct store_request *row)
{
    const struct call_record *r = &c->record;
    row->stream = c->request.stream;
    row->choices = (int64_t)exchange_choices(&c->request);
    row->finish = r->finished ? str_of(exchange_finish_name(r->finish)) : STR_NONE;
    row->seed = (int64_t)r->seed;
    row->prompt_tokens = (int64_t)r->usage.prompt_tokens;
    row->cached_tokens = (int64_t)r->usage.cached_tokens;
    row->cache_write_tokens = (int64_t)r->usage.cache_write_tokens;
    row->completion_tokens = (int64_t)r->usage.completion_tokens;
    row->reasoning_tokens = (int64_t)r->usage.reasoning_tokens;
    row->usage_estimated = r->usage.estimated;
    row->reserved_tokens = (int64_t)c->admission.reserved_tokens;
}

static void put_times(const struct call *c, struct store_request *row)
{
    const struct call_record *r = &c->record;
    uint64_t wall_ms = c->world->wall_ms(c->world->ctx);
    row->started_ms = (int64_t)(wall_ms - (r->end_us - r->start_us) / 1000);
    row->read_us = since(c, r->worked_us);
    row->admitted_us = since(c, c->admission.admitted_us);
    row->first_us = since(c, r->first_us);
    row->total_us = since(c, r->end_us);
    row->overhead_us = (int64_t)account_overhead_us(c, r->end_us);
}

// What a key has spent must reach its sum also when this record does not.
static void hand_over(const struct call *c, struct store_request *row)
{
    struct key *k = c->key;
    int64_t unsaved = k ? atomic_exchange(&k->unsaved_nano_usd, 0) : 0;
    row->spend_nano_usd = c->record.cost_nano_usd + unsaved;
    if (!store_put(c->gateway->shared->store, row) && k)
        atomic_fetch_add(&k->unsaved_nano_usd, row->spend_nano_usd);
}

void account_store(const struct call *c)
{
    struct store_attempt attempts[ATTEMPTS_MAX];
    struct store_request row = {.attempts = attempts};
    char dropped[512], verdicts[512], context[96];
    if (!c->gateway->shared->store)
        return;
    put_identity(c, &row);
    put_times(c, &row);
    if (c->route)
        put_work(c, &row);
    row.dropped = account_list(c->losses.names, c->losses.len, dropped, sizeof dropped);
    row.context = context_told(c, context, sizeof context);
    row.guard = guard_verdicts(c, verdicts, sizeof verdicts);
    if (c->cache.use)
        row.cache = str_of(cache_use_name(c->cache.use));
    row.cache_source = semantic_source(c);
    row.cache_similarity_ppm = (int64_t)(semantic_similarity(c) * 1e6);
    row.cost_nano_usd = c->record.priced ? c->record.cost_nano_usd : -1;
    for (const struct attempt_record *a = c->record.attempts; a; a = a->next)
        if (row.attempts_len < ATTEMPTS_MAX)
            attempts[row.attempts_len++] = attempt_row(c, a);
    hand_over(c, &row);
}
