// One job's events to exchange events: echo, text, scored tokens, the end. A token's score is
// handed on with the text that it is part of, so that what a stop string or half a character holds
// back is held back here too.
#include "gateway/local_internal.h"

#include "base/banned.h"

// A token held, with where its bytes end among all pieces of this choice.
struct local_token {
    struct exchange_token token;
    uint64_t begin, end;
};

void local_choice_init(struct local_choice *c, uint32_t index, const struct exchange_request *r,
                       const struct local_plan *plan)
{
    *c = (struct local_choice){
        .index = index, .request = r, .prompt = &plan->prompts[index / (size_t)r->n]};
    local_tools_init(&c->tools, plan->tools, r, plan->call_open);
    buf_init(&c->held, SIZE_MAX / 2);
    buf_init(&c->shown_tokens, SIZE_MAX / 2);
    arena_init(&c->held_arena, SIZE_MAX / 2);
}

void local_choice_done(struct local_choice *c)
{
    if (c->job)
        engine_job_release(c->job);
    c->job = NULL;
    buf_done(&c->held);
    buf_done(&c->shown_tokens);
    arena_done(&c->held_arena);
    local_tools_done(&c->tools);
}

static uint32_t characters(str s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

// --- The prompt, echoed

static void echo_text(struct local_choice *c, struct exchange_events *q)
{
    if (!c->prompt->echo.len)
        return;
    exchange_events_push(q, EXCHANGE_EVENT_TEXT, c->index)->text = c->prompt->echo;
    if (!c->request->logprobs)
        c->characters = characters(c->prompt->echo);
}

// How much of the echo a prompt token covers: control tokens stand for no text, and the blank that
// some tokenizers put before the first word is not part of it.
static str covered(const struct local_choice *c, str piece)
{
    str rest = str_sub(c->prompt->echo, c->echo_at, SIZE_MAX);
    if (str_starts(rest, piece))
        return str_sub(rest, 0, piece.len);
    if (piece.len && piece.ptr[0] == ' ' && str_starts(rest, str_sub(piece, 1, SIZE_MAX)))
        return str_sub(rest, 0, piece.len - 1);
    return STR("");
}

// --- Scored tokens

static struct exchange_token scored(struct local_choice *c, const struct engine_model *m,
                                    const struct engine_event *e)
{
    struct exchange_token t = {
        .bytes = arena_str(&c->held_arena, e->piece),
        .logprob = e->logprob,
        .scored = true,
        .text_offset = c->characters,
        .top_len = e->top_len,
    };
    if (!e->top_len)
        return t;
    struct exchange_alternative *top = arena_zalloc(&c->held_arena, e->top_len, sizeof *top);
    struct buf piece;
    buf_init(&piece, 1 << 20);
    for (uint32_t i = 0; i < e->top_len; i++) {
        buf_clear(&piece);
        if (engine_token_piece(m, e->top[i].token, &piece) == ERR_OK)
            top[i].bytes = arena_str(&c->held_arena, buf_str(&piece));
        top[i].logprob = e->top[i].logprob;
    }
    buf_done(&piece);
    t.top = top;
    return t;
}

static void forget_shown(struct local_choice *c)
{
    buf_clear(&c->shown_tokens);
    if (!c->held.len)
        arena_reset(&c->held_arena);
}

static void prompt_token(struct local_choice *c, const struct engine_model *m,
                         const struct engine_event *e, bool first, struct exchange_events *q)
{
    struct exchange_token t = scored(c, m, e);
    str text = covered(c, e->piece);
    t.scored = !first;
    c->echo_at += text.len;
    c->characters += characters(text);
    buf_append(&c->shown_tokens, &t, sizeof t);
    struct exchange_event *out = exchange_events_push(q, EXCHANGE_EVENT_TEXT, c->index);
    out->tokens = (const struct exchange_token *)(const void *)buf_ptr(&c->shown_tokens);
    out->tokens_len = 1;
}

static void hold_token(struct local_choice *c, const struct engine_model *m,
                       const struct engine_event *e)
{
    struct local_token t = {.token = scored(c, m, e), .begin = c->piece_bytes};
    str text = engine_token_is_control(m, e->token) ? STR("") : e->piece;
    c->piece_bytes += text.len;
    c->characters += characters(text);
    t.end = c->piece_bytes;
    buf_append(&c->held, &t, sizeof t);
}

// Move what is shown by now from `held` to `shown_tokens`. At the end, what was never shown (it
// belongs to a stop string) is dropped.
static void release_tokens(struct local_choice *c, bool ended, bool stopped)
{
    const struct local_token *t;
    while (c->held.len && (t = (const void *)buf_ptr(&c->held)) != NULL) {
        bool shown = stopped ? t->begin < c->shown_bytes : ended || t->end <= c->shown_bytes;
        if (!shown && !ended)
            return;
        if (shown)
            buf_append(&c->shown_tokens, &t->token, sizeof t->token);
        buf_consume(&c->held, sizeof *t);
    }
}

static void text_event(struct local_choice *c, str tag, str text, struct exchange_events *q)
{
    if (c->tools.active) {
        local_tools_feed(&c->tools, tag, text, c->index, q);
        text = STR_NONE; // scored tokens still go out, with or without their text
    }
    size_t tokens = c->shown_tokens.len / sizeof(struct exchange_token);
    if (!text.len && !tokens)
        return;
    struct exchange_event *out = exchange_events_push(q, EXCHANGE_EVENT_TEXT, c->index);
    out->text = text;
    out->tokens_len = tokens;
    out->tokens = (const struct exchange_token *)(const void *)buf_ptr(&c->shown_tokens);
}

static void token(struct local_choice *c, const struct engine_model *m,
                  const struct engine_event *e, struct exchange_events *q)
{
    c->shown_bytes += e->text.len;
    if (c->request->logprobs)
        hold_token(c, m, e);
    if (e->text.len)
        release_tokens(c, false, false);
    bool tag = engine_token_is_control(m, e->token) && local_tools_is_tag(&c->tools, e->piece);
    text_event(c, tag ? e->piece : STR_NONE, e->text, q);
}

static enum exchange_finish finish_of(const struct local_choice *c, const struct engine_event *e)
{
    if (e->finish == ENGINE_FINISH_LENGTH)
        return EXCHANGE_FINISH_LENGTH;
    return c->tools.calls ? EXCHANGE_FINISH_TOOL_CALLS : EXCHANGE_FINISH_STOP;
}

// The chat template's own stops are nobody's business.
static bool asked_to_stop_at(const struct exchange_request *r, str matched)
{
    for (size_t i = 0; matched.len && i < r->stops_len; i++)
        if (str_eq(r->stops[i], matched))
            return true;
    return false;
}

static void ended(struct local_choice *c, const struct engine_event *e, struct exchange_events *q)
{
    struct exchange_event *out;
    if (e->finish == ENGINE_FINISH_ERROR || e->finish == ENGINE_FINISH_CANCELLED) {
        enum err code = e->finish == ENGINE_FINISH_CANCELLED ? ERR_CANCELLED : e->error.code;
        local_refuse(exchange_events_fail(q, c->index), code, &e->error, NULL);
        return;
    }
    c->shown_bytes += e->text.len;
    release_tokens(c, true, e->stop_matched.len && !c->request->include_stop);
    text_event(c, STR_NONE, e->text, q);
    if (c->tools.active)
        local_tools_end(&c->tools, c->index, q);
    out = exchange_events_push(q, EXCHANGE_EVENT_FINISH, c->index);
    out->finish = finish_of(c, e);
    if (asked_to_stop_at(c->request, e->stop_matched))
        out->stop_matched = e->stop_matched;
}

void local_choice_feed(struct local_choice *c, const struct engine_model *m,
                       const struct engine_event *e, struct exchange_events *q)
{
    struct exchange_event *out;
    forget_shown(c);
    switch (e->type) {
    case ENGINE_STARTED:
        echo_text(c, q);
        return;
    case ENGINE_PROMPT_TOKEN:
        prompt_token(c, m, e, !c->prompt_tokens++, q);
        return;
    case ENGINE_TOKEN:
        token(c, m, e, q);
        return;
    case ENGINE_EMBEDDING:
        out = exchange_events_push(q, EXCHANGE_EVENT_EMBEDDING, c->index);
        out->embedding = e->embedding;
        out->embedding_len = e->embedding_len;
        return;
    case ENGINE_ENDED:
        ended(c, e, q);
        return;
    }
}
