#include "support/scripted.h"

#include <stdio.h>

#include "base/mem.h"

struct scripted_attempt {
    struct attempt base;
    struct scripted *s;
    const struct exchange_request *request;
    struct attempt_options o;
    size_t allowed, made;
    size_t choice, text;
    size_t skip; // bytes of the script that were said before
    bool begun, ended;
};

static size_t said_before(const struct scripted *s, const struct exchange_request *r)
{
    if (!r->continues)
        return 0;
    size_t len = r->messages[r->messages_len - 1].parts[0].text.len;
    return len - min_size(s->repeats, len);
}

static bool prepare(const struct model_entry *m, const struct exchange_request *r UNUSED,
                    struct arena *arena UNUSED, struct exchange_losses *losses UNUSED,
                    void **ret_plan, struct api_error *ret_error)
{
    struct scripted *s = m->provider_model;
    s->prepared++;
    *ret_plan = NULL;
    return !s->fail_prepare || api_error_set(ret_error, s->fail_prepare, "messages", "scripted");
}

static struct attempt *start(const struct model_entry *m, const struct exchange_request *r,
                             void *plan UNUSED, const struct attempt_options *o,
                             struct api_error *ret_error)
{
    struct scripted *s = m->provider_model;
    if (s->fail_start) {
        api_error_set(ret_error, s->fail_start, NULL, "scripted");
        ret_error->retry_after_ms = s->retry_after_ms ? s->retry_after_ms : 1500;
        if (s->fail_starts && --s->fail_starts == 0)
            s->fail_start = API_OK;
        return NULL;
    }
    struct scripted_attempt *a = mem_new(struct scripted_attempt);
    *a = (struct scripted_attempt){
        .base = {.ops = m->provider}, .s = s, .request = r, .o = *o, .skip = said_before(s, r)};
    s->attempt = a;
    s->started++;
    s->running++;
    s->deadline_ms = o->deadline_ms;
    return &a->base;
}

static void embed(struct exchange_event *e)
{
    static const float v[] = {0.5f, -0.25f, 0.125f};
    e->type = EXCHANGE_EVENT_EMBEDDING;
    e->embedding = v;
    e->embedding_len = ARRAY_LEN(v);
}

static void score(struct exchange_event *e)
{
    static struct exchange_token t;
    t = (struct exchange_token){.bytes = e->text, .logprob = -0.5f, .scored = true};
    e->tokens = &t;
    e->tokens_len = 1;
}

static void choice_event(struct scripted_attempt *a, struct exchange_event *e)
{
    const char *text = a->s->texts[a->text];
    e->choice = (uint32_t)a->choice;
    if (text && a->request->kind != EXCHANGE_EMBEDDING) {
        a->text++;
        e->type = EXCHANGE_EVENT_TEXT;
        e->text = str_of(text);
        size_t gone = min_size(a->skip, e->text.len);
        e->text = str_sub(e->text, gone, SIZE_MAX);
        a->skip -= gone;
        if (a->request->logprobs)
            score(e);
        return;
    }
    a->choice++;
    a->text = 0;
    if (a->request->kind == EXCHANGE_EMBEDDING)
        embed(e);
    else
        *e = (struct exchange_event){.type = EXCHANGE_EVENT_FINISH, .choice = e->choice};
}

static bool poll(struct attempt *base, struct exchange_event *ret)
{
    struct scripted_attempt *a = CONTAINER_OF(base, struct scripted_attempt, base);
    if (a->ended || (!a->s->free_running && a->made == a->allowed))
        return false;
    *ret = (struct exchange_event){0};
    a->made++;
    if (a->s->error_after && a->made > a->s->error_after) {
        a->ended = true;
        ret->type = EXCHANGE_EVENT_ERROR;
        static struct api_error error;
        api_error_set(&error, a->s->error_code ? a->s->error_code : API_ENGINE_ERROR, NULL,
                      "scripted failure");
        ret->error = &error;
    } else if (!a->begun) {
        a->begun = true;
        ret->type = EXCHANGE_EVENT_BEGIN;
        ret->seed = (uint64_t)a->request->seed;
        ret->repeats = a->request->continues ? a->s->repeats : 0;
        ret->seeded = true;
    } else if (a->choice < exchange_choices(a->request)) {
        choice_event(a, ret);
    } else {
        a->ended = true;
        ret->type = EXCHANGE_EVENT_END;
        ret->usage =
            (struct exchange_usage){.prompt_tokens = 7, .cached_tokens = 2, .completion_tokens = 3};
    }
    return true;
}

