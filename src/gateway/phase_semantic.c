// Was something asked before that means nearly the same?
#include "gateway/phase_semantic.h"

#include "base/log.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Nearer ones than that are compared with the true answer, in the shadow and below the threshold.
#define SHADOW_FROM 0.5
// What share of words two answers have in common that say the same in other words.
#define ALIKE_FROM 0.8

// The embedding's own deadline comes after the call has given it up.
#define DEADLINE_LATER_MS 1000

struct call_semantic {
    struct semantic_question question;
    struct exchange_request request; // for its embedding
    struct exchange_prompt prompt;
    const struct model_entry *model;
    void *plan;
    struct attempt *attempt;
    bool hit; // it was answered so, …
    struct semantic_match match;
    struct tape *shadow; // … or would have been, with this
};

static void count(const struct call *c, const char *result)
{
    metrics_add(metrics_series(c->gateway->account.shard, METRIC_CACHE_SEMANTIC,
                               METRICS_VALUES(str_of(result))),
                1);
}

// --- Its embedding

// The last turn, where it is the user's and nothing but one text.
static str last_words(const struct exchange_request *r)
{
    if (r->kind != EXCHANGE_CHAT || !r->messages_len || exchange_choices(r) != 1)
        return STR_NONE;
    const struct exchange_message *m = &r->messages[r->messages_len - 1];
    bool one = m->role == EXCHANGE_USER && m->parts_len == 1;
    return one && m->parts[0].type == EXCHANGE_PART_TEXT ? m->parts[0].text : STR_NONE;
}

static void on_embedding(void *ctx)
{
    call_step(ctx, CALL_PROVIDER);
}

static bool start(struct call *c, struct call_semantic *s)
{
    struct exchange_losses losses = {.arena = &c->arena};
    struct api_error error = {.code = API_OK};
    struct attempt_options o = {
        .notify = on_embedding,
        .ctx = c,
        .deadline_ms = c->due.semantic + DEADLINE_LATER_MS,
        .tenant = c->key ? c->key->name : STR_NONE,
        .arena = &c->arena,
    };
    if (s->model->provider->prepare(s->model, &s->request, &c->arena, &losses, &s->plan, &error))
        s->attempt = s->model->provider->start(s->model, &s->request, s->plan, &o, &error);
    if (!s->attempt)
        log_write(LOG_DEBUG, "no embedding for the semantic cache",
                  LOG_S("request_id", c->request_id), LOG_Z("error", error.message));
    return s->attempt;
}

bool semantic_begin(struct call *c)
{
    const struct gateway_semantic *o = &c->gateway->semantic.options;
    if (o->mode == SEMANTIC_OFF || c->in.cache == CACHE_WISH_REFRESH ||
        c->in.cache == CACHE_WISH_EXACT)
        return false;
    str words = last_words(&c->request);
    if (!words.len || words.len > (size_t)o->text_bytes_max)
        return false;
    struct call_semantic *s = arena_zalloc(&c->arena, 1, sizeof *s);
    if (!s)
        return false;
    c->cache.semantic = s;
    c->due.semantic = call_now_us(c) / 1000 + (uint64_t)o->timeout_ms;
    s->prompt = (struct exchange_prompt){.text = words};
    exchange_request_init(&s->request, EXCHANGE_EMBEDDING);
    s->request.model = o->model;
    s->request.prompts = &s->prompt;
    s->request.prompts_len = 1;
    s->model = call_find_model(c, o->model);
    if (!s->model || !start(c, s)) {
        c->due.semantic = 0;
        count(c, "failed");
        return false;
    }
    s->question.facts = semantic_facts(words);
    cache_bucket(c, words, s->question.bucket);
    return true;
}

static void keep_vector(struct call *c, const struct exchange_event *e)
{
    struct call_semantic *s = c->cache.semantic;
    size_t len = e->embedding_len;
    bool fits = len && len <= SEMANTIC_DIMENSIONS_MAX;
    float *own = fits ? arena_zalloc(&c->arena, len, sizeof *own) : NULL;
    if (own)
        memcpy(own, e->embedding, len * sizeof *own);
    if (!own || !semantic_normalise(own, len))
        return;
    s->question.vector = own;
    s->question.dimensions = len;
}

// What it cost is the request's, and its key's; it takes nothing of their limits of tokens.
static void charge(struct call *c, const struct exchange_usage *u)
{
    const struct model_entry *m = c->cache.semantic->model;
    const struct price *p = prices_find(&c->gateway->shared->prices, m->root, m->name);
    if (!p)
        return;
    uint64_t now = c->world->wall_ms(c->world->ctx);
    int64_t cost = price_cost(p, u);
    c->record.cost_nano_usd += cost;
    c->record.priced = true;
    if (c->key)
        budget_settle(&c->key->budget, now, now, 0, cost);
}

static void stop(struct call *c)
{
    struct call_semantic *s = c->cache.semantic;
    if (s->attempt)
        s->attempt->ops->stop(s->attempt);
    s->attempt = NULL;
    c->due.semantic = 0;
}

