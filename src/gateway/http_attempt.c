// One try of one request at a provider over the network. Bytes come from the HTTP client, documents
// are read as events are polled: a client that does not read stops the polling, and so the reading
// from the provider. Owner: the call; loop thread.
#include "base/clock.h"
#include "base/mem.h"
#include "gateway/http_frames.h"
#include "gateway/provider_http.h"

#include "base/banned.h"

#define REQUEST_ID_BYTES_MAX 95
#define ERROR_BYTES_MAX      65536 // of a refusal's body: more is not read
#define LINGER_MS            1000  // for the few bytes behind the proven end
#define REST_MS              1000 // a stream that has been silent for that long keeps little memory

struct http_attempt {
    struct attempt base;
    struct attempt_options o;
    struct http_provider *provider;
    const struct model_entry *model;
    const struct http_plan *plan;
    struct http_exchange *exchange; // NULL: over
    struct upstream_reader reader;
    struct http_frames frames;
    str arrived;     // what the client's callback holds
    struct buf kept; // what was not taken during it
    struct loop_timer quiet, total;
    struct attempt_report report;
    struct upstream_answer *refusal; // where the status is no success
    uint64_t started_us, spoken_us, progress_ms;
    bool streams, refused, paused, eof, broken;
    bool spoken; // the first word came
    bool rested; // … and its memory was given back
    bool *gone; // set while `notify` is on the stack: becomes true when the owner lets go meanwhile
};

// --- Ending

// Its own memory is the call's.
static void release(struct http_attempt *a)
{
    upstream_reader_done(&a->reader);
    http_frames_done(&a->frames);
    buf_done(&a->kept);
}

// Events may be there. False: the attempt is gone, and perhaps its call.
static bool tell(struct http_attempt *a)
{
    bool gone = false;
    a->gone = &gone;
    a->o.notify(a->o.ctx);
    if (!gone)
        a->gone = NULL;
    return !gone;
}

static void fail(struct http_attempt *a, const struct api_error *e)
{
    http_exchange_cancel(a->exchange);
    a->exchange = NULL;
    loop_timer_cancel(&a->quiet);
    loop_timer_cancel(&a->total);
    upstream_reader_fail(&a->reader, e);
    tell(a);
}

// --- Times

static void fail_late(struct http_attempt *a, enum failure failure, const char *what, uint64_t ms)
{
    struct api_error e;
    api_error_set(&e, API_UPSTREAM_TIMEOUT, NULL, "The provider '" STR_FMT "' %s within %llu ms.",
                  STR_ARG(a->provider->config->name), what, (unsigned long long)ms);
    e.failure = failure;
    fail(a, &e);
}

static uint64_t quiet_max_ms(const struct http_attempt *a)
{
    const struct gateway_provider *c = a->provider->config;
    return (uint64_t)(a->spoken ? c->idle_timeout_ms : c->first_token_timeout_ms);
}

// Thousands of streams may wait for their next word.
static void rest(struct http_attempt *a)
{
    upstream_reader_rest(&a->reader);
    http_frames_rest(&a->frames);
    if (a->exchange)
        http_exchange_rest(a->exchange);
}

// Until the moment at which the silence has been too long, or long enough for a rest.
static void wait_on(struct http_attempt *a, uint64_t silent_ms, uint64_t max_ms)
{
    uint64_t next_ms = silent_ms < REST_MS && REST_MS < max_ms ? REST_MS : max_ms;
    loop_timer_set(a->provider->loop, &a->quiet, next_ms - silent_ms);
}

// Looks at the time of the last word, so that a word costs no timer.
static void quiet_for_long(void *ctx)
{
    struct http_attempt *a = ctx;
    uint64_t max_ms = quiet_max_ms(a), silent_ms = clock_mono_ms() - a->progress_ms;
    if (a->paused || a->reader.ended)
        return; // the silence is ours
    if (a->spoken && silent_ms >= REST_MS)
        rest(a);
    if (silent_ms < max_ms)
        wait_on(a, silent_ms, max_ms);
    else if (a->spoken)
        fail_late(a, FAILURE_IDLE_TIMEOUT, "said nothing more", max_ms);
    else
        fail_late(a, FAILURE_FIRST_TIMEOUT, "said nothing", max_ms);
}

static void watch_quiet(struct http_attempt *a)
{
    a->progress_ms = clock_mono_ms();
    if (a->streams)
        wait_on(a, 0, quiet_max_ms(a));
}

static void total_over(void *ctx)
{
    struct http_attempt *a = ctx;
    fail_late(a, FAILURE_TOTAL_TIMEOUT, "was not done", (clock_mono_us() - a->started_us) / 1000);
}

static uint64_t total_ms(const struct http_attempt *a)
{
    uint64_t own_ms = (uint64_t)a->provider->config->total_timeout_ms, now_ms = clock_mono_ms();
    if (!a->o.deadline_ms)
        return own_ms;
    uint64_t left_ms = a->o.deadline_ms > now_ms ? a->o.deadline_ms - now_ms : 0;
    return left_ms < own_ms ? left_ms : own_ms;
}

