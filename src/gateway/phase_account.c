#include "gateway/account.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/money.h"
#include "gateway/phase_semantic.h"
#include "gateway/shadow.h"

#include "base/banned.h"

#define ENGINE_INDEX STR("0") // vLLM's label: which engine of the server

void account_init(struct account *a, struct metrics *registry)
{
    *a = (struct account){.registry = registry, .shard = metrics_shard(registry)};
    a->overhead = metrics_series(a->shard, METRIC_GATEWAY_OVERHEAD, NULL);
    a->abort_client = metrics_series(a->shard, METRIC_STREAM_ABORTS, METRICS_VALUES(STR("client")));
    a->abort_upstream =
        metrics_series(a->shard, METRIC_STREAM_ABORTS, METRICS_VALUES(STR("upstream")));
}

void account_done(struct account *a)
{
    for (size_t i = 0; i < REGISTRY_MODELS_MAX; i++)
        mem_free(a->models[i]);
}

static struct metrics_series *http_series(struct account *a, const char *endpoint, int status)
{
    char code[16];
    for (size_t i = 0; i < a->http_len; i++)
        if (a->http[i].status == status && a->http[i].endpoint == endpoint)
            return a->http[i].series;
    snprintf(code, sizeof code, "%d", status);
    struct metrics_series *found = metrics_series(a->shard, METRIC_HTTP_REQUESTS,
                                                  METRICS_VALUES(str_of(endpoint), str_of(code)));
    if (a->http_len < ACCOUNT_HTTP_KEPT)
        a->http[a->http_len++] = (struct account_http){endpoint, status, found};
    return found;
}

void account_http(struct account *a, const char *endpoint, int status)
{
    metrics_add(http_series(a, endpoint, status), 1);
}

void account_loop(struct account *a, const struct loop *l)
{
    metrics_mirror(metrics_series(a->shard, METRIC_LOOP_LAG, NULL), &loop_stats(l)->lag_us, 1e-6);
}

static void find_vllm(struct metrics_shard *s, const str *v, struct account_model *m)
{
    m->vllm_first_token = metrics_series(s, METRIC_VLLM_TIME_TO_FIRST_TOKEN, v);
    m->vllm_gap = metrics_series(s, METRIC_VLLM_INTER_TOKEN_LATENCY, v);
    m->vllm_per_token = metrics_series(s, METRIC_VLLM_TIME_PER_OUTPUT_TOKEN, v);
    m->vllm_latency = metrics_series(s, METRIC_VLLM_REQUEST_LATENCY, v);
    m->vllm_queue = metrics_series(s, METRIC_VLLM_QUEUE_TIME, v);
    m->vllm_prefill = metrics_series(s, METRIC_VLLM_PREFILL_TIME, v);
    m->vllm_decode = metrics_series(s, METRIC_VLLM_DECODE_TIME, v);
    m->vllm_inference = metrics_series(s, METRIC_VLLM_INFERENCE_TIME, v);
    m->vllm_prompt = metrics_series(s, METRIC_VLLM_REQUEST_PROMPT_TOKENS, v);
    m->vllm_output = metrics_series(s, METRIC_VLLM_REQUEST_GENERATION_TOKENS, v);
}

static struct account_model *find_model(struct account *a, const struct model_entry *e)
{
    ASSERT(e);
    struct metrics_shard *s = a->shard;
    str name = e->label, provider = e->provider_name;
    struct account_model *m = a->models[e->index];
    if (m)
        return m;
    m = a->models[e->index] = mem_new(struct account_model);
    const str *both = METRICS_VALUES(name, provider);
    m->inflight = metrics_series(s, METRIC_REQUESTS_INFLIGHT, &name);
    m->waiting = metrics_series(s, METRIC_QUEUE_DEPTH, &name);
    m->queue_wait = metrics_series(s, METRIC_QUEUE_WAIT, &name);
    m->duration = metrics_series(s, METRIC_REQUEST_DURATION, both);
    m->first_token = metrics_series(s, METRIC_TIME_TO_FIRST_TOKEN, both);
    m->token_gap = metrics_series(s, METRIC_INTER_TOKEN_LATENCY, both);
    m->input = metrics_series(s, METRIC_TOKENS, METRICS_VALUES(name, provider, STR("input")));
    m->output = metrics_series(s, METRIC_TOKENS, METRICS_VALUES(name, provider, STR("output")));
    m->cached =
        metrics_series(s, METRIC_TOKENS, METRICS_VALUES(name, provider, STR("cached_input")));
    m->input_size = metrics_series(s, METRIC_REQUEST_TOKENS, METRICS_VALUES(name, STR("input")));
    m->output_size = metrics_series(s, METRIC_REQUEST_TOKENS, METRICS_VALUES(name, STR("output")));
    find_vllm(s, METRICS_VALUES(name, ENGINE_INDEX), m);
    return m;
}

