#include "gateway/call.h"

#include "base/mem.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/phase_prompt.h"

#include "base/banned.h"

// A body up to this size is read, rendered and tokenised right here, in well under a millisecond.
#define INLINE_BODY_BYTES 8192
// … where rules may look at it as well (the injection score takes a millisecond for 7 KB).
#define GUARDED_BODY_BYTES 4096
// Room in `out` for errors and events, beside the answer (whose JSON escapes may take more).
#define OUT_BYTES_OWN (1u << 20)
// Of a call's memory: what a usual one needs, with an attempt at a provider.
#define ARENA_BYTES_FIRST 2048
#ifdef __SANITIZE_ADDRESS__
#define SPARES_MAX 0 // so that it sees who comes too late
#else
#define SPARES_MAX 64
#endif
_Static_assert(sizeof(struct call) % 16 == 0, "an arena begins behind it");

uint64_t call_now_us(const struct call *c)
{
    return c->world->mono_us(c->world->ctx);
}

struct api_error *call_error(struct call *c)
{
    if (!c->error)
        c->error = mem_new(struct api_error);
    return c->error;
}

bool call_failed(const struct call *c)
{
    return c->error && c->error->code != API_OK;
}

void call_forgive(struct call *c)
{
    mem_free(c->error);
    c->error = NULL;
}

static void list_add(struct gateway *g, struct call *c)
{
    c->next = g->calls;
    if (g->calls)
        g->calls->prev = c;
    g->calls = c;
    g->calls_len++;
}

static void list_remove(struct gateway *g, struct call *c)
{
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        g->calls = c->next;
    g->calls_len--;
}

// A call and the first of its memory are one block, and some are kept for the next ones.
static struct call *take_block(struct gateway *g)
{
    struct call *c = g->spares;
    if (c) {
        g->spares = c->next;
        g->spares_len--;
    } else {
        c = mem_alloc(sizeof *c + ARENA_BYTES_FIRST);
    }
    *c = (struct call){.gateway = g};
    return c;
}

static void give_block(struct gateway *g, struct call *c)
{
    if (g->spares_len + 1 > SPARES_MAX) { // none under AddressSanitizer
        mem_free(c);
        return;
    }
    c->next = g->spares;
    g->spares = c;
    g->spares_len++;
}

void call_spares_free(struct gateway *g)
{
    while (g->spares) {
        struct call *c = g->spares;
        g->spares = c->next;
        mem_free(c);
    }
    g->spares_len = 0;
}

static void call_free(struct call *c)
{
    ASSERT(!c->attempt);
    c->world->timer_cancel(c->world->ctx, &c->timer);
    list_remove(c->gateway, c);
    exchange_answer_done(&c->answer);
    rescue_done(&c->rescue);
    guard_leave(c);
    ASSERT(!hedge_runs(c));
    if (c->stream.request && c->kind->dialect->done)
        c->kind->dialect->done(&c->stream);
    json_done(&c->doc);
    buf_done(&c->out);
    buf_done(&c->body);
    arena_done(&c->arena);
    mem_free(c->error);
    give_block(c->gateway, c);
}

// --- Answering

static const struct dialect *dialect(const struct call *c)
{
    return c->kind->dialect ? c->kind->dialect : &dialect_openai_chat;
}

static void fill_headers(struct call *c, struct answer_headers *h)
{
    char text[512];
    h->len = h->text_len = 0;
    str ignored = account_list(c->request.ignored, c->request.ignored_len, text, sizeof text);
    if (ignored.len)
        answer_headers_add(h, "x-weir-ignored-fields", ignored);
    str dropped = account_list(c->losses.names, c->losses.len, text, sizeof text);
    if (dropped.len)
        answer_headers_add(h, "x-weir-dropped-params", dropped);
    str cut = context_told(c, text, sizeof text);
    if (cut.len)
        answer_headers_add(h, "x-weir-context", cut);
    if (c->guard) {
        str verdicts = guard_verdicts(c, text, sizeof text);
        if (verdicts.len)
            answer_headers_add(h, "x-weir-guard", verdicts);
    }
    cache_headers(c, h);
    conversation_headers(c, h);
    account_headers(c, h);
    admission_headers(c, h);
    if (dialect(c)->request_id_header)
        answer_headers_add(h, dialect(c)->request_id_header, c->request_id);
    if (c->model)
        answer_headers_add(h, "x-weir-model", c->model->root);
    if (c->record.seeded && c->request.kind != EXCHANGE_EMBEDDING)
        answer_headers_i64(h, "x-weir-seed", (int64_t)c->record.seed); // as a client writes it
}

