#include "gateway/provider_local.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/local_internal.h"

#include "base/banned.h"

#define RETRY_MS_DEFAULT 50

struct provider_local {
    struct loop *loop;
    struct local_model *models;
    struct local_watch *watch;
};

struct local_attempt {
    struct attempt base;
    struct attempt_options o;
    struct loop *loop;
    struct loop_wake wake;
    struct loop_timer retry;
    const struct local_model *lm;
    const struct exchange_request *request;
    const struct local_plan *plan;
    struct local_choice *choices;
    size_t choices_len;
    size_t submitted, running; // choices [0, submitted) have been handed in
    size_t cursor;             // where the last event came from
    struct local_choice *over; // its job has ended; released when its last event was taken
    struct exchange_events queue;
    struct exchange_usage usage;
    struct attempt_report report;
    bool begun, ended;
};

// --- Submitting

static uint32_t tokens_max(const struct local_attempt *a, const struct local_prompt *p)
{
    const struct exchange_request *r = a->request;
    uint64_t room = a->lm->info->context_max - p->len;
    if (!(r->given & EXCHANGE_HAS_TOKENS_MAX))
        return UINT32_MAX;
    return (uint32_t)((uint64_t)r->tokens_max < room ? (uint64_t)r->tokens_max : room);
}

static void fill_sampling(const struct exchange_request *r, struct engine_request *q)
{
    q->temperature = (float)r->temperature;
    q->top_k = r->top_k > 0 ? (uint32_t)r->top_k : 0;
    q->top_p = (float)r->top_p;
    q->min_p = (float)r->min_p;
    q->presence_penalty = (float)r->presence_penalty;
    q->frequency_penalty = (float)r->frequency_penalty;
    q->repetition_penalty = (float)r->repetition_penalty;
    q->ignore_eos = r->ignore_eos;
    q->tokens_min = (uint32_t)r->tokens_min;
    q->seed_given = true;
    q->seed = (uint64_t)r->seed;
}

static void ring(void *wake)
{
    loop_wake_signal(wake);
}

static void fill_request(struct local_attempt *a, size_t index, struct engine_bias *bias,
                         struct engine_request *q)
{
    const struct exchange_request *r = a->request;
    const struct local_prompt *p = &a->plan->prompts[index / (size_t)r->n];
    engine_request_default(q);
    q->prompt_ids = p->ids;
    q->prompt_len = p->len;
    q->tokens_max = tokens_max(a, p);
    fill_sampling(r, q);
    for (size_t i = 0; i < r->bias_len; i++)
        bias[i] = (struct engine_bias){r->bias[i].token, r->bias[i].bias};
    q->bias = bias;
    q->bias_len = r->bias_len;
    q->choice = (uint32_t)(index % (size_t)r->n);
    q->stops = a->plan->stops;
    q->stops_len = a->plan->stops_len;
    q->stop_ids = r->stop_ids;
    q->stop_ids_len = r->stop_ids_len;
    q->include_stop = r->include_stop;
    q->logprobs = r->logprobs;
    q->top_logprobs = (uint32_t)r->top_logprobs;
    q->prompt_logprobs = r->echo && r->logprobs;
    q->forced = a->plan->forced;
    q->prediction_ids = a->plan->prediction_ids;
    q->prediction_len = a->plan->prediction_len;
    q->grammar = a->plan->grammar;
    q->grammar_len = a->plan->grammar_len;
    q->grammar_said = a->plan->grammar_said;
    q->embedding = r->kind == EXCHANGE_EMBEDDING;
    q->pooling = r->pooling == EXCHANGE_POOLING_MEAN   ? ENGINE_POOLING_MEAN
                 : r->pooling == EXCHANGE_POOLING_LAST ? ENGINE_POOLING_LAST
                                                       : ENGINE_POOLING_AUTO;
    if (r->given & EXCHANGE_HAS_DIMENSIONS)
        q->embedding_dimensions = (uint32_t)r->dimensions;
    q->tenant = a->o.tenant;
    q->deadline_ms = a->o.deadline_ms;
    q->wake = ring;
    q->wake_ctx = &a->wake;
}

