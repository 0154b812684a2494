#include "gateway/shadow.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "gateway/gateway_internal.h"
#include "gateway/money.h"
#include "gateway/unheard.h"

#include "base/banned.h"

#define ARENA_BYTES_MAX  65536
#define ANSWER_BYTES_MAX 65536 // of each text on record
#define CHOICES          8     // digests; choices beyond share them

enum outcome { SAME, DIFFERENT, FAILED, TIMED_OUT, CANCELLED, DROPPED };
static const char *const outcome_names[] = {"same",    "different", "failed",
                                            "timeout", "cancelled", "dropped"};

// What one of the two has said.
struct side {
    struct call *call; // NULL: not yet, or over
    uint64_t digests[CHOICES];
    uint64_t bytes;
    struct buf text; // of the first choice, where answers are recorded
    bool over, whole;
    uint64_t first_us, total_us; // since each began
};

enum { ORIGINAL, COPY };

struct shadow {
    struct shadow *next, *prev; // the gateway's list
    struct gateway *gateway;
    const struct model_route *of; // whose shadow it is
    struct model_route route;     // of the copy
    const struct call_kind *kind;
    struct call_input in; // of the copy; strings in `arena`, and `body`
    struct buf body;
    struct arena arena;
    struct world_timer timer; // the copy's beginning, then its deadline
    struct side sides[2];
    uint64_t original_began_us, copy_began_us;
    int64_t seed, tokens_max; // as the original's provider has them
    bool limited;             // by tokens_max
    bool late, unwanted;      // why the copy was ended
    struct store_shadow row;  // strings in `arena`
};

// --- The list

static void list_add(struct shadow *s)
{
    struct gateway *g = s->gateway;
    s->next = g->shadows;
    if (g->shadows)
        g->shadows->prev = s;
    g->shadows = s;
}

static void list_remove(struct shadow *s)
{
    if (s->next)
        s->next->prev = s->prev;
    if (s->prev)
        s->prev->next = s->next;
    else
        s->gateway->shadows = s->next;
}

static size_t running_of(const struct gateway *g, const struct model_route *route)
{
    size_t n = 0;
    for (const struct shadow *s = g->shadows; s; s = s->next)
        n += s->of == route && !s->sides[COPY].over;
    return n;
}

// --- The comparison

static void count(const struct gateway *g, const struct model_route *route, enum outcome o)
{
    metrics_add(metrics_series(g->account.shard, METRIC_SHADOWS,
                               METRICS_VALUES(route->name, str_of(outcome_names[o]))),
                1);
}

static enum outcome outcome_of(const struct shadow *s)
{
    const struct side *a = &s->sides[ORIGINAL], *b = &s->sides[COPY];
    if (s->late)
        return TIMED_OUT;
    if (s->unwanted)
        return CANCELLED;
    if (!b->whole || !a->whole)
        return FAILED;
    bool same = a->bytes == b->bytes && memcmp(a->digests, b->digests, sizeof a->digests) == 0;
    return same ? SAME : DIFFERENT;
}

static void measure(const struct shadow *s)
{
    static const char *const names[] = {"original", "shadow"};
    struct metrics_shard *m = s->gateway->account.shard;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        metrics_observe(metrics_series(m, METRIC_SHADOW_DURATION,
                                       METRICS_VALUES(s->of->name, str_of(names[i]))),
                        (double)s->sides[i].total_us / 1e6);
}

static str whole_characters(const struct buf *text)
{
    return str_sub(buf_str(text), 0, utf8_valid_prefix(buf_str(text)));
}

static void put_sides(struct shadow *s, enum outcome o)
{
    struct store_shadow *row = &s->row;
    const struct side *a = &s->sides[ORIGINAL], *b = &s->sides[COPY];
    row->request = s->in.request_id;
    row->route = s->of->name;
    row->outcome = str_of(outcome_names[o]);
    row->answer_bytes = (int64_t)a->bytes;
    row->shadow_bytes = (int64_t)b->bytes;
    row->answer_first_us = (int64_t)a->first_us;
    row->answer_total_us = (int64_t)a->total_us;
    row->first_us = (int64_t)b->first_us;
    row->total_us = (int64_t)b->total_us;
    row->answer_text = whole_characters(&a->text);
    row->shadow_text = whole_characters(&b->text);
}

static void write_line(const struct shadow *s)
{
    const struct store_shadow *r = &s->row;
    char money[MONEY_TEXT_MAX] = "";
    if (r->cost_nano_usd > 0)
        money_text(r->cost_nano_usd, money);
    log_write(LOG_INFO, "shadow", LOG_S("request_id", r->request), LOG_S("route", r->route),
              LOG_S("target", s->of->shadow->target), LOG_S("outcome", r->outcome),
              LOG_S("failure", r->failure), LOG_I("prompt_tokens", r->prompt_tokens),
              LOG_I("completion_tokens", r->completion_tokens), LOG_Z("cost_usd", money),
              LOG_F("total_ms", (double)r->total_us / 1e3),
              LOG_F("original_ms", (double)r->answer_total_us / 1e3));
}