static enum phase_result respond(struct call *c, int status, const struct answer_headers *h,
                                 str body)
{
    c->record.status = status;
    c->phase = CALL_ANSWERED;
    const char *type = status == 200 ? c->content_type : NULL;
    c->output->respond(c->output_ctx, status, type ? type : "application/json", h, body);
    return PHASE_ANSWERED;
}

enum phase_result call_respond_json(struct call *c, str body)
{
    struct answer_headers h;
    if (c->routing.target)
        admission_close(c, c->routing.record, ATTEMPT_ANSWERED); // the headers tell its cost
    fill_headers(c, &h);
    return respond(c, 200, &h, body);
}

void call_begin_stream(struct call *c, const char *content_type)
{
    struct answer_headers h;
    fill_headers(c, &h);
    answer_headers_add(&h, "Cache-Control", STR("no-cache"));
    answer_headers_add(&h, "X-Accel-Buffering", STR("no"));
    c->begun = true;
    c->record.status = 200;
    c->output->begin(c->output_ctx, 200, content_type, &h);
}

// Inside a stream the error is an event, and the connection ends without the last chunk: no client
// takes such an answer for whole.
static enum phase_result refuse_stream(struct call *c)
{
    dialect(c)->stream_error(&c->stream, call_error(c), c->request_id, &c->out);
    c->phase = CALL_ANSWERED;
    account_totals(c);
    (void)c->output->write(c->output_ctx, buf_str(&c->out));
    if (!c->gone)
        c->output->abort(c->output_ctx);
    return PHASE_ANSWERED;
}

enum phase_result call_refuse(struct call *c)
{
    struct answer_headers h;
    if (c->begun)
        return refuse_stream(c);
    fill_headers(c, &h);
    answer_headers_error(&h, call_error(c));
    buf_clear(&c->out);
    dialect(c)->error(call_error(c), c->request_id, &c->out);
    return respond(c, dialect_status(dialect(c), call_error(c)), &h, buf_str(&c->out));
}

// --- Phases

static enum phase_result proceed(struct call *c, bool ok, enum call_phase next)
{
    if (!ok)
        return call_refuse(c);
    c->phase = next;
    return PHASE_NEXT;
}

// What may take long and touches nothing but the call: runs here or on a worker thread.
static bool heavy(struct call *c)
{
    if (c->kind->without_body)
        return c->kind->work(c);
    return phase_receive(c) && phase_route(c) && (!c->gateway->shared->guards || guard_input(c)) &&
           (!c->kind->work || c->kind->work(c));
}

static void work_run(void *ctx)
{
    struct call *c = ctx;
    c->worked = c->work(c);
}

static void work_done(void *ctx)
{
    struct call *c = ctx;
    c->offloaded = false;
    call_step(c, CALL_WORKED);
}

enum phase_result call_offload(struct call *c, bool (*work)(struct call *c))
{
    c->work = work;
    c->offload = (struct offload){.run = work_run, .done = work_done, .ctx = c};
    if (!c->world->offload(c->world->ctx, &c->offload)) {
        api_error_set(call_error(c), API_OVERLOADED, NULL,
                      "Too many large requests are at work. Try again in a moment.");
        call_error(c)->retry_after_ms = 1000;
        return call_refuse(c);
    }
    c->offloaded = true;
    return PHASE_WAIT;
}

// A stream may last for hours; what was read of the body is in the document.
static void forget_body(struct call *c)
{
    if (!c->body.cap)
        c->output->take_body(c->output_ctx, &c->body);
    c->in.body = c->request.body = STR_NONE;
    buf_done(&c->body);
}

