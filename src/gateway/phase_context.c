#include "gateway/phase_context.h"

#include <stdio.h>

#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Room for an answer whose length nobody has said, and the largest share that any gets.
#define ANSWER_TOKENS 1024
#define ANSWER_SHARE  4

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return !a ? b : !b ? a : min_size(a, b);
}

// Tokens that prompt and answer may have together; 0: not known.
static uint64_t context_of(const struct call *c, const struct model_entry *m)
{
    return least_of(m->context_max, (uint64_t)c->route->context_max);
}

static uint64_t room_for_prompt(const struct call *c, uint64_t context)
{
    const struct exchange_request *r = &c->request;
    bool said = r->given & EXCHANGE_HAS_TOKENS_MAX;
    uint64_t answer = said ? (uint64_t)r->tokens_max : ANSWER_TOKENS;
    return context - min_size(answer, context / ANSWER_SHARE);
}

// --- Counting

// Exact where the model runs here.
static bool count(void *ctx, const struct exchange_message *messages, size_t len, uint64_t *ret)
{
    struct call *c = ctx;
    struct exchange_request r = c->request;
    r.messages = (struct exchange_message *)(uintptr_t)messages;
    r.messages_len = len;
    if (!c->model->provider->count) {
        *ret = admission_estimate(&r);
        return true;
    }
    struct arena arena;
    struct api_error unused;
    arena_init(&arena, (size_t)c->gateway->config->limits.call_bytes_max);
    bool ok = c->model->provider->count(c->model, &r, &arena, ret, &unused);
    arena_done(&arena);
    return ok;
}

// --- What goes

// Rather a larger model than less of the conversation.
static bool larger_is_left(struct call *c)
{
    const struct model_route *route = c->route;
    if (!(route->retry.fallback_on >> FAILURE_CONTEXT & 1))
        return false;
    for (size_t i = 0; i < route->targets_len; i++) {
        const struct model_entry *m =
            c->routing.tried >> i & 1 ? NULL : call_find_model(c, route->targets[i].name);
        if (m && m->context_max > c->model->context_max)
            return true;
    }
    return false;
}

// Another target gets the whole request first. A rescue has made its own of it.
static void restore(struct call *c)
{
    struct call_context *own = &c->context;
    if (!own->cut || c->rescue.on)
        return;
    c->request.messages = own->messages;
    c->request.messages_len = own->messages_len;
    c->request.spoken = own->spoken;
    own->cut = false;
}

static void take(struct call *c, const struct context_cut *cut)
{
    struct attempt_record *a = c->routing.record;
    if (!c->context.cut)
        c->context = (struct call_context){.messages = c->request.messages,
                                           .messages_len = c->request.messages_len,
                                           .spoken = c->request.spoken,
                                           .cut = true};
    c->request.messages = cut->messages;
    c->request.messages_len = cut->len;
    c->request.spoken = NULL; // its body says more
    a->context_messages = (uint32_t)cut->left_out;
    a->context_tokens = cut->before - cut->after;
}

static bool refuse(struct call *c, const struct context_cut *cut, uint64_t room, bool may_cut)
{
    return api_error_set(
        call_error(c), API_CONTEXT_LENGTH, "messages",
        "The messages came to %llu tokens%s%s, and the prompt may have %llu here. Shorten the "
        "%s.",
        (unsigned long long)cut->after, c->model->provider->count ? "" : ", as estimated",
        may_cut ? ", also without all earlier turns" : "", (unsigned long long)room,
        may_cut ? "last turn" : "messages");
}

bool phase_context(struct call *c)
{
    uint64_t context = context_of(c, c->model);
    enum context_policy policy = c->route->context_policy;
    struct context_cut cut;
    if (c->request.truncates && policy == CONTEXT_REFUSE)
        policy = CONTEXT_TRUNCATE_OLDEST;
    restore(c);
    // Where a model's own bound refuses, whoever has the model counts best.
    bool asked = policy != CONTEXT_REFUSE || c->route->context_max;
    if (!asked || !context || c->request.kind != EXCHANGE_CHAT)
        return true;
    bool may_cut = policy != CONTEXT_REFUSE && !larger_is_left(c);
    uint64_t room = room_for_prompt(c, context);
    switch (context_fit(may_cut ? policy : CONTEXT_REFUSE, c->request.messages,
                        c->request.messages_len, room, count, c, &c->arena, &cut)) {
    case CONTEXT_CUT:
        take(c, &cut);
        return true;
    case CONTEXT_TOO_LONG:
        return refuse(c, &cut, room, may_cut);
    case CONTEXT_FITS:
    case CONTEXT_UNKNOWN: // the provider's own preparation says what is wrong
        break;
    }
    return true;
}

str context_told(const struct call *c, char *out, size_t size)
{
    const struct attempt_record *a = c->routing.record;
    if (!a || !a->context_messages)
        return STR_NONE;
    bool middle = c->route->context_policy == CONTEXT_TRUNCATE_MIDDLE;
    int n =
        snprintf(out, size, "%s; messages=%u; tokens=%llu",
                 context_policy_names[middle ? CONTEXT_TRUNCATE_MIDDLE : CONTEXT_TRUNCATE_OLDEST],
                 a->context_messages, (unsigned long long)a->context_tokens);
    return str_slice(out, min_size((size_t)n, size - 1));
}
