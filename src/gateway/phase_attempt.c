// Start the request at its provider.
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/shadow.h"

#include "base/banned.h"

#define ID_CHARACTERS 24

static void on_notify(void *ctx)
{
    call_step(ctx, CALL_PROVIDER);
}

static bool name_answer(struct call *c)
{
    char id[ID_CHARACTERS + 1];
    c->world->random_id(c->world->ctx, id, ID_CHARACTERS);
    c->head = (struct exchange_head){
        .id = ARENA_JOIN(&c->arena, str_of(c->kind->dialect->id_prefix), str_of(id)),
        .model = c->model->root,
        .fingerprint = c->model->fingerprint,
        .created_s = (int64_t)(c->world->wall_ms(c->world->ctx) / 1000),
    };
    return c->head.id.ptr ||
           api_error_set(call_error(c), API_JSON_LIMIT, NULL, "The request needs too much memory.");
}

// Without a seed one is drawn and told, so that any answer can be made again. 53 bits: every client
// can read it as a number.
static void draw_seed(struct call *c)
{
    if (!(c->request.given & EXCHANGE_HAS_SEED) && !c->request.seed)
        c->request.seed = (int64_t)(c->world->random_u64(c->world->ctx) >> 11);
}

static void set_moments(struct call *c)
{
    const struct model_route *r = c->route;
    uint64_t now = call_now_us(c) / 1000;
    if (r->first_token_timeout_ms)
        c->due.first_token = now + (uint64_t)r->first_token_timeout_ms;
    if (c->model->remote && !c->due.total)
        c->due.total =
            c->record.start_us / 1000 + (uint64_t)c->gateway->config->limits.request_timeout_ms;
    hedge_arm(c);
    call_arm(c);
}

bool attempt_prepare_answer(struct call *c)
{
    if (!c->head.id.ptr && !name_answer(c))
        return false;
    if (!c->request.stream)
        exchange_answer_init(&c->answer, exchange_choices(&c->request),
                             (size_t)c->gateway->config->limits.answer_bytes_max);
    if (!c->routing.shown)
        c->stream = (struct dialect_stream){.request = &c->request, .head = &c->head};
    if (c->request.stream && c->kind->dialect->ping && !c->due.ping)
        c->due.ping = call_now_us(c) / 1000 + (uint64_t)c->gateway->config->stream_ping_ms;
    call_arm(c);
    return true;
}

bool attempt_begin(struct call *c)
{
    const struct gateway_limits *limits = &c->gateway->config->limits;
    struct attempt_options o = {
        .notify = on_notify,
        .ctx = c,
        .deadline_ms = c->record.start_us / 1000 + (uint64_t)limits->request_timeout_ms,
        .tenant = c->key ? c->key->name : STR_NONE, // one key's prompts do not warm another's cache
        .arena = &c->arena,
    };
    if (!attempt_prepare_answer(c))
        return false;
    struct api_error e;
    c->attempt = c->model->provider->start(c->model, &c->request, c->plan, &o, &e);
    if (!c->attempt)
        *call_error(c) = e;
    return c->attempt;
}

enum phase_result phase_attempt(struct call *c)
{
    draw_seed(c);
    if (!attempt_begin(c))
        return phase_failed(c);
    c->record.submitted_us = call_now_us(c);
    set_moments(c);
    if (c->route->shadow)
        shadow_begin(c);
    c->phase = CALL_STREAM;
    return PHASE_NEXT;
}