// --- What the HTTP client tells

static str keep_header(struct http_attempt *a, const struct h1_head *head, str name)
{
    str value = http_header_find(head->headers, head->headers_len, name);
    return value.ptr ? arena_str(a->o.arena, value) : STR_NONE;
}

static void note_request_id(struct http_attempt *a, const struct h1_head *head)
{
    static const char *const names[] = {"x-request-id", "request-id", "apim-request-id"};
    str id = STR_NONE;
    for (size_t i = 0; i < ARRAY_LEN(names) && !id.len; i++)
        id = http_header_find(head->headers, head->headers_len, str_of(names[i]));
    if (id.len)
        a->report.request_id = arena_str(a->o.arena, str_sub(id, 0, REQUEST_ID_BYTES_MAX));
}

static void on_head(void *ctx, const struct h1_head *head)
{
    struct http_attempt *a = ctx;
    a->report.status = head->status;
    a->report.first_byte_us = clock_mono_us() - a->started_us;
    a->report.connect_us = http_exchange_connect_us(a->exchange);
    a->report.reused = http_exchange_reused(a->exchange);
    a->report.protocol = http_exchange_is_h2(a->exchange) ? "h2" : "http/1.1";
    note_request_id(a, head);
    a->refused = head->status < 200 || head->status > 299;
    if (!a->refused || !(a->refusal = arena_zalloc(a->o.arena, 1, sizeof *a->refusal)))
        return;
    *a->refusal = (struct upstream_answer){
        .status = head->status,
        .retry_after = keep_header(a, head, STR("retry-after")),
        .retry_after_ms = keep_header(a, head, STR("retry-after-ms")),
        .x_ms_retry_after_ms = keep_header(a, head, STR("x-ms-retry-after-ms")),
        .wall_ms = clock_wall_ms(),
    };
}

static void on_body(void *ctx, str bytes)
{
    struct http_attempt *a = ctx;
    if (a->refused) {
        (void)buf_append_str(
            &a->kept, str_sub(bytes, 0, ERROR_BYTES_MAX - min_size(a->kept.len, ERROR_BYTES_MAX)));
        return;
    }
    if (a->kept.len)
        (void)buf_append_str(&a->kept, bytes);
    else
        a->arrived = bytes;
    if (!tell(a))
        return;
    if (a->arrived.len)
        (void)buf_append_str(&a->kept, a->arrived);
    a->arrived = STR_NONE;
    if (a->kept.len && a->exchange) {
        a->paused = true;
        http_exchange_pause(a->exchange);
    }
}

static void over(struct http_attempt *a, bool broken)
{
    struct api_error e;
    a->exchange = NULL;
    a->eof = true;
    a->broken = broken;
    loop_timer_cancel(&a->quiet);
    loop_timer_cancel(&a->total);
    if (a->refused) {
        const struct upstream_answer untold = {.status = a->report.status};
        upstream_error_of_answer(a->refusal ? a->refusal : &untold, a->provider->config->name,
                                 buf_str(&a->kept), &e);
        // a name that the client made up is the client's mistake
        if (e.code == API_MODEL_NOT_FOUND && !str_eq(a->model->label, a->model->root))
            e.failure = FAILURE_CLIENT;
        upstream_reader_fail(&a->reader, &e);
        buf_clear(&a->kept);
    }
    tell(a);
}

static void on_end(void *ctx)
{
    over(ctx, false);
}

static void unreachable(struct http_attempt *a, enum err e, const struct diag *d)
{
    struct api_error error;
    bool late = e == ERR_TIMEOUT;
    const char *why = d->text[0] ? d->text : err_name(e);
    api_error_set(&error, late ? API_UPSTREAM_TIMEOUT : API_UPSTREAM_UNREACHABLE, NULL,
                  "The provider '" STR_FMT "' could not be reached: %s.",
                  STR_ARG(a->provider->config->name), why);
    error.failure = late ? FAILURE_CONNECT_TIMEOUT : FAILURE_TRANSIENT;
    upstream_reader_fail(&a->reader, &error);
}

static void on_error(void *ctx, enum err e, const struct diag *d)
{
    struct http_attempt *a = ctx;
    if (!a->report.status)
        unreachable(a, e, d);
    over(a, true);
}

static const struct http_answer_handler handler = {
    .head = on_head, .body = on_body, .end = on_end, .error = on_error};

// --- Polling

// The next document; false when more bytes are needed.
static bool read_document(struct http_attempt *a)
{
    if (!a->kept.len)
        return http_frames_next(&a->frames, &a->arrived, &a->reader);
    str rest = buf_str(&a->kept);
    bool found = http_frames_next(&a->frames, &rest, &a->reader);
    buf_consume(&a->kept, a->kept.len - rest.len);
    return found;
}