void account_routed(struct call *c)
{
    metrics_add(find_model(&c->gateway->account, c->model)->inflight, 1);
    c->counted = c->model;
}

void account_waiting(struct call *c, int change)
{
    metrics_add(find_model(&c->gateway->account, c->model)->waiting, change);
}

void account_output(struct call *c)
{
    struct call_record *r = &c->record;
    struct account_model *m = find_model(&c->gateway->account, c->model);
    uint64_t now = call_now_us(c);
    double gap = (double)(now - r->last_us) / 1e6;
    if (!r->first_us) {
        r->first_us = now;
    } else if (!shadow_is_copy(c) && exchange_choices(&c->request) == 1 &&
               c->request.kind != EXCHANGE_EMBEDDING) {
        metrics_observe(m->token_gap, gap);
        metrics_observe(m->vllm_gap, gap);
    }
    r->last_us = now;
}

static const char *attempt_outcome(const struct attempt_record *r)
{
    switch (r->end) {
    case ATTEMPT_ANSWERED:
        return "ok";
    case ATTEMPT_CANCELLED:
        return "cancelled";
    case ATTEMPT_LOST:
        return "lost";
    default:
        return failure_name(r->failure);
    }
}

static bool is_new(struct account_last *l, const char *word)
{
    bool other = l->word != word;
    l->word = word;
    return other;
}

static struct metrics_series *attempt_series(struct account *a, const struct model_entry *e,
                                             const struct attempt_record *r)
{
    struct account_last *l = &find_model(a, e)->attempt[r->reason];
    const char *outcome = attempt_outcome(r);
    if (is_new(l, outcome))
        l->series =
            metrics_series(a->shard, METRIC_ATTEMPTS,
                           METRICS_VALUES(e->label, r->provider,
                                          str_of(attempt_reason_name(r->reason)), str_of(outcome)));
    return l->series;
}

void account_attempt(struct call *c, const struct attempt_record *r, bool tripped)
{
    struct metrics_shard *s = c->gateway->account.shard;
    str model = c->model->label, provider = r->provider;
    const str *target = METRICS_VALUES(model, provider);
    metrics_add(attempt_series(&c->gateway->account, c->model, r), 1);
    if (tripped)
        metrics_add(metrics_series(s, METRIC_BREAKER_TRIPS, target), 1);
    if (tripped || r->breaker != BREAKER_CLOSED)
        metrics_set(metrics_series(s, METRIC_BREAKER_OPEN, target),
                    tripped || r->end == ATTEMPT_FAILED);
}

// --- At the end of a call

const char *account_outcome(const struct call *c)
{
    int status = c->record.status;
    if (c->record.client_gone)
        return "cancelled";
    if (c->guard && c->guard->stopped)
        return "guardrail";
    if (!call_failed(c))
        return "ok";
    switch (status == 200 ? api_error_row(c->error->code)->status : status) {
    case 401:
    case 403:
        return "auth";
    case 429:
        return "rate_limited";
    case 502:
        return "upstream_error";
    case 503:
        return "overloaded";
    case 408:
    case 504:
        return "timeout";
    default:
        return api_error_row(c->error->code)->status < 500 ? "client_error" : "internal";
    }
}

int account_status(const struct call *c)
{
    return c->record.client_gone && !c->begun ? 499 : c->record.status;
}

static const char *vllm_finish(const struct call *c)
{
    if (c->record.client_gone)
        return "abort";
    if (call_failed(c) || !c->record.finished)
        return "error";
    return c->record.finish == EXCHANGE_FINISH_LENGTH ? "length" : "stop";
}

static double seconds(uint64_t us)
{
    return (double)us / 1e6;
}

