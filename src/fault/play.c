#include "fault/play.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"

#include "base/banned.h"

enum { ARENA_BYTES_MAX = 96 << 20, FRAMES_BYTES_MAX = 96 << 20, PIECE_BYTES = 64 * 1024 };

static void fire(void *ctx)
{
    struct play *p = ctx;
    p->when(p);
}

void play_init(struct play *p, struct loop *l, struct http_call *call)
{
    *p = (struct play){.loop = l, .call = call};
    arena_init(&p->arena, ARENA_BYTES_MAX);
    frames_init(&p->frames, FRAMES_BYTES_MAX);
    loop_timer_init(&p->timer, fire, p);
}

void play_free(struct play *p)
{
    struct attempt *t = attempts_get(p->attempts, p->number);
    if (t && !t->over) {
        t->over = true;
        t->ended_us = clock_mono_us();
    }
    p->done(p);
    loop_timer_cancel(&p->timer);
    p->next->prev = p->prev;
    p->prev->next = p->next;
    frames_done(&p->frames);
    arena_done(&p->arena);
    mem_free(p);
}

static void wait_us(struct play *p, uint64_t us)
{
    loop_timer_set(p->loop, &p->timer, (us + 999) / 1000);
}

void play_after(struct play *p, uint64_t us, void (*when)(struct play *p))
{
    p->when = when;
    if (us)
        wait_us(p, us);
    else
        when(p);
}

uint64_t play_draw(const struct play *p, const struct spread *s, enum play_draw purpose, uint64_t i)
{
    return spread_draw(s, p->seed, p->number, (uint64_t)purpose << 32 | i);
}

// --- The record

static void note(struct play *p, enum attempt_outcome outcome, int status)
{
    struct attempt *t = attempts_get(p->attempts, p->number);
    if (!t)
        return;
    t->outcome = outcome;
    if (status)
        t->status = status;
    t->events = p->frame;
    t->bytes = p->sent;
}

static void note_first_byte(struct play *p)
{
    struct attempt *t = attempts_get(p->attempts, p->number);
    if (t && !t->first_byte_us)
        t->first_byte_us = clock_mono_us();
}

void play_client_gone(struct play *p)
{
    struct attempt *t = attempts_get(p->attempts, p->number);
    if (t)
        t->client_closed = true;
    play_free(p);
}

// --- Ends without a body of events

void play_respond(struct play *p, int status, str type, const struct http_headers *extra, str body)
{
    note_first_byte(p);
    p->sent = body.len;
    note(p, status >= 300 ? ATTEMPT_ERROR : ATTEMPT_ANSWERED, status);
    http_call_respond(p->call, status, type, extra, body);
    play_free(p);
}

void play_reset(struct play *p)
{
    note(p, ATTEMPT_RESET, 0);
    http_call_reset(p->call);
    play_free(p);
}

void play_hang(struct play *p)
{
    note(p, ATTEMPT_HUNG, 0);
}

static str http_date(struct play *p, int64_t from_now_s)
{
    time_t at = (time_t)(clock_wall_ms() / 1000) + (time_t)from_now_s;
    struct tm tm;
    char text[40];
    if (!gmtime_r(&at, &tm) || !strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return STR("");
    return arena_str(&p->arena, str_of(text));
}

static void error_headers(struct play *p, int status, struct http_headers *h)
{
    const struct order *o = &p->order;
    long long ms = o->retry_after_ms, x_ms = o->x_ms_retry_after_ms;
    if (o->retry_after.len && http_value_ok(o->retry_after))
        (void)http_headers_add(h, STR("retry-after"), o->retry_after);
    if (o->retry_after_date)
        (void)http_headers_add(h, STR("retry-after"), http_date(p, o->retry_after_date));
    if (ms)
        (void)http_headers_add(h, STR("retry-after-ms"), arena_printf(&p->arena, "%lld", ms));
    if (x_ms)
        (void)http_headers_add(h, STR("x-ms-retry-after-ms"),
                               arena_printf(&p->arena, "%lld", x_ms));
    if (status < 400 && status >= 300)
        (void)http_headers_add(h, STR("location"), STR("/fault/redirected"));
}

void play_error(struct play *p, const struct mishap *m)
{
    struct http_headers headers = {0};
    struct buf body;
    str type = STR("application/json");
    int status = p->order.status ? (int)p->order.status : p->wire->status(m);
    buf_init(&body, 64 * 1024);
    error_headers(p, status, &headers);
    if (p->order.body == ORDER_BODY_JSON) {
        p->wire->error(m, &body);
    } else if (p->order.body == ORDER_BODY_HTML) {
        type = STR("text/html");
        (void)buf_printf(&body, "<html><head><title>%d</title></head><body>%s</body></html>\n",
                         status, m->message);
    }
    play_respond(p, status, type, &headers, buf_str(&body));
    buf_done(&body);
}

// --- Ends of a body of events

static void finish(struct play *p)
{
    static const enum attempt_outcome outcomes[] = {ATTEMPT_ANSWERED, ATTEMPT_RESET,
                                                    ATTEMPT_STALLED,  ATTEMPT_CUT,
                                                    ATTEMPT_STOPPED,  ATTEMPT_FAILED};
    struct buf error;
    struct mishap m;
    note(p, outcomes[p->end], 200);
    switch (p->end) {
    case PLAY_STALL:
        return; // until the client goes
    case PLAY_RESET:
        http_call_reset(p->call);
        break;
    case PLAY_CUT:
        http_call_abort(p->call);
        break;
    case PLAY_FAIL:
        if (!mishap_find(p->order.error.len ? p->order.error : STR("overloaded"), &m))
            (void)mishap_find(STR("server"), &m);
        buf_init(&error, 64 * 1024);
        p->wire->stream_error(&m, &error);
        (void)http_call_write(p->call, buf_str(&error));
        buf_done(&error);
        http_call_end(p->call);
        break;
    case PLAY_WHOLE:
    case PLAY_STOP:
        http_call_end(p->call);
        break;
    }
    play_free(p);
}

// The first place that an order names.
static void find_end(struct play *p)
{
    const struct {
        const struct order_place *place;
        enum play_end end;
    } places[] = {{&p->plan.reset, PLAY_RESET},
                  {&p->plan.stall, PLAY_STALL},
                  {&p->plan.cut, PLAY_CUT},
                  {&p->plan.stop, PLAY_STOP},
                  {&p->plan.fail, PLAY_FAIL}};
    p->end = PLAY_WHOLE;
    p->end_at = p->frames.bytes.len;
    if (p->order.no_done && p->frames.len > 1) {
        p->end = PLAY_STOP;
        p->end_at = frames_first(&p->frames, FRAME_DONE);
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!places[i].place->given)
            continue;
        size_t at = frames_place(&p->frames, places[i].place);
        if (at > p->end_at || (at == p->end_at && p->end != PLAY_WHOLE))
            continue;
        p->end_at = at;
        p->end = places[i].end;
    }
}