// The model is there, and nothing is asked of it.
static enum phase_result answer_nothing(struct call *c)
{
    c->head = (struct exchange_head){
        .model = c->model->root,
        .created_s = (int64_t)(c->world->wall_ms(c->world->ctx) / 1000),
    };
    c->kind->dialect->answer(&c->request, &c->head, &c->answer, &c->out);
    return call_respond_json(c, buf_str(&c->out));
}

static bool is_long(const struct call *c)
{
    if (c->gateway->shared->guards && c->in.body.len > GUARDED_BODY_BYTES)
        return true;
    return c->kind->elsewhere || c->in.body.len > INLINE_BODY_BYTES || phase_prompt_named(c);
}

static enum phase_result phase_read(struct call *c, enum call_event event)
{
    bool ok = c->worked;
    if (event != CALL_WORKED && is_long(c)) {
        c->output->take_body(c->output_ctx, &c->body);
        c->in.body = buf_str(&c->body);
        return call_offload(c, heavy);
    }
    if (event != CALL_WORKED)
        ok = heavy(c);
    c->record.worked_us = call_now_us(c);
    if (ok && c->kind->work && c->request.kind != EXCHANGE_COUNT)
        return call_respond_json(c, buf_str(&c->out));
    if (ok && c->request.nothing)
        return answer_nothing(c);
    return proceed(c, ok && conversation_enter(c), CALL_CACHE);
}

// May another attempt need the body as it came?
static bool body_is_needed(const struct call *c)
{
    return c->model->remote || c->route->targets_len > 1 || c->route->shadow;
}

bool call_form_is_held(const struct call *c)
{
    const struct exchange_request *r = &c->request;
    return r->format != EXCHANGE_FORMAT_TEXT || r->tool_choice == EXCHANGE_TOOLS_REQUIRED ||
           r->tool_choice == EXCHANGE_TOOLS_NAMED;
}

static bool takes_long_to_prepare(const struct call *c)
{
    return c->in.body.len > INLINE_BODY_BYTES || (call_form_is_held(c) && !c->model->remote);
}

static enum phase_result prepare(struct call *c, enum call_event event)
{
    bool ok = c->worked;
    if (event != CALL_WORKED && takes_long_to_prepare(c))
        return call_offload(c, phase_prepare);
    if (event != CALL_WORKED)
        ok = phase_prepare(c);
    if (!body_is_needed(c))
        forget_body(c);
    if (!ok || !admission_prepared(c))
        return phase_failed(c);
    c->phase = CALL_ATTEMPT;
    return PHASE_NEXT;
}

// --- Moments

static uint64_t nearest(const struct call_due *d)
{
    const uint64_t all[] = {d->backoff, d->admission, d->first_token, d->idle,
                            d->total,   d->ping,      d->hedge,       d->semantic};
    uint64_t least = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i] && (!least || all[i] < least))
            least = all[i];
    return least;
}

void call_arm(struct call *c)
{
    uint64_t due = nearest(&c->due), now = call_now_us(c) / 1000;
    if (!due || (c->timer.due_ms && c->timer.due_ms <= due))
        return; // an earlier one looks again
    c->timer.due_ms = due;
    c->world->timer_set(c->world->ctx, &c->timer, due > now ? due - now : 0);
}

static void on_timer(void *ctx)
{
    struct call *c = ctx;
    c->timer.due_ms = 0;
    call_step(c, CALL_TIMER);
}

static bool is_due(uint64_t *due, uint64_t now_ms)
{
    if (!*due || now_ms < *due)
        return false;
    *due = 0;
    return true;
}

static enum phase_result time_out(struct call *c, enum failure f, const char *what)
{
    api_error_set(call_error(c), f == FAILURE_TOTAL_TIMEOUT ? API_TIMEOUT : API_UPSTREAM_TIMEOUT,
                  NULL, "The model %s in time.", what);
    call_error(c)->failure = f;
    return c->phase == CALL_STREAM && f != FAILURE_TOTAL_TIMEOUT ? phase_failed(c) : call_refuse(c);
}