static void observe_tokens(const struct call *c, struct account_model *m)
{
    const struct exchange_usage *u = &c->record.usage;
    metrics_add(m->input, (double)u->prompt_tokens);
    metrics_add(m->cached, (double)u->cached_tokens);
    metrics_add(m->output, (double)u->completion_tokens);
    metrics_observe(m->input_size, (double)u->prompt_tokens);
    metrics_observe(m->output_size, (double)u->completion_tokens);
    metrics_observe(m->vllm_prompt, (double)u->prompt_tokens);
    metrics_observe(m->vllm_output, (double)u->completion_tokens);
}

static void observe_times(const struct call *c, struct account_model *m)
{
    const struct call_record *r = &c->record;
    const struct attempt_report *a = &r->attempt;
    double total = seconds(r->end_us - r->start_us);
    metrics_observe(m->duration, total);
    metrics_observe(m->vllm_latency, total);
    metrics_observe(m->queue_wait, seconds(a->queue_us));
    metrics_observe(m->vllm_queue, seconds(a->queue_us));
    metrics_observe(m->vllm_prefill, seconds(a->prefill_us));
    metrics_observe(m->vllm_decode, seconds(a->decode_us));
    metrics_observe(m->vllm_inference, seconds(a->prefill_us + a->decode_us));
    if (r->first_us) {
        metrics_observe(m->first_token, seconds(r->first_us - r->start_us));
        metrics_observe(m->vllm_first_token, seconds(r->first_us - r->start_us));
    }
    uint64_t made = r->usage.completion_tokens / exchange_choices(&c->request);
    if (made > 1)
        metrics_observe(m->vllm_per_token, seconds(a->decode_us) / (double)(made - 1));
    uint64_t provider_us = a->queue_us + a->prefill_us + a->decode_us;
    if (exchange_choices(&c->request) == 1 && r->end_us - r->start_us >= provider_us)
        metrics_observe(c->gateway->account.overhead,
                        seconds(r->end_us - r->start_us - provider_us));
}

static void count_cost(const struct call *c)
{
    struct metrics_shard *s = c->gateway->account.shard;
    double usd = (double)c->record.cost_nano_usd / (double)MONEY_USD; // for the eye; sums are exact
    str key = c->key ? c->key->name : STR("none");
    metrics_add(metrics_series(s, METRIC_COST,
                               METRICS_VALUES(c->model->label, c->model->provider_name, key)),
                usd);
}

static void count_request(struct account *a, const struct call *c)
{
    const char *outcome = account_outcome(c);
    struct account_last unknown = {0}, *l = c->model ? &find_model(a, c->model)->outcome : &unknown;
    str name = c->model ? c->model->label : STR("none");
    str provider = c->model ? c->model->provider_name : STR("none");
    if (is_new(l, outcome))
        l->series = metrics_series(a->shard, METRIC_REQUESTS,
                                   METRICS_VALUES(name, provider, str_of(outcome)));
    metrics_add(l->series, 1);
}

static void count_finish(struct account *a, struct account_model *m, const struct call *c)
{
    const char *finish = vllm_finish(c);
    if (is_new(&m->finish, finish))
        m->finish.series =
            metrics_series(a->shard, METRIC_VLLM_REQUEST_SUCCESS,
                           METRICS_VALUES(c->model->label, ENGINE_INDEX, str_of(finish)));
    metrics_add(m->finish.series, 1);
}

static void count(const struct call *c)
{
    struct account *a = &c->gateway->account;
    str name = c->model ? c->model->label : STR("none");
    count_request(a, c);
    if (c->cache.use)
        metrics_add(metrics_series(a->shard, METRIC_CACHE,
                                   METRICS_VALUES(name, str_of(cache_use_name(c->cache.use)))),
                    1);
    if (c->record.cost_nano_usd)
        count_cost(c);
    if (!c->counted)
        return;
    metrics_add(find_model(a, c->counted)->inflight, -1);
    struct account_model *m = find_model(a, c->model);
    if (c->begun && c->record.client_gone)
        metrics_add(a->abort_client, 1);
    if (c->begun && call_failed(c))
        metrics_add(a->abort_upstream, 1);
    if (!c->record.submitted_us || c->request.kind == EXCHANGE_COUNT)
        return;
    count_finish(a, m, c);
    observe_tokens(c, m);
    observe_times(c, m);
}

