#include "dialect/exchange.h"

#include "base/mem.h"

#include "base/banned.h"

const char *exchange_role_name(enum exchange_role role)
{
    static const char *const names[EXCHANGE_ROLE_COUNT] = {"system", "developer", "user",
                                                           "assistant", "tool"};
    return names[role];
}

const char *exchange_finish_name(enum exchange_finish f)
{
    static const char *const names[] = {"stop", "length", "tool_calls", "content_filter"};
    return names[f];
}

void exchange_request_init(struct exchange_request *r, enum exchange_kind kind)
{
    *r = (struct exchange_request){
        .kind = kind,
        .parallel_tool_calls = true,
        .temperature = 1,
        .top_p = 1,
        .repetition_penalty = 1,
        .n = 1,
        .add_special = true,
    };
}

size_t exchange_choices(const struct exchange_request *r)
{
    return (r->kind == EXCHANGE_COMPLETION || r->kind == EXCHANGE_EMBEDDING ? r->prompts_len : 1) *
           (size_t)r->n;
}

void exchange_answer_init(struct exchange_answer *a, size_t choices, size_t bytes_max)
{
    *a = (struct exchange_answer){.choices_len = choices, .bytes_max = bytes_max};
    arena_init(&a->arena, bytes_max);
    a->choices = mem_array(choices, sizeof *a->choices);
    for (size_t i = 0; i < choices; i++) {
        buf_init(&a->choices[i].text, bytes_max);
        buf_init(&a->choices[i].thinking, bytes_max);
        buf_init(&a->choices[i].tokens, bytes_max);
    }
}

void exchange_answer_done(struct exchange_answer *a)
{
    for (size_t i = 0; i < a->choices_len; i++) {
        struct exchange_choice *c = &a->choices[i];
        for (size_t k = 0; k < c->calls_len; k++)
            buf_done(&c->calls[k].arguments);
        mem_free(c->calls);
        buf_done(&c->text);
        buf_done(&c->thinking);
        buf_done(&c->tokens);
    }
    mem_free(a->choices);
    arena_done(&a->arena);
    *a = (struct exchange_answer){0};
}

static enum err charge(struct exchange_answer *a, size_t bytes)
{
    if (bytes > a->bytes_max - a->bytes)
        return ERR_LIMIT;
    a->bytes += bytes;
    return ERR_OK;
}

static enum err copy_str(struct exchange_answer *a, str s, str *ret)
{
    ERR_TRY(charge(a, s.len));
    *ret = arena_str(&a->arena, s);
    return ret->ptr ? ERR_OK : ERR_LIMIT;
}

static enum err copy_top(struct exchange_answer *a, struct exchange_token *t)
{
    const struct exchange_alternative *from = t->top;
    if (!t->top_len)
        return ERR_OK;
    ERR_TRY(charge(a, t->top_len * sizeof *from));
    struct exchange_alternative *to = arena_alloc(&a->arena, t->top_len * sizeof *to);
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < t->top_len; i++) {
        to[i].logprob = from[i].logprob;
        ERR_TRY(copy_str(a, from[i].bytes, &to[i].bytes));
    }
    t->top = to;
    return ERR_OK;
}

static enum err add_text(struct exchange_answer *a, struct exchange_choice *c,
                         const struct exchange_event *e)
{
    ERR_TRY(charge(a, e->text.len + e->tokens_len * sizeof *e->tokens));
    ERR_TRY(buf_append_str(&c->text, e->text));
    for (size_t i = 0; i < e->tokens_len; i++) {
        struct exchange_token t = e->tokens[i];
        ERR_TRY(copy_str(a, t.bytes, &t.bytes));
        ERR_TRY(copy_top(a, &t));
        ERR_TRY(buf_append(&c->tokens, &t, sizeof t));
    }
    return ERR_OK;
}

static enum err add_thinking(struct exchange_answer *a, struct exchange_choice *c,
                             const struct exchange_event *e)
{
    ERR_TRY(charge(a, e->text.len));
    if (e->signature.len)
        ERR_TRY(copy_str(a, e->signature, &c->signature));
    return buf_append_str(&c->thinking, e->text);
}