static void go_on_reading(struct http_attempt *a)
{
    if (!a->paused || !a->exchange)
        return;
    a->paused = false;
    buf_shrink(&a->kept);
    http_exchange_resume(a->exchange);
    watch_quiet(a);
}

static void note_progress(struct http_attempt *a, const struct exchange_event *e)
{
    if (e->type == EXCHANGE_EVENT_RAW || e->type == EXCHANGE_EVENT_BEGIN)
        return; // a ping, a role: no word of an answer
    uint64_t now_us = clock_mono_us();
    a->progress_ms = now_us / 1000;
    if (a->spoken) {
        a->report.decode_us = now_us - a->spoken_us;
        return;
    }
    a->spoken = true;
    a->spoken_us = now_us;
    a->report.prefill_us = now_us - a->started_us;
    if (a->streams && a->exchange)
        wait_on(a, 0, quiet_max_ms(a));
}

// What the head and the first word needed serves the next attempt, where many begin and then wait.
static void rest_at_first(struct http_attempt *a)
{
    if (!a->spoken || a->rested)
        return;
    a->rested = true;
    rest(a);
}

bool http_attempt_poll(struct attempt *base, struct exchange_event *ret)
{
    struct http_attempt *a = CONTAINER_OF(base, struct http_attempt, base);
    for (;;) {
        if (exchange_events_pop(&a->reader.events, ret)) {
            a->base.raw = a->reader.raw;
            note_progress(a, ret);
            return true;
        }
        if (a->reader.ended)
            return false;
        if (read_document(a))
            continue;
        if (!a->eof) {
            go_on_reading(a);
            rest_at_first(a);
            return false;
        }
        http_frames_eof(&a->frames, a->broken, &a->reader);
    }
}

void http_attempt_report(struct attempt *base, struct attempt_report *ret)
{
    struct http_attempt *a = CONTAINER_OF(base, struct http_attempt, base);
    *ret = a->report;
}

// --- Beginning and letting go

void http_attempt_stop(struct attempt *base)
{
    struct http_attempt *a = CONTAINER_OF(base, struct http_attempt, base);
    loop_timer_cancel(&a->quiet);
    loop_timer_cancel(&a->total);
    if (a->reader.ended && !a->broken)
        http_exchange_forget(a->exchange, LINGER_MS);
    else
        http_exchange_cancel(a->exchange);
    a->exchange = NULL;
    if (a->gone)
        *a->gone = true;
    release(a);
}

static enum err send_request(struct http_attempt *a, enum exchange_kind kind, struct diag *d)
{
    struct http_address *address;
    ERR_TRY(http_provider_address(a->provider, a->model->root, kind, &address, d));
    const struct http_request request = {
        .address = address,
        .body = a->plan->body,
        .connect_timeout_ms = (uint32_t)a->provider->config->connect_timeout_ms,
        .headers_timeout_ms = HTTP_NO_TIMEOUT, // our own clocks tell the cases apart
        .idle_timeout_ms = HTTP_NO_TIMEOUT,
    };
    a->exchange = http_client_send(a->provider->client, &request, &handler, a);
    http_address_drop(address); // the exchange holds it
    return ERR_OK;
}

struct attempt *http_attempt_start(const struct model_entry *m, const struct exchange_request *r,
                                   void *plan, const struct attempt_options *o,
                                   struct api_error *ret_error)
{
    struct http_attempt *a = arena_zalloc(o->arena, 1, sizeof *a);
    if (!a) {
        api_error_set(ret_error, API_JSON_LIMIT, NULL, "The request needs too much memory.");
        return NULL;
    }
    a->base.ops = m->provider;
    a->o = *o;
    a->model = m;
    a->provider = m->provider_model;
    a->plan = plan;
    a->streams = r->stream;
    a->started_us = clock_mono_us();
    buf_init(&a->kept, SIZE_MAX / 2); // paused as soon as anything is kept
    a->base.raw = upstream_is_spliced(a->plan->dialect, r) && !r->in_events;
    upstream_reader_init(&a->reader, a->plan->dialect, r, a->provider->config->name, a->base.raw);
    http_frames_init(&a->frames, a->plan->dialect->framing, r->stream,
                     a->provider->answer_bytes_max);
    loop_timer_init(&a->quiet, quiet_for_long, a);
    loop_timer_init(&a->total, total_over, a);
    struct diag d = {0};
    if (send_request(a, r->kind, &d) != ERR_OK) {
        api_error_set(ret_error, API_INTERNAL_ERROR, NULL,
                      "The provider '" STR_FMT "' cannot be asked as it is configured: %s.",
                      STR_ARG(a->provider->config->name), d.text);
        release(a);
        return NULL;
    }
    watch_quiet(a);
    loop_timer_set(a->provider->loop, &a->total, total_ms(a));
    return &a->base;
}