// What has come due. PHASE_NEXT: nothing that changes the phase.
static enum phase_result look_at_moments(struct call *c)
{
    struct call_due *d = &c->due;
    uint64_t now = call_now_us(c) / 1000;
    if (is_due(&d->total, now))
        return time_out(c, FAILURE_TOTAL_TIMEOUT, "did not answer");
    if (is_due(&d->first_token, now) && c->phase == CALL_STREAM && !c->routing.spoke)
        return time_out(c, FAILURE_FIRST_TIMEOUT, "did not begin to answer");
    if (is_due(&d->idle, now) && c->phase == CALL_STREAM && !c->blocked)
        return time_out(c, FAILURE_IDLE_TIMEOUT, "did not go on");
    if (is_due(&d->hedge, now) && c->phase == CALL_STREAM && !c->routing.spoke)
        hedge_begin(c);
    (void)is_due(&d->admission, now); // phase_admit looks itself
    if (is_due(&d->ping, now))
        call_ping(c);
    if (is_due(&d->backoff, now) && c->phase == CALL_BACKOFF)
        c->phase = CALL_TARGET;
    return PHASE_NEXT;
}

static enum phase_result run_phase(struct call *c, enum call_event event)
{
    switch (c->phase) {
    case CALL_AUTH:
        return phase_auth(c);
    case CALL_READ:
        return phase_read(c, event);
    case CALL_CACHE:
        return phase_cache(c);
    case CALL_SEMANTIC:
        return phase_semantic(c);
    case CALL_TARGET:
        return phase_target(c);
    case CALL_ADMIT:
        return phase_admit(c);
    case CALL_PREPARE:
        return prepare(c, event);
    case CALL_BACKOFF:
        return PHASE_WAIT;
    case CALL_ATTEMPT:
        return phase_attempt(c);
    case CALL_STREAM:
        return phase_stream(c);
    case CALL_WRITE:
        return phase_write(c);
    case CALL_ANSWERED:
        return PHASE_ANSWERED;
    }
    return PHASE_ANSWERED;
}

void call_step(struct call *c, enum call_event event)
{
    if (event == CALL_GONE && !cache_desert(c))
        c->gone = true;
    if (event == CALL_DRAINED)
        c->blocked = false;
    if (c->stepping || c->offloaded)
        return; // whoever runs it now sees the flags
    c->stepping = true;
    enum phase_result result = c->gone ? PHASE_WAIT : look_at_moments(c);
    while (result == PHASE_NEXT && !c->gone) {
        result = run_phase(c, event);
        event = CALL_PROVIDER; // seen
    }
    if (result == PHASE_WAIT && !c->gone && !c->offloaded)
        call_arm(c);
    c->stepping = false;
    if (result != PHASE_ANSWERED && !c->gone)
        return;
    phase_account(c);
    call_free(c);
}

struct call *call_new(struct gateway *g, const struct call_kind *kind, const struct call_input *in,
                      const struct call_output *output, void *output_ctx)
{
    struct call *c = take_block(g);
    c->world = &g->world;
    c->kind = kind;
    c->in = *in;
    c->output = output;
    c->output_ctx = output_ctx;
    c->timer.fire = on_timer;
    c->timer.ctx = c;
    c->record.start_us = call_now_us(c);
    arena_init_in(&c->arena, (size_t)g->config->limits.call_bytes_max, c + 1, ARENA_BYTES_FIRST);
    c->losses.arena = &c->arena;
    buf_init(&c->out, OUT_BYTES_OWN + (size_t)g->config->limits.answer_bytes_max * 4);
    buf_init(&c->body, 0);
    // What another thread or the record may read when the client has gone.
    c->in.content_type = arena_str(&c->arena, in->content_type);
    c->in.accept = arena_str(&c->arena, in->accept);
    c->request_id = arena_str(&c->arena, in->request_id);
    c->peer = arena_str(&c->arena, in->peer);
    list_add(g, c);
    return c;
}
