// Hand on what the provider says: to a streaming client event by event, all that came in one turn
// in one write; to another folded up into one answer. A client that does not read stops the
// polling, and so the provider.
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/guard_call.h"
#include "gateway/shadow.h"

#include "base/banned.h"

// A folded answer up to this size is written out right here.
#define INLINE_ANSWER_BYTES 16384
// What a stream keeps of its buffer from one batch of events to the next.
#define OUT_KEPT_BYTES 1024

// Some dialects tell the client how long it took.
static void note_times(struct call *c)
{
    struct attempt_report report = {0};
    c->attempt->ops->report(c->attempt, &report);
    c->head.times = (struct exchange_times){
        .total_us = call_now_us(c) - c->record.start_us,
        .queue_us = report.queue_us,
        .prefill_us = report.prefill_us,
        .decode_us = report.decode_us,
    };
}

static void note(struct call *c, const struct exchange_event *e)
{
    struct call_record *r = &c->record;
    switch (e->type) {
    case EXCHANGE_EVENT_BEGIN:
        if (!r->begun_us)
            r->begun_us = call_now_us(c);
        r->seed = e->seed;
        r->seeded = e->seeded;
        return;
    case EXCHANGE_EVENT_TEXT:
    case EXCHANGE_EVENT_THINKING:
    case EXCHANGE_EVENT_CALL:
    case EXCHANGE_EVENT_EMBEDDING:
        account_output(c);
        r->seen_bytes += e->text.len;
        r->seen_pieces++;
        return;
    case EXCHANGE_EVENT_FINISH:
        r->finish = e->finish;
        r->finished = true;
        return;
    case EXCHANGE_EVENT_END:
        if (c->request.kind != EXCHANGE_COUNT) // nothing was used
            r->usage = e->usage;
        note_times(c);
        return;
    case EXCHANGE_EVENT_ARGUMENTS:
    case EXCHANGE_EVENT_ERROR:
    case EXCHANGE_EVENT_RAW:
        return;
    }
}

static bool write_whole(struct call *c)
{
    c->kind->dialect->answer(&c->request, &c->head, &c->answer, &c->out);
    return !c->out.failed;
}

enum phase_result phase_write(struct call *c)
{
    if (c->worked)
        return call_respond_json(c, buf_str(&c->out));
    api_error_set(call_error(c), API_ANSWER_TOO_LARGE, NULL,
                  "The answer is too large as one document. Stream it, or ask for less.");
    return call_refuse(c);
}

static enum phase_result fold(struct call *c, struct exchange_event *e)
{
    if (exchange_answer_add(&c->answer, e) != ERR_OK) {
        api_error_set(call_error(c), API_ANSWER_TOO_LARGE, NULL,
                      "The answer is larger than %lld bytes. Ask for fewer choices, prompts, "
                      "tokens or logprobs, or stream it.",
                      (long long)c->answer.bytes_max);
        return call_refuse(c);
    }
    if (e->type != EXCHANGE_EVENT_END)
        return PHASE_NEXT;
    c->phase = CALL_WRITE;
    if (c->answer.bytes > INLINE_ANSWER_BYTES)
        return call_offload(c, write_whole);
    c->worked = write_whole(c);
    return PHASE_NEXT;
}

static enum phase_result answer_whole(struct call *c, struct exchange_event *e)
{
    if (c->guard)
        return guard_output(c, e, fold);
    cache_note(c, e);
    shadow_note(c, e);
    if (c->attempt->raw)
        return e->raw.len ? call_respond_json(c, e->raw) : PHASE_NEXT;
    return fold(c, e);
}

// What an attempt has written is shown once it has said something: until then another may take its
// place.
static enum phase_result stream_flush(struct call *c)
{
    if (!c->out.len || !c->routing.spoke)
        return PHASE_WAIT;
    bool first = !c->routing.shown; // many begin, and then wait long for their next word
    if (!c->begun)
        call_begin_stream(c, c->kind->dialect->stream_type);
    c->routing.shown = true;
    enum err e = c->output->write(c->output_ctx, buf_str(&c->out));
    buf_clear(&c->out);
    if (first || c->out.cap > OUT_KEPT_BYTES)
        buf_shrink(&c->out);
    c->blocked = e == ERR_AGAIN && !cache_is_heard(c);
    return PHASE_WAIT;
}

// Some wire formats repeat at the end what was said, or put in order what came interleaved.
static enum phase_result refuse_held(struct call *c)
{
    buf_clear(&c->out);
    api_error_set(call_error(c), API_ANSWER_TOO_LARGE, NULL,
                  "The answer is larger than a stream of this kind may be. Ask for less.");
    return call_refuse(c);
}

void call_ping(struct call *c)
{
    if (c->phase == CALL_ANSWERED || !c->request.stream)
        return;
    if (!c->begun)
        call_begin_stream(c, c->kind->dialect->stream_type);
    if (!c->blocked)
        c->blocked = c->output->write(c->output_ctx, str_of(c->kind->dialect->ping)) == ERR_AGAIN;
    c->due.ping = call_now_us(c) / 1000 + (uint64_t)c->gateway->config->stream_ping_ms;
}

