// Start the request at its provider.
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

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
        .id = arena_printf(&c->arena, "%s%s", c->kind->dialect->id_prefix, id),
        .model = c->model->root,
        .fingerprint = c->model->fingerprint,
        .created_s = (int64_t)(c->world->wall_ms(c->world->ctx) / 1000),
    };
    return c->head.id.ptr ||
           api_error_set(&c->error, API_JSON_LIMIT, NULL, "The request needs too much memory.");
}

// Without a seed one is drawn and told, so that any answer can be made again. 53 bits: every client
// can read it as a number.
static void draw_seed(struct call *c)
{
    if (!(c->request.given & EXCHANGE_HAS_SEED))
        c->request.seed = (int64_t)(c->world->random_u64(c->world->ctx) >> 11);
}

// The ledger's row for what is about to begin.
static struct attempt_record *note_attempt(struct call *c)
{
    struct attempt_record *a = record_attempt(&c->record, &c->arena);
    if (!a) {
        api_error_set(&c->error, API_JSON_LIMIT, NULL, "The request needs too much memory.");
        return NULL;
    }
    a->target = c->model->name;
    a->provider = str_of(c->model->provider->name);
    a->model = c->model->root;
    a->started_us = call_now_us(c);
    return a;
}

enum phase_result phase_attempt(struct call *c)
{
    const struct gateway_limits *limits = &c->gateway->config->limits;
    struct attempt_options o = {
        .notify = on_notify,
        .ctx = c,
        .deadline_ms = call_now_us(c) / 1000 + (uint64_t)limits->request_timeout_ms,
        .tenant = c->key ? c->key->name : STR_NONE, // one key's prompts do not warm another's cache
    };
    struct attempt_record *attempt;
    if (!name_answer(c) || !(attempt = note_attempt(c)))
        return call_refuse(c);
    draw_seed(c);
    if (!c->request.stream)
        exchange_answer_init(&c->answer, exchange_choices(&c->request),
                             (size_t)limits->answer_bytes_max);
    c->stream = (struct dialect_stream){.request = &c->request, .head = &c->head};
    c->attempt = c->model->provider->start(c->model, &c->request, c->plan, &o, &c->error);
    if (!c->attempt) {
        attempt->end = ATTEMPT_FAILED;
        attempt->ended_us = call_now_us(c);
        return call_refuse(c);
    }
    c->record.submitted_us = call_now_us(c);
    c->phase = CALL_STREAM;
    return PHASE_NEXT;
}
