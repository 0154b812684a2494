#include "gateway/rescue.h"

#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Longer answers are not remembered.
#define SAID_BYTES_MAX (1u << 20)

void rescue_done(struct call_rescue *r)
{
    buf_done(&r->said);
}

static bool is_rescuable(const struct call *c)
{
    const struct exchange_request *q = &c->request;
    bool elsewhere = c->model->remote || c->route->targets_len > 1;
    return elsewhere && c->route->rescue && q->stream && !q->prefilled && !q->logprobs &&
           !q->echo && exchange_choices(q) == 1 && q->format == EXCHANGE_FORMAT_TEXT &&
           (q->kind == EXCHANGE_CHAT || (q->kind == EXCHANGE_COMPLETION && !q->prompts[0].is_ids));
}

void rescue_note(struct call *c, const struct exchange_event *e)
{
    struct call_rescue *r = &c->rescue;
    if (r->hopeless)
        return;
    bool other = e->type == EXCHANGE_EVENT_CALL || e->type == EXCHANGE_EVENT_ARGUMENTS ||
                 e->type == EXCHANGE_EVENT_THINKING || e->type == EXCHANGE_EVENT_FINISH;
    if (other || !is_rescuable(c)) {
        r->hopeless = true;
        buf_done(&r->said);
        return;
    }
    if (e->type != EXCHANGE_EVENT_TEXT || !e->text.len)
        return;
    if (!r->first) {
        r->first = c->model;
        buf_init(&r->said, SAID_BYTES_MAX);
    }
    r->pieces++;
    r->hopeless = buf_append_str(&r->said, e->text) != ERR_OK;
    r->repeated += e->text.len;
}

bool rescue_possible(const struct call *c)
{
    return c->rescue.first && !c->rescue.hopeless;
}

static bool same_model(const struct call *c, const struct model_entry *m)
{
    return str_eq(m->root, c->rescue.first->root);
}

bool rescue_fits(const struct call *c, const struct model_entry *m)
{
    return rescue_possible(c) && (m->continues || same_model(c, m));
}

// --- The request for the rest

static void restore(struct call *c)
{
    struct call_rescue *r = &c->rescue;
    struct exchange_request *q = &c->request;
    if (!r->on) { // for the first time: keep what it was
        r->messages = q->messages;
        r->messages_len = q->messages_len;
        if (q->prompts_len)
            r->prompt = q->prompts[0];
        r->tokens_max = q->tokens_max;
    }
    q->messages = r->messages;
    q->messages_len = r->messages_len;
    if (q->prompts_len)
        q->prompts[0] = r->prompt;
    q->tokens_max = r->tokens_max;
    q->continues = false;
}

static bool out_of_memory(struct call *c)
{
    return api_error_set(call_error(c), API_JSON_LIMIT, NULL, "The request needs too much memory.");
}

static bool continue_chat(struct call *c, str said)
{
    struct exchange_request *q = &c->request;
    struct exchange_message *m = arena_zalloc(&c->arena, q->messages_len + 1, sizeof *m);
    struct exchange_part *part = arena_zalloc(&c->arena, 1, sizeof *part);
    if (!m || !part)
        return out_of_memory(c);
    memcpy(m, q->messages, q->messages_len * sizeof *m);
    *part = (struct exchange_part){.type = EXCHANGE_PART_TEXT, .text = said};
    m[q->messages_len] =
        (struct exchange_message){.role = EXCHANGE_ASSISTANT, .parts = part, .parts_len = 1};
    q->messages = m;
    q->messages_len++;
    return true;
}

static bool continue_completion(struct call *c, str said)
{
    struct exchange_prompt *p = &c->request.prompts[0];
    p->text = arena_printf(&c->arena, STR_FMT STR_FMT, STR_ARG(p->text), STR_ARG(said));
    return p->text.ptr || out_of_memory(c);
}

// Does the engine answer it the same way twice, wherever it runs?
static bool says_the_same(const struct exchange_request *q)
{
    bool greedy = (q->given & EXCHANGE_HAS_TEMPERATURE) && q->temperature == 0;
    return greedy || (q->given & EXCHANGE_HAS_SEED);
}

bool rescue_begin(struct call *c)
{
    struct call_rescue *r = &c->rescue;
    struct exchange_request *q = &c->request;
    restore(c);
    r->on = true;
    r->repeats = same_model(c, c->model) &&
                 (!c->model->continues || (!c->model->remote && says_the_same(q)));
    q->spoken = NULL; // its body says something else
    r->repeated = r->repeats ? 0 : r->said.len;
    if (r->repeats)
        return true;
    str said = arena_str(&c->arena, buf_str(&r->said));
    if (!said.ptr)
        return out_of_memory(c);
    q->continues = true;
    if (q->given & EXCHANGE_HAS_TOKENS_MAX)
        q->tokens_max = q->tokens_max > (int64_t)r->pieces ? q->tokens_max - (int64_t)r->pieces : 1;
    return q->kind == EXCHANGE_CHAT ? continue_chat(c, said) : continue_completion(c, said);
}

// --- Its events

static bool hold_to_what_was_said(struct call *c, struct exchange_event *e)
{
    struct call_rescue *r = &c->rescue;
    str rest = str_sub(buf_str(&r->said), r->repeated, SIZE_MAX);
    size_t n = min_size(rest.len, e->text.len);
    if (n && memcmp(rest.ptr, e->text.ptr, n) != 0)
        return api_error_set(call_error(c), API_UPSTREAM_CUT, NULL,
                             "The answer broke off, and the model did not say the same again, so "
                             "it could not be continued.");
    r->repeated += n;
    e->text = str_sub(e->text, n, SIZE_MAX);
    return e->text.len > 0;
}

bool rescue_filter(struct call *c, struct exchange_event *e)
{
    struct call_rescue *r = &c->rescue;
    switch (e->type) {
    case EXCHANGE_EVENT_BEGIN: // the client has had it
        if (!r->repeats)
            r->repeated = r->said.len - min_size(e->repeats, r->said.len);
        return false;
    case EXCHANGE_EVENT_TEXT:
        return hold_to_what_was_said(c, e);
    case EXCHANGE_EVENT_FINISH:
        if (r->repeated < r->said.len)
            return api_error_set(call_error(c), API_UPSTREAM_CUT, NULL,
                                 "The answer broke off, and the model said less than before, so it "
                                 "could not be continued.");
        return true;
    case EXCHANGE_EVENT_END:
        if (!r->repeats)
            e->usage.completion_tokens += r->pieces;
        return true;
    default:
        return true;
    }
}