static void report(struct attempt *a UNUSED, struct attempt_report *ret)
{
    *ret = (struct attempt_report){.queue_us = 10, .prefill_us = 20, .decode_us = 30};
}

static void stop(struct attempt *base)
{
    struct scripted_attempt *a = CONTAINER_OF(base, struct scripted_attempt, base);
    a->s->stopped++;
    a->s->running--;
    if (a->s->attempt == a)
        a->s->attempt = NULL;
    mem_free(a);
}

static bool tokenize(const struct model_entry *m UNUSED, str text, bool add_special UNUSED,
                     bool parse_special UNUSED, struct arena *arena, int32_t **ret_ids,
                     size_t *ret_len, struct api_error *ret_error)
{
    int32_t *ids = arena_zalloc(arena, text.len + 1, sizeof *ids);
    if (!ids)
        return api_error_set(ret_error, API_JSON_LIMIT, NULL, "too long");
    for (size_t i = 0; i < text.len; i++)
        ids[i] = (unsigned char)text.ptr[i];
    *ret_ids = ids;
    *ret_len = text.len;
    return true;
}

static bool detokenize(const struct model_entry *m UNUSED, const int32_t *ids, size_t len,
                       struct buf *out, struct api_error *ret_error)
{
    for (size_t i = 0; i < len; i++) {
        if (ids[i] > 255)
            return api_error_set(ret_error, API_INVALID_VALUE, "tokens", "no such token");
        (void)buf_append_char(out, (char)ids[i]);
    }
    return true;
}

static void special_tokens(const struct model_entry *m UNUSED, str *ret_bos, str *ret_eos,
                           bool *ret_adds_bos)
{
    *ret_bos = STR("<s>");
    *ret_eos = STR("</s>");
    *ret_adds_bos = true;
}

static bool render(const struct model_entry *m UNUSED, const struct exchange_request *r,
                   bool add_generation UNUSED, struct arena *arena UNUSED, struct buf *out,
                   struct api_error *ret_error UNUSED)
{
    for (size_t i = 0; i < r->messages_len; i++)
        for (size_t k = 0; k < r->messages[i].parts_len; k++)
            (void)buf_append_str(out, r->messages[i].parts[k].text);
    return true;
}

static bool count(const struct model_entry *m, const struct exchange_request *r,
                  struct arena *arena, uint64_t *ret_tokens, struct api_error *ret_error)
{
    struct buf text;
    buf_init(&text, SIZE_MAX / 2);
    bool ok = render(m, r, true, arena, &text, ret_error);
    *ret_tokens = text.len;
    buf_done(&text);
    return ok;
}

static const struct provider_ops scripted_ops = {
    .name = "scripted",
    .prepare = prepare,
    .start = start,
    .poll = poll,
    .report = report,
    .stop = stop,
    .tokenize = tokenize,
    .detokenize = detokenize,
    .special_tokens = special_tokens,
    .render = render,
    .count = count,
};

void scripted_entry(struct scripted *s, const char *name, struct model_entry *ret)
{
    *ret = (struct model_entry){
        .name = str_of(name),
        .root = str_of(s->root ? s->root : name),
        .fingerprint = STR("fp_scripted"),
        .context_max = s->context_max ? s->context_max : 512,
        .remote = s->remote,
        .continues = s->continues,
        .created_s = 1700000000,
        .provider = &scripted_ops,
        .provider_model = s,
    };
}