static void write_down(struct shadow *s)
{
    enum outcome o = outcome_of(s);
    struct gateway *g = s->gateway;
    put_sides(s, o);
    count(g, s->of, o);
    if (o == SAME || o == DIFFERENT)
        measure(s);
    if (s->row.cost_nano_usd > 0)
        metrics_add(metrics_series(g->account.shard, METRIC_SHADOW_COST, &s->of->name),
                    (double)s->row.cost_nano_usd / (double)MONEY_USD);
    write_line(s);
    if (g->shared->store && !store_put_shadow(g->shared->store, &s->row))
        log_write(LOG_DEBUG, "shadow not recorded: the store's queue is full");
}

// Once both are over, it is.
static void settle(struct shadow *s)
{
    const struct world *w = &s->gateway->world;
    if (!s->sides[ORIGINAL].over || !s->sides[COPY].over)
        return;
    w->timer_cancel(w->ctx, &s->timer);
    write_down(s);
    list_remove(s);
    for (size_t i = 0; i < ARRAY_LEN(s->sides); i++)
        buf_done(&s->sides[i].text);
    buf_done(&s->body);
    arena_done(&s->arena);
    mem_free(s);
}

// --- The copy

static void end_copy(struct shadow *s)
{
    struct side *copy = &s->sides[COPY];
    if (copy->call) {
        call_step(copy->call, CALL_GONE);
        return;
    }
    copy->over = true;
    settle(s);
}

static void too_late(void *ctx)
{
    struct shadow *s = ctx;
    s->late = true;
    end_copy(s);
}

static void start(void *ctx)
{
    struct shadow *s = ctx;
    const struct world *w = &s->gateway->world;
    if (s->sides[COPY].over)
        return;
    struct call *c = call_new(s->gateway, s->kind, &s->in, &call_unheard, &s->body);
    c->shadow = s;
    c->routing.reason = ATTEMPT_SHADOW;
    s->sides[COPY].call = c;
    s->copy_began_us = c->record.start_us;
    s->timer.fire = too_late;
    w->timer_set(w->ctx, &s->timer, (uint64_t)s->of->shadow->timeout_ms);
    call_step(c, CALL_BEGIN); // it may be over, and the shadow with it
}

bool shadow_of_copy(const struct call *c)
{
    return c->shadow->sides[COPY].call == c;
}

bool shadow_route(struct call *c)
{
    struct shadow *s = c->shadow;
    c->route = &s->route;
    c->request.model = s->of->shadow->target;
    c->request.seed = s->seed;
    if (s->limited) {
        c->request.given |= EXCHANGE_HAS_TOKENS_MAX;
        c->request.tokens_max = s->tokens_max;
    }
    c->model = call_find_model(c, c->request.model);
    return c->model || api_error_set(call_error(c), API_MODEL_NOT_FOUND, "model",
                                     "The shadow's model is not here.");
}

// --- Beginning

static bool has_room(const struct call *c)
{
    const struct gateway *g = c->gateway;
    const struct gateway_shadow *o = c->route->shadow;
    return !g->draining && c->in.body.len && c->in.body.len <= (uint64_t)o->body_bytes_max &&
           running_of(g, c->route) < (uint64_t)o->in_flight_max;
}

static void copy_input(struct shadow *s, const struct call *c)
{
    buf_init(&s->body, c->in.body.len);
    (void)buf_append_str(&s->body, c->in.body);
    s->in = (struct call_input){
        .open = true,
        .cache = CACHE_WISH_OFF,
        .content_type = arena_str(&s->arena, c->in.content_type),
        .request_id = arena_str(&s->arena, c->request_id),
        .peer = arena_str(&s->arena, c->peer),
        .body = buf_str(&s->body),
    };
}

static void make(struct call *c)
{
    struct gateway *g = c->gateway;
    struct shadow *s = mem_new(struct shadow);
    size_t text_max = c->route->shadow->record_answers ? ANSWER_BYTES_MAX : 0;
    s->gateway = g;
    s->of = c->route;
    s->kind = c->kind;
    s->route = (struct model_route){.retry = {.attempts_max = 1},
                                    .context_policy = c->route->context_policy,
                                    .context_max = c->route->context_max};
    s->seed = c->request.seed;
    s->limited = c->request.given & EXCHANGE_HAS_TOKENS_MAX;
    s->tokens_max = c->request.tokens_max;
    s->row.cost_nano_usd = -1;
    s->original_began_us = c->record.start_us;
    s->sides[ORIGINAL].call = c;
    arena_init(&s->arena, ARENA_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(s->sides); i++)
        buf_init(&s->sides[i].text, text_max);
    copy_input(s, c);
    c->shadow = s;
    list_add(s);
    s->timer = (struct world_timer){.fire = start, .ctx = s};
    g->world.timer_set(g->world.ctx, &s->timer, 0); // after the original is on its way
}