// --- Playing

// How long the frame that begins now waits.
static uint64_t frame_wait(struct play *p)
{
    enum frame_kind kind = p->frames.items[p->frame].kind;
    if (kind == FRAME_LEAD || (kind != FRAME_TOKEN && p->tokens))
        return 0;
    uint64_t i = p->tokens++;
    return play_draw(p, i ? &p->plan.token : &p->plan.first, PLAY_DRAW_TOKEN, i);
}

static size_t frame_end(const struct play *p)
{
    return p->frame + 1 < p->frames.len ? p->frames.items[p->frame + 1].from : p->frames.bytes.len;
}

// Bytes that may leave in one write, and when.
static size_t next_piece(struct play *p)
{
    if (!p->entered) {
        p->due_us += frame_wait(p);
        p->entered = true;
    }
    size_t len = min_size(frame_end(p), p->end_at) - p->sent;
    return min_size(len, p->plan.drip.kind ? 1 : PIECE_BYTES);
}

static void sent(struct play *p, size_t len)
{
    note_first_byte(p);
    p->sent += len;
    if (p->plan.drip.kind)
        p->due_us += play_draw(p, &p->plan.drip, PLAY_DRAW_DRIP, p->drips++);
    if (p->sent == frame_end(p)) {
        p->frame++;
        p->entered = false;
    }
    note(p, ATTEMPT_RUNNING, 200);
}

static void go_on(struct play *p)
{
    while (p->sent < p->end_at) {
        size_t len = next_piece(p);
        uint64_t now = clock_mono_us();
        if (p->due_us > now) {
            wait_us(p, p->due_us - now);
            return;
        }
        str piece = str_slice(buf_ptr(&p->frames.bytes) + p->sent, len);
        enum err e = http_call_write(p->call, piece);
        if (e != ERR_OK && e != ERR_AGAIN)
            return; // it is being cancelled
        sent(p, len);
        if (e == ERR_AGAIN)
            return; // until drained
    }
    finish(p);
}

void play_drained(struct play *p)
{
    if (p->when == go_on && !loop_timer_armed(&p->timer) && p->sent < p->end_at)
        go_on(p);
}

static void begin(struct play *p)
{
    note(p, ATTEMPT_RUNNING, 200);
    http_call_begin(p->call, 200, p->type, NULL);
    p->due_us = clock_mono_us();
    p->when = go_on;
    go_on(p);
}

static void begin_whole(struct play *p)
{
    if (p->end == PLAY_WHOLE && !p->plan.drip.kind)
        play_respond(p, 200, p->type, NULL, buf_str(&p->frames.bytes));
    else
        begin(p);
}

// A whole answer takes as long as its stream would have.
static uint64_t whole_wait(struct play *p)
{
    uint64_t us = play_draw(p, &p->plan.first, PLAY_DRAW_TOKEN, 0);
    for (uint64_t i = 1; i < p->tokens; i++)
        us += play_draw(p, &p->plan.token, PLAY_DRAW_TOKEN, i);
    return us;
}

void play_frames(struct play *p, bool whole)
{
    if (p->plan.malformed.given)
        frames_damage(&p->frames, p->plan.malformed.at, (enum order_damage)p->order.malformed_as);
    find_end(p);
    if (whole)
        play_after(p, whole_wait(p), begin_whole);
    else
        begin(p);
}