static enum err submit_one(struct local_attempt *a, uint32_t *ret_retry_ms, struct diag *d)
{
    struct engine_request q;
    struct local_choice *c = &a->choices[a->submitted];
    const struct exchange_request *r = a->request;
    struct engine_bias *bias = r->bias_len ? mem_array(r->bias_len, sizeof *bias) : NULL;
    fill_request(a, a->submitted, bias, &q);
    enum err e = engine_submit(a->lm->model, &q, &c->job, ret_retry_ms, d);
    mem_free(bias);
    if (e != ERR_OK)
        return e;
    a->submitted++;
    a->running++;
    return ERR_OK;
}

// Hand in what is left, as far as it goes. False: an error other than "not now".
static bool submit_some(struct local_attempt *a, struct api_error *ret_error)
{
    uint32_t retry_ms = 0;
    struct diag d = {0};
    while (a->submitted < a->choices_len && a->running < LOCAL_JOBS_AT_ONCE) {
        enum err e = submit_one(a, &retry_ms, &d);
        if (e == ERR_OK)
            continue;
        if (e == ERR_BUSY && a->o.deadline_ms && clock_mono_ms() > a->o.deadline_ms) {
            e = ERR_TIMEOUT;
            diag_set(&d, e, "The request was not complete within its time.");
        }
        if (e != ERR_BUSY || !a->submitted) {
            local_refuse(ret_error, e, &d, NULL);
            ret_error->retry_after_ms = e == ERR_BUSY ? (retry_ms ? retry_ms : 1000) : 0;
            return false;
        }
        if (!a->running)
            loop_timer_set(a->loop, &a->retry, retry_ms ? retry_ms : RETRY_MS_DEFAULT);
        return true;
    }
    return true;
}

// --- Polling

static void note_started(struct local_attempt *a, const struct engine_event *e)
{
    if (a->begun)
        return;
    a->begun = true;
    struct exchange_event *out = exchange_events_push(&a->queue, EXCHANGE_EVENT_BEGIN, 0);
    out->usage.prompt_tokens = a->plan->prompt_tokens;
    out->usage.cached_tokens = e->cached_tokens;
    out->seed = e->seed;
    out->seeded = true;
    out->repeats = a->plan->forced.len;
}

static void note_ended(struct local_attempt *a, struct local_choice *c,
                       const struct engine_event *e)
{
    struct attempt_report *r = &a->report;
    if (c->index % (size_t)a->request->n == 0) // known now: hits go on while others compute
        a->usage.cached_tokens += e->cached_tokens;
    a->usage.completion_tokens += e->completion_tokens;
    a->usage.prediction_accepted += e->prediction_accepted;
    a->usage.prediction_rejected += e->prediction_rejected;
    r->queue_us = r->queue_us > e->queue_us ? r->queue_us : e->queue_us;
    r->prefill_us = r->prefill_us > e->prefill_us ? r->prefill_us : e->prefill_us;
    r->decode_us = r->decode_us > e->decode_us ? r->decode_us : e->decode_us;
    a->over = c;
}

// Take one event of some job into the queue; false when none has any.
static bool feed(struct local_attempt *a)
{
    struct engine_event e;
    for (size_t i = 0; i < a->submitted; i++) {
        struct local_choice *c = &a->choices[(a->cursor + i) % a->submitted];
        if (!c->job || !engine_job_poll(c->job, &e))
            continue;
        a->cursor = (a->cursor + i) % a->submitted;
        if (e.type == ENGINE_STARTED)
            note_started(a, &e);
        local_choice_feed(c, a->lm->model, &e, &a->queue);
        if (e.type == ENGINE_ENDED)
            note_ended(a, c, &e);
        return true;
    }
    return false;
}

static void release_over(struct local_attempt *a)
{
    if (!a->over)
        return;
    local_choice_done(a->over);
    a->over = NULL;
    a->running--;
}

static bool is_over(const struct local_attempt *a)
{
    return a->submitted == a->choices_len && !a->running;
}

static bool attempt_poll(struct attempt *base, struct exchange_event *ret)
{
    struct local_attempt *a = CONTAINER_OF(base, struct local_attempt, base);
    struct api_error error;
    for (;;) {
        if (exchange_events_pop(&a->queue, ret))
            return true;
        release_over(a);
        if (is_over(a) && !a->ended) {
            a->ended = true;
            a->usage.prompt_tokens = a->plan->prompt_tokens;
            *ret = (struct exchange_event){.type = EXCHANGE_EVENT_END, .usage = a->usage};
            return true;
        }
        if (!submit_some(a, &error))
            *exchange_events_fail(&a->queue, 0) = error;
        else if (!feed(a))
            return false;
    }
}