void scripted_release(struct scripted *s, size_t n)
{
    struct scripted_attempt *a = s->attempt;
    ASSERT(a);
    a->allowed += n;
    a->o.notify(a->o.ctx);
}

void scripted_work(struct scripted *s)
{
    struct offload *o = s->offloaded;
    ASSERT(o);
    s->offloaded = NULL;
    o->run(o->ctx);
    o->done(o->ctx);
}

// --- The world

static uint64_t mono_us(void *ctx)
{
    struct scripted *s = ctx;
    return ++s->now_us;
}

static uint64_t wall_ms(void *ctx UNUSED)
{
    return 1700000000123;
}

static void random_name(void *ctx UNUSED, char *out, size_t n)
{
    memset(out, 'a', n);
    out[n] = 0;
}

static uint64_t random_u64(void *ctx UNUSED)
{
    return 42ull << 11;
}

static void timer_cancel(void *ctx, struct world_timer *t)
{
    struct scripted *s = ctx;
    for (size_t i = 0; i < ARRAY_LEN(s->timers); i++)
        if (s->timers[i] == t)
            s->timers[i] = NULL;
}

static void timer_set(void *ctx, struct world_timer *t, uint64_t delay_ms)
{
    struct scripted *s = ctx;
    size_t i = 0;
    timer_cancel(ctx, t);
    while (s->timers[i])
        i++;
    ASSERT(i < ARRAY_LEN(s->timers));
    s->timers[i] = t;
    t->loop.due_ms = s->now_us / 1000 + delay_ms;
}

void scripted_wait(struct scripted *s, uint64_t ms)
{
    uint64_t end_us = s->now_us + ms * 1000;
    for (;;) {
        struct world_timer *next = NULL;
        for (size_t i = 0; i < ARRAY_LEN(s->timers); i++)
            if (s->timers[i] && (!next || s->timers[i]->loop.due_ms < next->loop.due_ms))
                next = s->timers[i];
        if (!next || next->loop.due_ms * 1000 > end_us)
            break;
        if (s->now_us < next->loop.due_ms * 1000)
            s->now_us = next->loop.due_ms * 1000;
        timer_cancel(s, next);
        next->fire(next->ctx);
    }
    if (s->now_us < end_us)
        s->now_us = end_us;
}

static bool offload(void *ctx, struct offload *o)
{
    struct scripted *s = ctx;
    if (s->offload_full)
        return false;
    s->offloaded = o;
    return true;
}

struct world scripted_world(struct scripted *s)
{
    return (struct world){
        .ctx = s,
        .mono_us = mono_us,
        .wall_ms = wall_ms,
        .random_id = random_name,
        .random_u64 = random_u64,
        .timer_set = timer_set,
        .timer_cancel = timer_cancel,
        .offload = offload,
    };
}

// --- A gateway

void scripted_gateway_open(struct gateway *g, struct gateway_shared *shared,
                           struct gateway_config *config, struct scripted *s,
                           const char *const *names, size_t len)
{
    config->store.path = STR("off");
    g->config = config;
    g->world = scripted_world(s);
    g->shared = shared;
    model_routes_init(&g->routes, config);
    enum err e = gateway_shared_open(shared, config, NULL);
    ASSERT(e == ERR_OK);
    account_init(&g->account, names_registry("test", 1000));
    for (size_t i = 0; i < len; i++) {
        struct model_entry entry;
        scripted_entry(&s[i], names[i], &entry);
        e = registry_add(&g->registry, &entry, false, NULL);
        ASSERT(e == ERR_OK);
    }
}

void scripted_gateway_close(struct gateway *g)
{
    struct metrics *registry = g->account.registry;
    ASSERT(!g->calls_len);
    call_spares_free(g);
    account_done(&g->account);
    metrics_free(registry);
    targets_done(&g->targets);
    model_routes_done(&g->routes);
    gateway_shared_close(g->shared);
}