static enum err add_finish(struct exchange_answer *a, struct exchange_choice *c,
                           const struct exchange_event *e)
{
    c->finish = e->finish;
    c->finished = true;
    return e->stop_matched.len ? copy_str(a, e->stop_matched, &c->stop_matched) : ERR_OK;
}

static enum err add_call(struct exchange_answer *a, struct exchange_choice *c,
                         const struct exchange_event *e)
{
    if (c->calls_len == c->calls_cap) {
        c->calls_cap = c->calls_cap ? c->calls_cap * 2 : 4;
        c->calls = mem_resize(c->calls, c->calls_cap, sizeof *c->calls);
    }
    struct exchange_call_text *call = &c->calls[c->calls_len];
    ERR_TRY(copy_str(a, e->call.id, &call->id));
    ERR_TRY(copy_str(a, e->call.name, &call->name));
    buf_init(&call->arguments, a->bytes_max);
    c->calls_len++;
    return ERR_OK;
}

static enum err add_arguments(struct exchange_answer *a, struct exchange_choice *c,
                              const struct exchange_event *e)
{
    if (e->call_index >= c->calls_len)
        return ERR_INVALID;
    ERR_TRY(charge(a, e->text.len));
    return buf_append_str(&c->calls[e->call_index].arguments, e->text);
}

static enum err add_embedding(struct exchange_answer *a, struct exchange_choice *c,
                              const struct exchange_event *e)
{
    size_t size = e->embedding_len * sizeof *e->embedding;
    ERR_TRY(charge(a, size));
    c->embedding = arena_alloc(&a->arena, size);
    if (!c->embedding)
        return ERR_LIMIT;
    memcpy(c->embedding, e->embedding, size);
    c->embedding_len = e->embedding_len;
    return ERR_OK;
}

enum err exchange_answer_add(struct exchange_answer *a, const struct exchange_event *e)
{
    if (e->choice >= a->choices_len)
        return ERR_INVALID;
    struct exchange_choice *c = &a->choices[e->choice];
    switch (e->type) {
    case EXCHANGE_EVENT_TEXT:
        return add_text(a, c, e);
    case EXCHANGE_EVENT_THINKING:
        return add_thinking(a, c, e);
    case EXCHANGE_EVENT_CALL:
        return add_call(a, c, e);
    case EXCHANGE_EVENT_ARGUMENTS:
        return add_arguments(a, c, e);
    case EXCHANGE_EVENT_EMBEDDING:
        return add_embedding(a, c, e);
    case EXCHANGE_EVENT_FINISH:
        return add_finish(a, c, e);
    case EXCHANGE_EVENT_END:
        a->usage = e->usage;
        return ERR_OK;
    case EXCHANGE_EVENT_BEGIN:
    case EXCHANGE_EVENT_ERROR:
    case EXCHANGE_EVENT_RAW:
        return ERR_OK;
    }
    return ERR_OK;
}

bool exchange_data_url(str url, str *ret_media_type, str *ret_base64)
{
    size_t comma = str_find_char(url, ',');
    if (!str_starts(url, STR("data:")) || comma == SIZE_MAX)
        return false;
    str head = str_sub(url, 5, comma - 5);
    if (!str_ends(head, STR(";base64")))
        return false;
    *ret_media_type = str_sub(head, 0, str_find_char(head, ';'));
    *ret_base64 = str_sub(url, comma + 1, url.len);
    return true;
}

void exchange_lose(struct exchange_losses *l, str name)
{
    for (size_t i = 0; i < l->len; i++)
        if (str_eq(l->names[i], name))
            return;
    if (!l->names)
        l->names = arena_zalloc(l->arena, EXCHANGE_LOSSES_MAX, sizeof *l->names);
    if (l->names && l->len < EXCHANGE_LOSSES_MAX)
        l->names[l->len++] = name;
}