// --- Life of an attempt

static void on_wake(void *ctx)
{
    struct local_attempt *a = ctx;
    a->o.notify(a->o.ctx);
}

static void attempt_stop(struct attempt *base)
{
    struct local_attempt *a = CONTAINER_OF(base, struct local_attempt, base);
    for (size_t i = 0; i < a->choices_len; i++)
        local_choice_done(&a->choices[i]);
    loop_wake_done(&a->wake);
    loop_timer_cancel(&a->retry);
    exchange_events_done(&a->queue);
    mem_free(a->choices);
    mem_free(a);
}

static void attempt_report(struct attempt *base, struct attempt_report *ret)
{
    struct local_attempt *a = CONTAINER_OF(base, struct local_attempt, base);
    *ret = a->report;
}

static struct attempt *attempt_start(const struct model_entry *m, const struct exchange_request *r,
                                     void *plan, const struct attempt_options *o,
                                     struct api_error *ret_error)
{
    const struct local_model *lm = m->provider_model;
    struct local_attempt *a = mem_new(struct local_attempt);
    a->base.ops = m->provider;
    a->o = *o;
    a->loop = lm->provider->loop;
    a->lm = lm;
    a->request = r;
    a->plan = plan;
    a->choices_len = exchange_choices(r);
    a->choices = mem_array(a->choices_len, sizeof *a->choices);
    for (size_t i = 0; i < a->choices_len; i++)
        local_choice_init(&a->choices[i], (uint32_t)i, r, plan);
    loop_wake_init(a->loop, &a->wake, on_wake, a);
    loop_timer_init(&a->retry, on_wake, a);
    if (submit_some(a, ret_error))
        return &a->base;
    attempt_stop(&a->base);
    return NULL;
}

static void special_tokens(const struct model_entry *m, str *ret_bos, str *ret_eos,
                           bool *ret_adds_bos)
{
    const struct local_model *lm = m->provider_model;
    *ret_bos = lm->info->bos_text;
    *ret_eos = lm->info->eos_text;
    *ret_adds_bos = lm->info->adds_bos;
}

static void facts(const struct model_entry *m, struct model_facts *ret)
{
    const struct local_model *lm = m->provider_model;
    *ret = (struct model_facts){
        .architecture = lm->info->arch,
        .quantization = lm->info->weight_type,
        .parameters = lm->info->parameters,
        .bytes = lm->info->file_bytes,
        .tools = lm->info->chat_tools,
        .unloaded = !engine_model_is_loaded(lm->model),
    };
}

static uint64_t prompt_tokens(const void *plan)
{
    return ((const struct local_plan *)plan)->prompt_tokens;
}

static const struct provider_ops local_ops = {
    .name = "local",
    .prepare = local_prepare,
    .prompt_tokens = prompt_tokens,
    .start = attempt_start,
    .poll = attempt_poll,
    .report = attempt_report,
    .stop = attempt_stop,
    .tokenize = local_tokenize,
    .detokenize = local_detokenize,
    .special_tokens = special_tokens,
    .render = local_render,
    .count = local_count,
    .facts = facts,
};

// --- The provider

struct provider_local *provider_local_new(struct loop *l)
{
    struct provider_local *p = mem_new(struct provider_local);
    p->loop = l;
    return p;
}

void provider_local_free(struct provider_local *p)
{
    if (!p)
        return;
    while (p->models) {
        struct local_model *lm = p->models;
        p->models = lm->next;
        mem_free(lm);
    }
    mem_free(p);
}

void provider_local_describe(struct provider_local *p, struct engine_model *m,
                             struct model_entry *ret)
{
    struct local_model *lm = mem_new(struct local_model);
    lm->provider = p;
    lm->model = m;
    lm->info = engine_model_info(m);
    lm->next = p->models;
    p->models = lm;
    if (p->watch)
        local_watch_model(p->watch, m);
    *ret = (struct model_entry){
        .name = lm->info->name,
        .root = lm->info->name,
        .fingerprint = str_of(lm->info->fingerprint),
        .context_max = lm->info->context_max,
        .created_s = (int64_t)(clock_wall_ms() / 1000),
        .provider = &local_ops,
        .continues = true,
        .provider_model = lm,
    };
}

void provider_local_watch(struct provider_local *p, struct engine *e, struct metrics *m)
{
    p->watch = local_watch_new(e, m);
}