void shadow_begin(struct call *c)
{
    bool once = c->record.attempts_len == 1 && !c->shadow && !c->kind->work;
    if (!once ||
        balance_unit(c->world->random_u64(c->world->ctx)) * 100 >= c->route->shadow->percent)
        return;
    if (has_room(c))
        make(c);
    else
        count(c->gateway, c->route, DROPPED);
}

// --- What both say

static struct side *side_of(struct call *c)
{
    return &c->shadow->sides[shadow_of_copy(c) ? COPY : ORIGINAL];
}

static void add(struct side *s, uint32_t choice, str text)
{
    uint64_t h = s->digests[choice % CHOICES];
    for (size_t i = 0; i < text.len; i++) // FNV-1a: the pieces may be cut anywhere
        h = ((h ? h : 0xcbf29ce484222325u) ^ (unsigned char)text.ptr[i]) * 0x100000001b3u;
    s->digests[choice % CHOICES] = h;
    s->bytes += text.len;
    if (choice == 0)
        (void)buf_append_str(&s->text, str_sub(text, 0, s->text.limit - s->text.len));
}

void shadow_hear(struct call *c, const struct exchange_event *e)
{
    struct side *s = side_of(c);
    switch (e->type) {
    case EXCHANGE_EVENT_TEXT:
    case EXCHANGE_EVENT_ARGUMENTS:
        add(s, e->choice, e->text);
        break;
    case EXCHANGE_EVENT_CALL:
        add(s, e->choice, e->call.name);
        break;
    case EXCHANGE_EVENT_EMBEDDING:
        add(s, e->choice, str_slice((const char *)e->embedding, e->embedding_len * sizeof(float)));
        break;
    default:
        break;
    }
}

void shadow_discard(struct call *c)
{
    if (!c->shadow)
        return;
    struct side *s = side_of(c);
    memset(s->digests, 0, sizeof s->digests);
    s->bytes = 0;
    buf_clear(&s->text);
}

// --- Ending

static str kept(struct shadow *s, str text)
{
    return text.len ? arena_str(&s->arena, text) : STR_NONE;
}

static void put_copy(struct shadow *s, const struct call *c)
{
    const struct attempt_record *a = c->record.attempts;
    struct store_shadow *row = &s->row;
    row->target = s->of->shadow->target;
    row->code = call_failed(c) ? str_of(api_error_row(c->error->code)->name) : STR_NONE;
    if (!a)
        return;
    row->provider = kept(s, a->provider);
    row->model = kept(s, a->model);
    row->failure = a->failure ? str_of(failure_name(a->failure)) : STR_NONE;
    row->upstream_status = a->upstream_status;
    row->upstream_request_id = kept(s, a->upstream_request_id);
    row->prompt_tokens = (int64_t)a->usage.prompt_tokens;
    row->cached_tokens = (int64_t)a->usage.cached_tokens;
    row->completion_tokens = (int64_t)a->usage.completion_tokens;
    row->usage_estimated = a->usage.estimated;
    row->cost_nano_usd = a->priced ? a->cost_nano_usd : -1;
}

static void note_end(struct shadow *s, struct side *side, const struct call *c)
{
    const struct call_record *r = &c->record;
    side->over = true;
    side->whole = !call_failed(c) && !r->client_gone;
    side->first_us = r->first_us > r->start_us ? r->first_us - r->start_us : 0;
    side->total_us = r->end_us - r->start_us;
    if (side == &s->sides[COPY])
        put_copy(s, c);
}

void shadow_over(struct call *c)
{
    struct shadow *s = c->shadow;
    struct side *side = side_of(c);
    bool gone = c->record.client_gone && side == &s->sides[ORIGINAL];
    note_end(s, side, c);
    side->call = NULL;
    c->shadow = NULL;
    if (gone && !s->sides[COPY].over) {
        s->unwanted = true;
        end_copy(s);
        return;
    }
    settle(s);
}

void shadows_stop(struct gateway *g)
{
    for (struct shadow *s = g->shadows, *next; s; s = next) {
        next = s->next;
        if (s->sides[COPY].over)
            continue;
        s->unwanted = true;
        end_copy(s);
    }
}
