#include "gateway/conversation.h"

#include "base/mem.h"
#include "base/text.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/money.h"
#include "gateway/shadow.h"

#include "base/banned.h"

struct conversation {
    uint64_t id; // its key in the table
    struct conversation *newer, *older;
    uint64_t last_ms;
    int64_t calls, tokens, cost_nano;
};

void conversations_init(struct conversations *all, const struct gateway_conversations *options)
{
    *all = (struct conversations){.options = options};
    bool known = money_bound(options->cost_max, &all->cost_max_nano, NULL) == ERR_OK;
    ASSERT(known); // gateway_config_check
    all->bounded = options->calls_max || options->tokens_max || all->cost_max_nano;
    map_init(&all->map);
}

// --- The table

static str key_of(const uint64_t *id)
{
    return str_slice((const char *)id, sizeof *id);
}

static void unlink_one(struct conversations *all, struct conversation *v)
{
    *(v->newer ? &v->newer->older : &all->newest) = v->older;
    *(v->older ? &v->older->newer : &all->oldest) = v->newer;
    v->newer = v->older = NULL;
}

static void forget(struct conversations *all, struct conversation *v)
{
    unlink_one(all, v);
    map_remove(&all->map, key_of(&v->id));
    mem_free(v);
}

void conversations_done(struct conversations *all)
{
    while (all->newest)
        forget(all, all->newest);
    map_done(&all->map);
}

static void make_newest(struct conversations *all, struct conversation *v)
{
    v->older = all->newest;
    *(v->older ? &v->older->newer : &all->oldest) = v;
    all->newest = v;
}

// Found or made, and the newest from now on.
static struct conversation *touch(struct conversations *all, uint64_t id, uint64_t now_ms)
{
    struct conversation *v;
    while (all->oldest && now_ms - all->oldest->last_ms > (uint64_t)all->options->idle_ms)
        forget(all, all->oldest);
    v = map_get(&all->map, key_of(&id));
    if (v) {
        unlink_one(all, v);
    } else {
        if (all->oldest && all->map.len >= (size_t)all->options->entries_max)
            forget(all, all->oldest);
        v = mem_new(struct conversation);
        v->id = id;
        map_put(&all->map, key_of(&v->id), v);
    }
    make_newest(all, v);
    v->last_ms = now_ms;
    return v;
}

// --- Whose call it is

static uint64_t join(uint64_t h, str text)
{
    const uint64_t pair[2] = {h, str_hash(text)};
    return str_hash(str_slice((const char *)pair, sizeof pair));
}

// The system messages and the first question; 0: there is none.
static uint64_t opening(const struct exchange_request *q, uint64_t h)
{
    for (size_t i = 0; i < q->messages_len; i++) {
        const struct exchange_message *m = &q->messages[i];
        for (size_t k = 0; k < m->parts_len; k++)
            h = join(h, m->parts[k].text);
        if (m->role == EXCHANGE_USER)
            return h | 1;
    }
    return 0;
}

static uint64_t identity(const struct call *c)
{
    uint64_t tenant = str_hash(c->key ? c->key->name : STR(""));
    if (c->in.conversation.len)
        return join(tenant, c->in.conversation) | 1;
    bool by_opening = c->gateway->config->conversations.by == GATEWAY_CONVERSATION_OPENING;
    return by_opening ? opening(&c->request, tenant) : 0;
}

static bool is_counted(const struct call *c)
{
    return c->gateway->conversations.bounded && c->kind->dialect && !c->kind->work &&
           !shadow_is_copy(c) &&
           (c->request.kind == EXCHANGE_CHAT || c->request.kind == EXCHANGE_COMPLETION);
}

// --- The bounds

static bool check(struct call *c, const struct conversations *all, const struct conversation *v)
{
    const struct gateway_conversations *o = all->options;
    struct api_error e;
    if (o->calls_max && v->calls >= o->calls_max)
        api_error_set(&e, API_CONVERSATION_EXHAUSTED, NULL,
                      "This conversation has made the %lld calls that one may. Begin a new one.",
                      (long long)o->calls_max);
    else if (o->tokens_max && v->tokens >= o->tokens_max)
        api_error_set(&e, API_CONVERSATION_EXHAUSTED, NULL,
                      "This conversation has used the %lld tokens that one may. Begin a new one.",
                      (long long)o->tokens_max);
    else if (all->cost_max_nano && v->cost_nano >= all->cost_max_nano)
        api_error_set(&e, API_CONVERSATION_EXHAUSTED, NULL,
                      "This conversation has cost the $" STR_FMT " that one may. Begin a new one.",
                      STR_ARG(o->cost_max));
    else
        return true;
    *call_error(c) = e;
    return false;
}

bool conversation_enter(struct call *c)
{
    struct conversations *all = &c->gateway->conversations;
    uint64_t id = is_counted(c) ? identity(c) : 0;
    if (!id)
        return true;
    struct conversation *v = touch(all, id, call_now_us(c) / 1000);
    if (!check(c, all, v))
        return false;
    c->conversation = id;
    v->calls++;
    return true;
}

static int64_t tokens_of(const struct call *c)
{
    uint64_t tokens = 0;
    for (const struct attempt_record *a = c->record.attempts; a; a = a->next)
        tokens += a->usage.prompt_tokens + a->usage.completion_tokens;
    return (int64_t)tokens;
}

static void add(struct text *t, str name, uint64_t value, int64_t bound)
{
    if (!bound)
        return;
    if (t->len)
        text_add(t, STR(", "));
    text_add(t, name);
    text_u64(t, value);
    text_add(t, STR("/"));
    text_u64(t, (uint64_t)bound);
}

void conversation_headers(const struct call *c, struct answer_headers *h)
{
    const struct conversations *all = &c->gateway->conversations;
    const struct conversation *v =
        c->conversation ? map_get(&all->map, key_of(&c->conversation)) : NULL;
    char place[192], money[MONEY_TEXT_MAX];
    struct text t = text_in(place, sizeof place);
    if (!v)
        return;
    add(&t, STR("calls="), (uint64_t)v->calls, all->options->calls_max);
    add(&t, STR("tokens="), (uint64_t)(v->tokens + tokens_of(c)), all->options->tokens_max);
    if (all->cost_max_nano) {
        text_add(&t, t.len ? STR(", cost=") : STR("cost="));
        text_add(&t, str_of(money_text(v->cost_nano + c->record.cost_nano_usd, money)));
        text_add(&t, STR("/"));
        text_add(&t, all->options->cost_max);
    }
    answer_headers_add(h, "x-weir-conversation", text_str(&t));
}

void conversation_leave(struct call *c)
{
    struct conversations *all = &c->gateway->conversations;
    struct conversation *v = c->conversation ? map_get(&all->map, key_of(&c->conversation)) : NULL;
    if (!v)
        return;
    v->tokens += tokens_of(c);
    v->cost_nano += c->record.cost_nano_usd;
    if (call_failed(c) && !c->record.attempts_len)
        v->calls--; // nobody was asked
}