static void write_event(struct call *c, struct exchange_event *e)
{
    const struct dialect *d = c->kind->dialect;
    if (!c->attempt->raw) {
        d->event(&c->stream, e, &c->out);
        return;
    }
    (void)buf_append_str(&c->out, e->raw);
    if (c->rescue.hopeless || !d->done)
        return;
    // Should it be continued in our own words, the dialect must know how far it has come.
    struct buf unseen;
    buf_init(&unseen, SIZE_MAX);
    d->event(&c->stream, e, &unseen);
    buf_done(&unseen);
}

static enum phase_result stream_on(struct call *c, struct exchange_event *e)
{
    write_event(c, e);
    if (c->stream.failed || c->out.failed)
        return refuse_held(c);
    if (e->type != EXCHANGE_EVENT_END)
        return PHASE_NEXT;
    account_totals(c);
    stream_flush(c);
    if (c->gone)
        return PHASE_ANSWERED;
    c->phase = CALL_ANSWERED;
    c->output->end(c->output_ctx);
    return PHASE_ANSWERED;
}

static enum phase_result stream_event(struct call *c, struct exchange_event *e)
{
    if (c->rescue.on && !rescue_filter(c, e))
        return !call_failed(c) ? PHASE_NEXT : phase_failed(c);
    rescue_note(c, e);
    if (c->guard)
        return guard_output(c, e, stream_on);
    cache_note(c, e);
    shadow_note(c, e);
    return stream_on(c, e);
}

static bool speaks(const struct exchange_event *e)
{
    return e->text.len || e->tokens_len || e->type == EXCHANGE_EVENT_CALL ||
           e->type == EXCHANGE_EVENT_EMBEDDING || e->type == EXCHANGE_EVENT_FINISH ||
           e->type == EXCHANGE_EVENT_END;
}

// The attempt has said something for the first time.
static void note_first(struct call *c)
{
    struct attempt_record *a = c->routing.record;
    c->routing.spoke = true;
    c->due.first_token = c->due.hedge = 0;
    guard_answer_begins(c);
    if (c->cache.follows)
        return;
    a->first_us = call_now_us(c);
    target_first_output(c->routing.target, (a->first_us - a->started_us) / 1000,
                        a->first_us / 1000);
}

// An answer that the client began comes without that beginning.
static void leave_out_prefill(struct call *c, struct exchange_event *e)
{
    if (e->type == EXCHANGE_EVENT_BEGIN)
        c->unsaid = e->repeats;
    if (e->type != EXCHANGE_EVENT_TEXT)
        return;
    size_t n = min_size(c->unsaid, e->text.len);
    c->unsaid -= n;
    e->text = str_sub(e->text, n, SIZE_MAX);
}

static enum phase_result handle(struct call *c, struct exchange_event *e)
{
    note(c, e);
    if (e->type == EXCHANGE_EVENT_ERROR) {
        *call_error(c) = *e->error;
        return c->cache.follows ? cache_abandoned(c) : phase_failed(c);
    }
    if (!c->routing.spoke && speaks(e))
        note_first(c);
    if (c->request.prefilled)
        leave_out_prefill(c, e);
    return c->request.stream ? stream_event(c, e) : answer_whole(c, e);
}

// Something came: the time of silence begins anew.
static void note_life(struct call *c)
{
    uint64_t now = call_now_us(c) / 1000;
    if (c->route->idle_timeout_ms && c->routing.spoke && !c->cache.follows)
        c->due.idle = now + (uint64_t)c->route->idle_timeout_ms;
    if (c->due.ping && c->begun)
        c->due.ping = now + (uint64_t)c->gateway->config->stream_ping_ms;
}

// What the attempt has to say now.
static enum phase_result hear(struct call *c, bool *ret_came)
{
    struct exchange_event e;
    *ret_came = false;
    while (!c->blocked && !c->gone && c->attempt->ops->poll(c->attempt, &e)) {
        enum phase_result result = handle(c, &e);
        if (result != PHASE_NEXT || c->phase != CALL_STREAM)
            return result;
        *ret_came = true;
    }
    return PHASE_WAIT;
}

// Two run side by side: the first one to say something is the call's attempt from then on.
static enum phase_result hear_side(struct call *c, bool *ret_came)
{
    hedge_swap(c);
    enum phase_result result = hear(c, ret_came);
    if (!hedge_runs(c) || c->routing.spoke)
        return result; // it has failed and is gone, or it has won
    hedge_swap(c);
    return result;
}

enum phase_result phase_stream(struct call *c)
{
    bool came;
    enum phase_result result = hear(c, &came);
    if (result == PHASE_WAIT && c->phase == CALL_STREAM && hedge_runs(c) && !c->routing.spoke)
        result = hear_side(c, &came);
    if (result != PHASE_WAIT || c->phase != CALL_STREAM)
        return result;
    if (c->routing.spoke)
        hedge_end(c);
    if (came)
        note_life(c);
    return c->gone ? PHASE_WAIT : stream_flush(c);
}