static double ms(uint64_t us)
{
    return (double)us / 1e3;
}

struct line {
    struct log_field fields[40];
    size_t len;
    char money[MONEY_TEXT_MAX];
};

static void put(struct line *l, struct log_field f)
{
    ASSERT(l->len + 1 < ARRAY_LEN(l->fields));
    l->fields[l->len++] = f;
}

static void put_work(const struct call *c, struct line *l)
{
    const struct call_record *r = &c->record;
    put(l, LOG_S("model", c->model->root));
    put(l, LOG_S("provider", c->model->provider_name));
    if (c->cache.use)
        put(l, LOG_Z("cache", cache_use_name(c->cache.use)));
    if (c->cache.use == CACHE_SEMANTIC) {
        put(l, LOG_F("cache_similarity", semantic_similarity(c)));
        put(l, LOG_S("cache_source", semantic_source(c)));
    }
    if (!c->record.submitted_us)
        return;
    put(l, LOG_B("stream", c->request.stream));
    put(l, LOG_I("choices", exchange_choices(&c->request)));
    put(l, LOG_I("prompt_tokens", r->usage.prompt_tokens));
    put(l, LOG_I("cached_tokens", r->usage.cached_tokens));
    put(l, LOG_I("completion_tokens", r->usage.completion_tokens));
    if (r->finished)
        put(l, LOG_Z("finish", exchange_finish_name(r->finish)));
    if (r->seeded)
        put(l, LOG_I("seed", r->seed));
    put(l, LOG_I("attempts", r->attempts_len));
    if (r->priced)
        put(l, LOG_Z("cost_usd", money_text(r->cost_nano_usd, l->money)));
    put(l, LOG_F("queue_ms", ms(r->attempt.queue_us)));
    put(l, LOG_F("prefill_ms", ms(r->attempt.prefill_us)));
    put(l, LOG_F("decode_ms", ms(r->attempt.decode_us)));
    if (r->first_us)
        put(l, LOG_F("first_token_ms", ms(r->first_us - r->start_us)));
}

// Counts, times and names only: no text of a prompt or an answer, no key.
static void write_line(const struct call *c)
{
    const struct call_record *r = &c->record;
    struct line l;
    if (!log_enabled(LOG_INFO))
        return;
    l.len = 0;
    put(&l, LOG_S("request_id", c->request_id));
    put(&l, LOG_Z("endpoint", c->kind->endpoint));
    put(&l, LOG_I("status", account_status(c)));
    put(&l, LOG_Z("outcome", account_outcome(c)));
    if (call_failed(c))
        put(&l, LOG_Z("code", api_error_row(c->error->code)->name));
    if (call_failed(c) && c->error->param[0])
        put(&l, LOG_Z("param", c->error->param));
    if (c->key)
        put(&l, LOG_S("key", c->key->name));
    put(&l, LOG_S("peer", c->peer));
    if (c->model)
        put_work(c, &l);
    char text[512];
    str verdicts = guard_verdicts(c, text, sizeof text);
    if (verdicts.len)
        put(&l, LOG_S("guard", verdicts));
    char context[96];
    str cut = context_told(c, context, sizeof context);
    if (cut.len)
        put(&l, LOG_S("context", cut));
    if (r->worked_us)
        put(&l, LOG_F("read_ms", ms(r->worked_us - r->start_us)));
    put(&l, LOG_F("total_ms", ms(r->end_us - r->start_us)));
    l.fields[l.len] = (struct log_field){0};
    log_fields(LOG_INFO, "request", l.fields);
}

void phase_account(struct call *c)
{
    c->record.end_us = call_now_us(c);
    c->record.client_gone = c->gone && c->phase != CALL_ANSWERED;
    hedge_end(c);
    attempt_close(c, c->record.client_gone ? ATTEMPT_CANCELLED
                     : call_failed(c)      ? ATTEMPT_FAILED
                                           : ATTEMPT_ANSWERED);
    admission_leave(c);
    cache_leave(c);
    conversation_leave(c);
    if (shadow_is_copy(c)) {
        shadow_over(c);
        return;
    }
    if (!c->kind->work || c->counted)
        count(c);
    if (c->guard)
        guard_count(c);
    if (c->kind->quiet)
        return;
    write_line(c);
    account_store(c);
    if (c->shadow)
        shadow_over(c);
}