// True: it is over, well or not.
static bool hear(struct call *c)
{
    struct call_semantic *s = c->cache.semantic;
    struct exchange_event e;
    while (s->attempt->ops->poll(s->attempt, &e)) {
        if (e.type == EXCHANGE_EVENT_EMBEDDING)
            keep_vector(c, &e);
        if (e.type == EXCHANGE_EVENT_END)
            charge(c, &e.usage);
        if (e.type == EXCHANGE_EVENT_END || e.type == EXCHANGE_EVENT_ERROR)
            return true;
    }
    return false;
}

// --- The search

// The nearest whose answer is still there.
static struct tape *nearest(struct call *c, double *ret_guarded)
{
    struct call_semantic *s = c->cache.semantic;
    struct semantic *all = &c->gateway->semantic;
    while (semantic_find(all, &s->question, &s->match, ret_guarded)) {
        struct tape *t = cache_find(&c->gateway->cache, s->match.key, call_now_us(c) / 1000);
        if (t && tape_state(t) == TAPE_ENDED)
            return t;
        semantic_forget(all, &s->question, s->match.key);
    }
    return NULL;
}

static struct tape *search(struct call *c)
{
    struct call_semantic *s = c->cache.semantic;
    const struct gateway_semantic *o = &c->gateway->semantic.options;
    double guarded;
    struct tape *t = nearest(c, &guarded);
    bool near = t && s->match.similarity >= o->threshold;
    s->hit = near && o->mode == SEMANTIC_ON;
    if (t && !s->hit && s->match.similarity >= SHADOW_FROM)
        s->shadow = tape_hold(t);
    count(c, s->hit ? "hit" : near ? "shadow" : guarded >= o->threshold ? "guarded" : "miss");
    return s->hit ? t : NULL;
}

static enum phase_result go_on(struct call *c)
{
    // Somebody may have asked the very same meanwhile.
    struct tape *t = cache_find(&c->gateway->cache, c->cache.key, call_now_us(c) / 1000);
    if (t)
        return cache_follow(c, t, tape_state(t) == TAPE_ENDED ? CACHE_HIT : CACHE_SHARED);
    if (c->cache.semantic->question.vector)
        t = search(c);
    return t ? cache_follow(c, t, CACHE_SEMANTIC) : cache_lead(c);
}

enum phase_result phase_semantic(struct call *c)
{
    struct call_semantic *s = c->cache.semantic;
    bool over = hear(c);
    bool late = !over && call_now_us(c) / 1000 >= c->due.semantic;
    if (!over && !late)
        return PHASE_WAIT;
    if (!s->question.vector)
        count(c, late ? "late" : "failed");
    stop(c);
    return go_on(c);
}

// --- The shadow

// The greatest of these that is not above it.
static const char *step_of(double similarity)
{
    static const struct {
        double from;
        const char *name;
    } steps[] = {{0.995, "0.995"}, {0.99, "0.99"}, {0.98, "0.98"}, {0.97, "0.97"}, {0.96, "0.96"},
                 {0.95, "0.95"},   {0.94, "0.94"}, {0.92, "0.92"}, {0.9, "0.90"},  {0.85, "0.85"},
                 {0.8, "0.80"},    {0.7, "0.70"},  {0.6, "0.60"}};
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (similarity >= steps[i].from)
            return steps[i].name;
    return "0.50";
}

static void compare(struct call *c, const struct tape *answer)
{
    const struct call_semantic *s = c->cache.semantic;
    struct metrics_shard *m = c->gateway->account.shard;
    bool equal;
    double share = semantic_agreement(s->shadow, answer, &equal);
    str step = str_of(step_of(s->match.similarity));
    str verdict = equal ? STR("equal") : share >= ALIKE_FROM ? STR("alike") : STR("different");
    metrics_add(metrics_series(m, METRIC_CACHE_SHADOW, METRICS_VALUES(step, verdict)), 1);
    metrics_add(metrics_series(m, METRIC_CACHE_SHADOW_AGREEMENT, METRICS_VALUES(step)), share);
}

void semantic_learn(struct call *c, const struct tape *answer)
{
    struct call_semantic *s = c->cache.semantic;
    if (!s || !s->question.vector)
        return;
    if (s->shadow)
        compare(c, answer);
    semantic_put(&c->gateway->semantic, &s->question, c->cache.key, c->request_id);
}

void semantic_leave(struct call *c)
{
    struct call_semantic *s = c->cache.semantic;
    if (!s)
        return;
    stop(c);
    tape_release(s->shadow);
    s->shadow = NULL;
}

double semantic_similarity(const struct call *c)
{
    return c->cache.semantic && c->cache.semantic->hit ? c->cache.semantic->match.similarity : 0;
}

str semantic_source(const struct call *c)
{
    return semantic_similarity(c) > 0 ? str_of(c->cache.semantic->match.request_id) : STR_NONE;
}
